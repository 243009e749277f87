"""What an answer from fresh records costs: against a bare view, and against django-health-check."""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Iterator

from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.urls import path

from benchmarks.figures import Figure
from benchmarks.peers import VERSIONS, django_health_check
from benchmarks.requests import ASGIRequests, wsgi_request
from benchmarks.sites import site_of
from benchmarks.timing import ROUNDS, Local, compare
from health_check.monitor import runtime
from health_check.records import Result
from health_check.stores import Key, create_store
from health_check.views.html import render_page

TARGETS = {"application/json": 1.3, "application/health+json": 1.3, "text/plain": 1.3, "text/html": 3.0}
"""What an answer is to cost at most under WSGI, by its format."""

PAGE_MILLISECONDS = 15.0
"""How much processor time it is to take at most to render a page of 20 checks with a day of past."""

ASYNC_TARGET = 1.1

PEER_CHECKS = 20
"""How many checks the sites of other libraries have."""


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures by number of checks, format, and kind of server."""
    for checks in (1, 6, 20, 100, 1000):
        with site_of(checks, folder):
            yield from _of_site(checks)


def _of_site(checks: int) -> Iterator[Figure]:
    patterns = vars(sys.modules[settings.ROOT_URLCONF])["urlpatterns"]
    patterns += [path("bare/", _bare), path("bare-async/", _bare_async)]
    wsgi, asgi = WSGIHandler(), ASGIHandler()
    bare = wsgi_request(wsgi, "/bare/", "*/*")
    for media_type, target in TARGETS.items():
        ours = wsgi_request(wsgi, "/health/", media_type)
        assert b"Nothing 0" in ours()
        yield compare(f"{_checks(checks)}, {media_type}", ours, "bare view", bare, target=target)
    one = wsgi_request(wsgi, "/health/?format=json&check=Nothing+0", "*/*")
    yield compare(f"{_checks(checks)}, JSON about one of them", one, "bare view", bare, target=1.3)
    if checks == PEER_CHECKS:
        yield _page()
    json = ASGIRequests(asgi, "/health/", "application/json")
    bare_async = ASGIRequests(asgi, "/bare-async/", "*/*")
    yield compare(f"{_checks(checks)}, JSON, ASGI", json, "bare async view", bare_async, target=ASYNC_TARGET)
    if checks == PEER_CHECKS:
        for version in VERSIONS:
            with django_health_check(version, checks) as peer:
                ours = wsgi_request(wsgi, "/health/", "application/json")
                yield compare(f"{_checks(checks)}, JSON", ours, f"django-health-check {version}", peer)


def _page() -> Figure:
    """Measure a page that is not kept, as those with filters are."""
    report = next(report for report in runtime.read().reports if report.rows)
    store = create_store()
    now = time.time()
    for label in (reading.label for reading in report.readings):
        store.add_past(Key(label=label), [_result(now - age * 1800) for age in range(48, 0, -1)])
    store.close()
    request, names = RequestFactory().get("/health/?sort=name"), ["health_check/index.html"]
    render = Local(lambda: render_page(request, names, {"report": report}, status=200), time.thread_time)
    milliseconds = [render.seconds(3) * 1000 for _ in range(ROUNDS)]
    return Figure.of(
        f"{len(report.rows)} checks, page with a filter, rendered", milliseconds, "ms", target=PAGE_MILLISECONDS
    )


def _result(finished: float) -> Result:
    return Result(time_taken=0.002, started=finished, finished=finished, host="here", pid=1)


def _checks(number: int) -> str:
    return "1 check" if number == 1 else f"{number} checks"


def _bare(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


async def _bare_async(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")
