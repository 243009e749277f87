"""How many steps one refresh takes: a GET of one check whose record in SQLite has expired, seen call by call."""

from __future__ import annotations

import itertools
import pathlib
import sqlite3
import sys
import threading
import time
import types
from collections.abc import Iterator

from django.core.handlers.wsgi import WSGIHandler

import health_check
from benchmarks.figures import Figure
from benchmarks.requests import wsgi_request
from benchmarks.sites import site_of
from health_check.backends import HealthCheck
from health_check.monitor import runtime

PACKAGE = str(pathlib.Path(health_check.__file__).parent)
MAX_AGE = 0.2
ROUNDS = 10


class Nothing(HealthCheck):
    """Does nothing."""

    def check_status(self) -> None:
        """Do nothing."""


class Recorder:
    """Note each call of a function of ours, on whatever thread, while it is on."""

    def __init__(self) -> None:
        self.is_on = False
        self.calls: list[tuple[str, str]] = []

    def profile(self, frame: types.FrameType, event: str, argument: object) -> None:
        """Be the profile function of a thread."""
        if self.is_on and event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            place = frame.f_code.co_filename.removeprefix(PACKAGE).lstrip("/")
            self.calls.append((threading.current_thread().name, place))


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield how many calls, threads, hand-overs and statements one refresh takes; prints the rooms it goes through."""
    recorder = Recorder()
    threading.setprofile(recorder.profile)  # before any thread of ours starts
    sys.setprofile(recorder.profile)
    try:
        with site_of(1, folder, check=Nothing, max_age=MAX_AGE):
            found = [_refreshed(recorder) for _ in range(ROUNDS)]
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    best = min(found, key=lambda seen: len(seen[0]))
    print("Rooms of one refresh:", " -> ".join(_rooms(best[0])))
    yield Figure.of("calls of one refresh", [len(calls) for calls, _ in found], "", target=250)
    yield Figure.of("threads", [len({thread for thread, _ in calls}) for calls, _ in found], "", target=3)
    yield Figure.of("hand-overs", [_hand_overs(calls) for calls, _ in found], "", target=4)
    yield Figure.of("statements, but for what opens the file", [count for _, count in found], "", target=8)


def _refreshed(recorder: Recorder) -> tuple[list[tuple[str, str]], int]:
    ask = wsgi_request(WSGIHandler(), "/health/", "application/json")
    ask()
    time.sleep(MAX_AGE * 1.2)
    statements: list[str] = []
    connection: sqlite3.Connection = runtime.get().monitor.store_client._store._connection  # type: ignore[attr-defined]
    connection.set_trace_callback(statements.append)
    recorder.calls = []
    recorder.is_on = True
    ask()
    recorder.is_on = False
    connection.set_trace_callback(None)
    return recorder.calls, len(statements)


def _hand_overs(calls: list[tuple[str, str]]) -> int:
    threads = [thread for thread, _ in calls]
    return sum(one != other for one, other in itertools.pairwise(threads))


def _rooms(calls: list[tuple[str, str]]) -> list[str]:
    """Return the rooms above the lowest in the order they are entered, each once while it goes on."""
    found: list[str] = []
    for thread, place in calls:
        room = place.partition("/")[0].removesuffix(".py")
        entry = f"{room} ({thread.removeprefix('health-check-')})"
        if room in ("views", "monitor", "runner", "stores") and entry not in found[-1:]:
            found.append(entry)
    return found
