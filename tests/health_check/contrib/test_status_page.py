"""What the status pages of providers have in common: warnings alone, within bounds, and seldom asked for."""

from __future__ import annotations

import time
from typing import ClassVar

import pytest

from health_check.contrib._status_page import StatusPage
from health_check.contrib.atlassian import GitHub
from health_check.contrib.rss import Feed
from health_check.registry.entries import parse
from tests.support.checks import messages_of
from tests.support.client import Lag
from tests.support.pages import Pages

BUDGET_SECONDS = 1.0

LATE_SECONDS = 1.0
"""By how much a check may be late on a busy machine."""

HUGE_BYTES = 10_000_000

INCIDENTS = "".join(f"<item><title>outage {number}</title></item>" for number in range(9))


class Fed(Feed):
    """Has its address from the test."""

    feed_url: ClassVar[str] = ""


@pytest.fixture
def provider(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> Pages:
    """A provider with the feed that the test says."""
    monkeypatch.setattr(Fed, "feed_url", f"{pages.url}/feed")
    return pages


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b" " * HUGE_BYTES, "the status feed is too long"),
        (404, b"", "the status feed answered HTTP 404"),
        (200, None, "the status feed did not answer in time (ReadTimeout)"),
    ],
    ids=["huge", "missing", "byte by byte"],
)
def test_check__not_to_be_had(provider: Pages, lag: Lag, status: int, body: bytes | None, error: str) -> None:
    """A feed that cannot be had in whole is a warning, within the budget."""
    if body is None:
        provider.drip("/feed", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    else:
        provider.page("/feed", body, status)
    start = time.monotonic()
    assert messages_of(Fed(timeout=BUDGET_SECONDS)) == [f"warning: {error}"]
    assert time.monotonic() - start < BUDGET_SECONDS + LATE_SECONDS + lag.slack


def test_check__many_incidents(provider: Pages) -> None:
    """Of many incidents some are named, and the rest counted."""
    provider.page("/feed", f"<rss version='2.0'><channel>{INCIDENTS}</channel></rss>")
    [error] = messages_of(Fed())
    assert error.splitlines()[0] == "warning: outage 0"
    assert error.splitlines()[5:] == ["and 4 more"]


def test_check__long_title(provider: Pages) -> None:
    """Of a long title the beginning is shown, on one line."""
    item = f"<item><title>a\nb {'x' * 999}</title></item>"
    provider.page("/feed", f"<rss version='2.0'><channel>{item}</channel></rss>")
    [error] = messages_of(Fed())
    assert error == f"warning: a b {'x' * 196}"


def test_check__own_warning_and_error(provider: Pages) -> None:
    """A page of one's own needs to say but what is going on."""

    class Empty(StatusPage):
        """Says nothing."""

    with pytest.raises(NotImplementedError, match=r"Empty must define incidents\(\)"):
        Empty().check_status()


@pytest.mark.parametrize("check_class", [GitHub, Fed])
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
