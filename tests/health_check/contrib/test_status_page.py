"""What the status pages of providers have in common: warnings alone, within bounds, and seldom asked for."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest
from django.test import Client

from health_check.contrib._status_page import StatusPage
from health_check.contrib.atlassian import AtlassianStatusPage
from health_check.contrib.rss import Feed
from health_check.registry.entries import parse
from tests.conftest import Mount
from tests.support.client import Lag
from tests.support.pages import Pages, serving_pages

BUDGET_SECONDS = 2.0

LATE_SECONDS = 1.0
"""By how much a check may be late on a busy machine."""

HUGE_BYTES = 10_000_000

INCIDENTS = "".join(f"<item><title>outage {number}</title></item>" for number in range(9))


@dataclasses.dataclass(repr=False)
class Told(AtlassianStatusPage):
    """Has its address from the test."""

    base_url: ClassVar[str] = ""


@dataclasses.dataclass(repr=False)
class Fed(Feed):
    """Has its address from the test."""

    feed_url: ClassVar[str] = ""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    """A provider that answers with what the test says."""
    with serving_pages() as pages:
        monkeypatch.setattr(Told, "base_url", pages.url)
        monkeypatch.setattr(Fed, "feed_url", f"{pages.url}{PATHS[Fed]}")
        yield pages


PATHS: dict[type[StatusPage], str] = {Told: "/api/v2/summary.json", Fed: "/feed"}

BOTH = pytest.mark.parametrize(("check_class", "what"), [(Told, "the status page"), (Fed, "the status feed")])


def told(check_class: Callable[..., StatusPage]) -> list[str]:
    """Return the texts of the errors of a run, which has to end within its budget."""
    check, lag = check_class(timeout=BUDGET_SECONDS), Lag()
    with lag.measured():
        start = time.monotonic()
        check.run_check()
        assert time.monotonic() - start < BUDGET_SECONDS + LATE_SECONDS + lag.slack
    return [str(error) for error in check.errors]


@BOTH
def test_check__huge(provider: Pages, check_class: type[StatusPage], what: str) -> None:
    """What is longer than anybody has to say is warned of, and not read."""
    provider.page(PATHS[check_class], b" " * HUGE_BYTES)
    assert told(check_class) == [f"warning: {what} is too long"]


@BOTH
def test_check__slow(provider: Pages, check_class: type[StatusPage], what: str) -> None:
    """An answer that comes byte by byte is warned of in time."""
    provider.drip(PATHS[check_class], b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    assert told(check_class) == [f"warning: {what} did not answer in time (ReadTimeout)"]


@BOTH
def test_check__redirect_loop(provider: Pages, check_class: type[StatusPage], what: str) -> None:
    """A redirect that leads back is warned of."""
    provider.page(PATHS[check_class], "", 302, f"Location: {PATHS[check_class]}")
    assert told(check_class) == [f"warning: {what} redirects too often (TooManyRedirects)"]
    assert len(provider.requests) < 10


@BOTH
def test_check__moved(provider: Pages, check_class: type[StatusPage], what: str) -> None:
    """A redirect that leads somewhere is followed."""
    provider.page(PATHS[check_class], "", 301, "Location: /new")
    provider.page("/new", json.dumps({"incidents": []}) if check_class is Told else "<rss version='2.0'></rss>")
    assert told(check_class) == []


@BOTH
def test_check__nobody_there(provider: Pages, check_class: type[StatusPage], what: str) -> None:
    """A connection that is closed without an answer is warned of."""
    assert told(check_class) == [f"warning: {what} is incomplete, or not HTTP (RemoteProtocolError)"]


def test_check__many_incidents(provider: Pages) -> None:
    """Of many incidents some are named, and the rest counted."""
    provider.page(PATHS[Fed], f"<rss version='2.0'><channel>{INCIDENTS}</channel></rss>")
    [error] = told(Fed)
    assert error.splitlines()[0] == "warning: outage 0"
    assert error.splitlines()[5:] == ["and 4 more"]


def test_check__long_title(provider: Pages) -> None:
    """Of a long title the beginning is shown, on one line."""
    item = f"<item><title>a\nb {'x' * 999}</title></item>"
    provider.page(PATHS[Fed], f"<rss version='2.0'><channel>{item}</channel></rss>")
    [error] = told(Fed)
    assert error == f"warning: a b {'x' * 196}"


def test_check__own_warning_and_error(provider: Pages) -> None:
    """A page of one's own needs to say but what is going on."""

    class Empty(StatusPage):
        """Says nothing."""

    with pytest.raises(NotImplementedError, match=r"Empty must define incidents\(\)"):
        Empty().check_status()


@pytest.mark.parametrize("check_class", [Told, Fed])
def test_policy__asked_seldom(check_class: type[StatusPage]) -> None:
    """A provider is asked once in five minutes for all hosts, unless an entry says otherwise."""
    [policy] = parse(check_class).define().policies
    assert (policy.max_age, policy.scope) == (300, "fleet")
    [policy] = parse((check_class, {"max_age": 60, "critical_service": False})).define().policies
    assert (policy.max_age, policy.critical_service) == (60, False)


def test_policy__max_age_as_a_field() -> None:
    """A field of the name, as in django-health-check 4.x, would undo that; it is refused with the remedy."""
    with pytest.raises(TypeError, match="incident_hours"):

        class Older(Feed):
            max_age: int = 4


def test_policy__incident_fails_where_warnings_do(provider: Pages, mount_checks: Mount, client: Client) -> None:
    """An incident is a warning: whether it counts is for the endpoint to say."""
    provider.page(PATHS[Fed], f"<rss version='2.0'><channel>{INCIDENTS}</channel></rss>")
    mount_checks(Fed, warnings_as_errors=False)
    assert client.get("/health/?format=text").status_code == 200
    mount_checks((Fed, {"critical_service": False}))
    response = client.get("/health/?format=text")
    assert response.status_code == 200
    assert "warning: outage 0" in response.content.decode()
