"""What checks call, and how long they take: where it shows among the spans."""

from __future__ import annotations

import pathlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections
from django.test import Client
from opentelemetry.instrumentation import dbapi
from opentelemetry.trace import StatusCode
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import Held
from tests.support.calling import working
from tests.support.checks import Fine
from tests.support.recording import ROUND, Spans, attributes, is_child, orphans


@pytest.mark.usefixtures("anywhere")
def test_work__of_a_sync_check(spans: Spans, mount_checks: Mount) -> None:
    """Spans that a check makes are children of its own span, on whatever thread it runs."""
    mount_checks(*(working(spans, name) for name in ("One", "Two", "Three")))
    runtime.read()
    for name in ("One", "Two", "Three"):
        assert is_child(spans.named(f"work of {name}"), spans.of_check(name))


@pytest.mark.usefixtures("anywhere")
def test_work__of_an_async_check(spans: Spans, mount_checks: Mount) -> None:
    """Spans of an async check are its span's children, before and after it waits, in threads, loops and tasks."""

    def work(name: str) -> None:
        with spans.tracer.start_as_current_span(name):
            pass

    class Working(HealthCheck):
        async def check_status(self) -> None:
            work("before")
            await sync_to_async(work)("sensitive")
            await sync_to_async(work, thread_sensitive=False)("insensitive")
            await sync_to_async(async_to_sync(self.deeper))()
            work("after")

        async def deeper(self) -> None:
            work("deeper")

    mount_checks(Working, working(spans, "Other"))
    runtime.read()
    parent = spans.of_check("Working")
    for name in ("before", "sensitive", "insensitive", "deeper", "after"):
        assert is_child(spans.named(name), parent)
    assert is_child(spans.named("work of Other"), spans.of_check("Other"))


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_deadline__ends_the_span(
    settings: Settings, spans: Spans, mount_checks: Mount, client: Client, held: Held, asynchronous: bool
) -> None:
    """The span of a check that hangs ends at its deadline with the error type timeout, and so does its round."""
    settings.HEALTH_CHECK = THREADS
    how = sync_to_async(lambda check: held.wait()) if asynchronous else (lambda check: held.wait())
    mount_checks(held.check_class("Hanging", timeout=0.05, check_status=how), Fine)
    found = client.get("/health/?format=json").json()
    span, root = spans.of_check("Hanging"), spans.named(ROUND)
    assert found == {"Hanging": "unavailable: timed out after 0.05 s", "Fine": "OK"}
    assert attributes(span)["error.type"] == "timeout"
    assert attributes(span)["health_check.state"] == "error"
    assert span.status.status_code is StatusCode.ERROR
    assert is_child(span, root)
    held.let_go.set()
    assert spans.names == ["health_check.check Fine", "health_check.check Hanging", ROUND]


@pytest.fixture
def traced_sqlite(spans: Spans, add_database: Callable[..., None], tmp_path: pathlib.Path) -> Iterator[None]:
    """A database "other" whose driver is instrumented."""
    driver: Any = sqlite3.dbapi2
    dbapi.wrap_connect(__name__, driver, "connect", "sqlite", tracer_provider=spans.provider)
    add_database("other", ENGINE="django.db.backends.sqlite3", NAME=tmp_path / "other.sqlite3")
    yield
    dbapi.unwrap_connect(driver, "connect")


@pytest.mark.usefixtures("anywhere", "traced_sqlite")
def test_sql__is_part_of_its_check(spans: Spans, mount_checks: Mount) -> None:
    """The spans of an instrumented database driver are children of the check that asked, sync or async."""

    def ask(number: int) -> None:
        with connections["other"].cursor() as cursor:
            cursor.execute(f"SELECT {number}")

    class Asking(HealthCheck):
        def check_status(self) -> None:
            ask(1)

    class AskingAsync(HealthCheck):
        async def check_status(self) -> None:
            await sync_to_async(ask)(2)

    mount_checks(Asking, AskingAsync)
    runtime.read()
    for number, label in ((1, "Asking"), (2, "AskingAsync")):
        [found] = [span for span in spans.finished if attributes(span).get("db.statement") == f"SELECT {number}"]
        assert is_child(found, spans.of_check(label))
    assert orphans(spans.finished) == []
