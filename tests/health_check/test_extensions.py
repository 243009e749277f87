"""The pages that exporters bring."""

from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse

from health_check import extensions
from health_check_prometheus.views import MetricsView


@pytest.fixture(autouse=True)
def _own_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test registers be gone afterwards."""
    monkeypatch.setattr(extensions, "_pages", dict(extensions._pages))


def hello(request: HttpRequest) -> HttpResponse:
    """Say hello."""
    return HttpResponse("hello")


def test_registered__what_installed_apps_bring() -> None:
    """The Prometheus exporter brings its metrics."""
    assert getattr(extensions.pages()["/metrics"], "view_class", None) is MetricsView


def test_register__another_page() -> None:
    """Any exporter may bring a page; of two at one path the last holds."""
    extensions.register_page("/hello", lambda request: HttpResponse())
    extensions.register_page("/hello", hello)
    assert extensions.pages()["/hello"] is hello
    assert list(extensions.pages()) == ["/metrics", "/hello"]


def test_registered__is_nobody_elses_to_change() -> None:
    """What is returned is a copy."""
    before = extensions.pages()
    extensions.register_page("/hello", hello)
    assert "/hello" not in before
