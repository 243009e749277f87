"""The checks that read what a page says, of providers and of Elasticsearch, against a real nginx."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from health_check.backends import HealthCheck
from health_check.contrib.atlassian import SUMMARY, AtlassianStatusPage
from health_check.contrib.elasticsearch import PATH, Elasticsearch
from health_check.contrib.rss import Feed
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.web import PASSWORD, USER, Web, nginx

pytestmark = pytest.mark.server

PLACE = "/files"
"""Where nginx has what the tests write."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Page:
    """A page, and the check that reads it."""

    path: str
    """Its path."""
    good: str
    """What it says where nothing is wrong."""
    bad: str
    """What it says otherwise."""
    told: str
    """What the check says of that."""
    what: str
    """What the check calls the page."""
    kind: str
    """What kind of error the check makes of a page that cannot be read."""
    build: Callable[[str], HealthCheck]
    """Makes the check, given the address of the server."""


def status_page(address: str) -> HealthCheck:
    """Return a check of a page like Atlassian's."""

    @dataclasses.dataclass(repr=False)
    class Told(AtlassianStatusPage):
        base_url: ClassVar[str] = address

    return Told(timeout=BUDGET_SECONDS)


def feed(address: str) -> HealthCheck:
    """Return a check of a feed."""

    @dataclasses.dataclass(repr=False)
    class Fed(Feed):
        feed_url: ClassVar[str] = f"{address}/feed"

    return Fed(timeout=BUDGET_SECONDS)


def elasticsearch(address: str) -> HealthCheck:
    """Return a check of a cluster, with a login in its URL."""
    return Elasticsearch(address.replace("://", f"://{USER}:{PASSWORD}@"), timeout=BUDGET_SECONDS)


PAGES = {
    "atlassian": Page(
        path=SUMMARY,
        good=json.dumps({"incidents": []}),
        bad=json.dumps({"incidents": [{"name": "outage", "status": "investigating"}]}),
        told="warning: outage",
        what="the status page",
        kind="warning",
        build=status_page,
    ),
    "rss": Page(
        path="/feed",
        good='<rss version="2.0"><channel></channel></rss>',
        bad='<rss version="2.0"><channel><item><title>outage</title></item></channel></rss>',
        told="warning: outage",
        what="the status feed",
        kind="warning",
        build=feed,
    ),
    "elasticsearch": Page(
        path=PATH,
        good=json.dumps({"status": "green"}),
        bad=json.dumps({"status": "red"}),
        told="unavailable: Elasticsearch is red: some data cannot be reached",
        what="Elasticsearch",
        kind="unavailable",
        build=elasticsearch,
    ),
}

EACH = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An nginx without TLS."""
    with nginx(tmp_path_factory.mktemp("nginx"), {}) as web:
        yield web


def serve(web: Web, page: Page, text: str) -> HealthCheck:
    """Have a server say this from now on, and return the check."""
    place = web.folder / PLACE.strip("/") / page.path.strip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return page.build(web.url(PLACE))


@pytest.fixture(params=PAGES)
def service(web: Web, request: pytest.FixtureRequest) -> Service:
    """A server with each kind of page, and the check that reads it."""
    page = PAGES[request.param]
    check = serve(web, page, page.good)
    return Service(
        server=web,
        build=lambda: check,
        failing=lambda: page.build(web.url("/missing")),
        silent=rf"{page.kind}: {page.what} did not answer in time \(ReadTimeout\)",
        gone=rf"{page.kind}: cannot connect to {page.what} \(ConnectError\)",
    )


class TestContract(Contract):
    """The checks that read a page."""


@EACH
def test_page__bad_news_and_good_again(web: Web, page: Page) -> None:
    """What is said to be wrong is told, until that is over; a page that is missing, likewise."""
    check = serve(web, page, page.bad)
    assert errors_of(check) == [page.told]
    serve(web, page, page.good)
    assert errors_of(check) == []
    (web.folder / PLACE.strip("/") / page.path.strip("/")).unlink()
    [error] = errors_of(check)
    assert error.endswith(f"{page.what} answered HTTP 404")
    serve(web, page, page.good)
    assert errors_of(check) == []
