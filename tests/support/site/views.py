"""Views that let a test look into the server's process."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from health_check.monitor import runtime
from health_check.monitor.history import HistoryReader
from health_check.monitor.reports import Reading
from health_check.past import Period, total_of
from health_check.records import State

PROCESS_HEADER = "X-Process"
"""Which process answered."""

THREADS = 8
"""How many threads a server gets."""

_all_here = threading.Barrier(THREADS)


SECONDS_HEADER = "X-Seconds"
"""How long the application took to answer."""


@sync_and_async_middleware
def name_process(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Say in each answer which process gave it, and how long that took."""

    def named(response: HttpResponseBase, began: float) -> HttpResponseBase:
        response.headers[PROCESS_HEADER] = str(os.getpid())
        response.headers[SECONDS_HEADER] = f"{time.monotonic() - began:.6f}"
        return response

    def middleware(request: HttpRequest) -> HttpResponseBase:
        began = time.monotonic()
        return named(get_response(request), began)

    async def on_loop(request: HttpRequest) -> HttpResponseBase:
        began = time.monotonic()
        return named(await get_response(request), began)

    return on_loop if iscoroutinefunction(get_response) else middleware


def gather(request: HttpRequest) -> HttpResponse:
    """Answer once as many requests are here as the server has threads, so that it has started them all."""
    _all_here.wait(60)
    return HttpResponse("all here")


def plain(request: HttpRequest) -> HttpResponse:
    """Answer."""
    return HttpResponse("plain")


def past(request: HttpRequest) -> JsonResponse:
    """Show what the store has of the past of all checks, without running any."""
    current = runtime.get()
    check_set = current.catalogue.complete()
    readings = [
        Reading(definition=definition, record=None, state=State.UNKNOWN, messages=(), in_progress=False)
        for definition in check_set.checks_of(check_set.members)
    ]
    history = HistoryReader(current.monitor.store_client).history(readings)
    return JsonResponse(
        {
            "day": {label: numbers(some) for label, some in history.half_hours.items()},
            "days": {label: numbers(some) for label, some in history.days.items()},
            "uptime": {label: total_of(some).uptime for label, some in history.half_hours.items()},
            "incidents": [dataclasses.asdict(incident) for incident in history.incidents],
        }
    )


def numbers(periods: Sequence[Period]) -> dict[str, float]:
    """Return what is counted of all periods together."""
    return {name: value for name, value in total_of(periods)._asdict().items() if name != "times"}


def compute(request: HttpRequest) -> HttpResponse:
    """Answer after some seconds of computing, so that all other threads have to wait for the interpreter."""
    end, number = time.monotonic() + float(request.GET["seconds"]), 0
    while time.monotonic() < end:
        number = sum(range(1000))
    return HttpResponse(str(number))


def orm(request: HttpRequest) -> HttpResponse:
    """Answer after a query."""
    recorder = MigrationRecorder(connection)
    recorder.ensure_schema()
    return HttpResponse(f"{recorder.migration_qs.count()} migrations")


def on_loop(request: HttpRequest) -> HttpResponse:
    """Answer after a coroutine of the site's own, which calls a function that is none."""

    async def answer() -> str:
        await asyncio.sleep(0.001)
        return await sync_to_async(lambda: "on a loop")()

    return HttpResponse(async_to_sync(answer)())
