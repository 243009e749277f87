"""The checks of Elasticsearch and OpenSearch, against what clusters have been seen to answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from health_check.contrib.elasticsearch import Elasticsearch
from health_check.contrib.opensearch import OpenSearch
from health_check.registry.definitions import label_of
from tests.support.pages import Pages, serving_pages

PATH = "/_cluster/health"

PASSWORD = "planted-password-7d1f"

HEALTH = {
    "cluster_name": "planted-cluster",
    "timed_out": False,
    "number_of_nodes": 3,
    "number_of_data_nodes": 3,
    "active_primary_shards": 12,
    "active_shards": 24,
    "relocating_shards": 0,
    "initializing_shards": 0,
    "unassigned_shards": 0,
    "delayed_unassigned_shards": 0,
    "number_of_pending_tasks": 0,
    "task_max_waiting_in_queue_millis": 0,
    "active_shards_percent_as_number": 100.0,
}

SECURITY = {
    "error": {
        "root_cause": [{"type": "security_exception", "reason": "missing authentication credentials"}],
        "type": "security_exception",
        "reason": "unable to authenticate user [planted] for REST request [/_cluster/health]",
    },
    "status": 401,
}

NO_MASTER = {"error": {"root_cause": [{"type": "master_not_discovered_exception", "reason": None}]}, "status": 503}


@pytest.fixture
def cluster() -> Iterator[Pages]:
    """A node that answers with what the test says."""
    with serving_pages() as pages:
        yield pages


def errors_of(check: Elasticsearch) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


def told(cluster: Pages, answer: object, status: int = 200, **options: Any) -> list[str]:
    """Return the errors of a run where the cluster answers in this way."""
    body = answer if isinstance(answer, str) else json.dumps(answer)
    cluster.page(PATH, body, status, "Content-Type: application/json")
    return errors_of(Elasticsearch(cluster.url, **options))


def test_check__green(cluster: Pages) -> None:
    """A green cluster is in order, also by a URL that ends with a slash."""
    assert told(cluster, {**HEALTH, "status": "green"}) == []
    assert errors_of(Elasticsearch(f"{cluster.url}/")) == []
    assert errors_of(OpenSearch(cluster.url)) == []


def test_check__yellow(cluster: Pages) -> None:
    """A yellow cluster is warned of, unless that is all there can be."""
    yellow = {**HEALTH, "status": "yellow", "unassigned_shards": 12, "number_of_nodes": 1}
    assert told(cluster, yellow) == ["warning: Elasticsearch is yellow: some replicas are missing"]
    assert told(cluster, yellow, yellow_is_ok=True) == []


@pytest.mark.parametrize("status", [200, 408])
def test_check__red(cluster: Pages, status: int) -> None:
    """A red cluster is unavailable, also where it was late to say so."""
    red = {**HEALTH, "status": "red", "timed_out": status == 408}
    error = "unavailable: Elasticsearch is red: some data cannot be reached"
    assert told(cluster, red, status) == [error]
    assert told(cluster, red, status, yellow_is_ok=True) == [error]


@pytest.mark.parametrize("status", [401, 403])
def test_check__login_is_refused(cluster: Pages, status: int) -> None:
    """A login that is refused is told, and none of the cluster's words."""
    error = f"unavailable: the login to Elasticsearch was refused (HTTP {status})"
    assert told(cluster, SECURITY, status) == [error]


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
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
def test_check__something_else(cluster: Pages, answer: object, status: int, error: str) -> None:
    """What is no word on the cluster is told as what it is."""
    assert told(cluster, answer, status) == [error]


def test_check__nobody_listens() -> None:
    """A node that is gone is told by the product's name."""
    assert errors_of(OpenSearch("http://127.0.0.1:1")) == ["unavailable: cannot connect to OpenSearch (ConnectError)"]


def test_check__login(cluster: Pages) -> None:
    """User and password, of the URL or of an option, or an API key go with the request, and nowhere else."""
    basic = "Authorization: Basic " + base64.b64encode(f"probe:{PASSWORD}".encode()).decode()
    with_userinfo = cluster.url.replace("://", f"://probe:{PASSWORD}@")
    cluster.page(PATH, json.dumps({"status": "green"}))
    checks = [
        Elasticsearch(with_userinfo),
        Elasticsearch(cluster.url, auth=("probe", PASSWORD)),
        Elasticsearch(cluster.url, api_key=PASSWORD),
    ]
    for check in checks:
        assert errors_of(check) == []
        assert label_of(check) == "Elasticsearch"
    assert [basic in request for request in cluster.requests] == [True, True, False]
    assert f"Authorization: ApiKey {PASSWORD}" in cluster.requests[2]
