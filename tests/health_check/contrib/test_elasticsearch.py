"""The checks of Elasticsearch and OpenSearch, against what clusters have been seen to answer."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from health_check.contrib.elasticsearch import Elasticsearch
from health_check.contrib.opensearch import OpenSearch
from health_check.registry.definitions import label_of
from tests.support.checks import messages_of
from tests.support.pages import Pages

PATH = "/_cluster/health"

PASSWORD = "planted-password-7d1f"

HEALTH = {"cluster_name": "planted-cluster", "timed_out": False, "number_of_nodes": 3, "unassigned_shards": 0}

SECURITY = {"error": {"reason": "unable to authenticate user [planted] for REST request [/_cluster/health]"}}

NO_MASTER = {"error": {"root_cause": [{"type": "master_not_discovered_exception", "reason": None}]}, "status": 503}

RED = "unavailable: Elasticsearch is red: some data cannot be reached"


def told(pages: Pages, answer: object, status: int = 200, **options: Any) -> list[str]:
    """Return the errors of a run where the cluster answers in this way."""
    body = answer if isinstance(answer, str) else json.dumps(answer)
    pages.page(PATH, body, status, "Content-Type: application/json")
    return messages_of(Elasticsearch(pages.url, **options))


def test_check__green(pages: Pages) -> None:
    """A green cluster is in order, also by a URL that ends with a slash."""
    assert told(pages, {**HEALTH, "status": "green"}) == []
    assert messages_of(Elasticsearch(f"{pages.url}/")) == []
    assert messages_of(OpenSearch(pages.url)) == []


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        ({**HEALTH, "status": "yellow"}, 200, "warning: Elasticsearch is yellow: some replicas are missing"),
        ({**HEALTH, "status": "red"}, 200, RED),
        ({**HEALTH, "status": "red", "timed_out": True}, 408, RED),
        (SECURITY, 401, "unavailable: the login to Elasticsearch was refused (HTTP 401)"),
        (SECURITY, 403, "unavailable: the login to Elasticsearch was refused (HTTP 403)"),
        (NO_MASTER, 503, "unavailable: Elasticsearch has no master, or is overloaded (HTTP 503)"),
        ("", 404, "unexpected result: Elasticsearch answered HTTP 404"),
        ("", 302, "unexpected result: Elasticsearch answered HTTP 302"),
        ("<html>welcome</html>", 200, "unexpected result: Elasticsearch answered with something else than JSON"),
        ("[" * 100_000, 200, "unexpected result: Elasticsearch answered with something else than JSON"),
        ([], 200, "unexpected result: Elasticsearch does not report the state of its cluster"),
        (HEALTH, 200, "unexpected result: Elasticsearch does not report the state of its cluster"),
        ({"status": "purple"}, 200, "unexpected result: Elasticsearch does not report the state of its cluster"),
        ({"status": ["red"]}, 200, "unexpected result: Elasticsearch does not report the state of its cluster"),
    ],
)
def test_check__not_green(pages: Pages, answer: object, status: int, error: str) -> None:
    """A cluster that lacks replicas or data is told, and so is what is no word on it, without the cluster's words."""
    assert told(pages, answer, status) == [error]
    alone = told(pages, answer, status, yellow_is_ok=True)  # as where that is all there can be
    assert alone == ([] if error.startswith("warning") else [error])


def test_check__nobody_listens() -> None:
    """A node that is gone is told by the product's name."""
    assert messages_of(OpenSearch("http://127.0.0.1:1")) == ["unavailable: cannot connect to OpenSearch (ConnectError)"]


def test_check__login(pages: Pages) -> None:
    """User and password, of the URL or of an option, or an API key go with the request, and nowhere else."""
    basic = "Authorization: Basic " + base64.b64encode(f"probe:{PASSWORD}".encode()).decode()
    with_userinfo = pages.url.replace("://", f"://probe:{PASSWORD}@")
    pages.page(PATH, json.dumps({"status": "green"}))
    checks = [
        Elasticsearch(with_userinfo),
        Elasticsearch(pages.url, auth=("probe", PASSWORD)),
        Elasticsearch(pages.url, api_key=PASSWORD),
    ]
    for check in checks:
        assert messages_of(check) == []
        assert label_of(check) == "Elasticsearch"
    assert [basic in request for request in pages.requests] == [True, True, False]
    assert f"Authorization: ApiKey {PASSWORD}" in pages.requests[2]
