"""The pages that exporters bring."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse

from health_check import pages
from health_check_prometheus.views import MetricsView


@pytest.fixture(autouse=True)
def _own_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test registers be gone afterwards."""
    monkeypatch.setattr(pages, "_pages", dict(pages._pages))


def hello(request: HttpRequest) -> HttpResponse:
    """Say hello."""
    return HttpResponse("hello")


def test_registered__what_installed_apps_bring() -> None:
    """The Prometheus exporter brings its metrics."""
    assert getattr(pages.registered()["/metrics"], "view_class", None) is MetricsView


def test_register__another_page() -> None:
    """Any exporter may bring a page; of two at one path the last holds."""
    pages.register("/hello", lambda request: HttpResponse())
    pages.register("/hello", hello)
    assert pages.registered()["/hello"] is hello
    assert list(pages.registered()) == ["/metrics", "/hello"]


def test_registered__is_nobody_elses_to_change() -> None:
    """What is returned is a copy."""
    before = pages.registered()
    pages.register("/hello", hello)
    assert "/hello" not in before
