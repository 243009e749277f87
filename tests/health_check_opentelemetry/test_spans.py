"""The spans of runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.test import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer
from pytest_django import Settings

from health_check import observers, process
from health_check.backends import HealthCheck
from health_check_opentelemetry import SpanObserver
from tests.checks import AsyncBroken, AsyncFine, BaseBlown, Blown, Broken, Exiting, Fine, Shaky, TwiceBroken
from tests.conftest import Mount

THREADS = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}


class Spans(NamedTuple):
    """What a private SDK recorded."""

    provider: TracerProvider
    exporter: InMemorySpanExporter

    @property
    def tracer(self) -> Tracer:
        """A tracer for the checks' own work."""
        return self.provider.get_tracer("tests")

    def named(self, name: str) -> ReadableSpan:
        """Return the only span of this name."""
        [span] = [span for span in self.exporter.get_finished_spans() if span.name == name]
        return span

    @property
    def names(self) -> list[str]:
        """The names of the spans that have ended."""
        return sorted(span.name for span in self.exporter.get_finished_spans())


@pytest.fixture
def spans() -> Iterator[Spans]:
    """Our spans, in a private SDK."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observer = SpanObserver(provider)
    observers.register(observer)
    yield Spans(provider, exporter)
    observers.unregister(observer)
    provider.shutdown()


@pytest.fixture(params=[{}, THREADS], ids=["here", "threads"])
def anywhere(request: pytest.FixtureRequest, settings: Settings) -> None:
    """Run the test with checks in the calling thread, and on the runner's."""
    settings.HEALTH_CHECK = request.param


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    """Tell whether a span is a child of another."""
    assert parent.context is not None
    same_trace = span.context is not None and span.context.trace_id == parent.context.trace_id
    return span.parent is not None and same_trace and span.parent.span_id == parent.context.span_id


@pytest.mark.usefixtures("anywhere")
def test_round__root_with_a_child_for_each_check(spans: Spans, mount_checks: Mount) -> None:
    """A round of runs is a root span, each run a child that is named by its label and lies within."""
    mount_checks(Fine, (Fine, {"name": "Größe 🐍"}), AsyncFine, Broken)
    process.read()
    root = spans.named("health_check.run")
    assert root.parent is None
    children = [span for span in spans.exporter.get_finished_spans() if span is not root]
    # One class with equal options is one check, whatever it is called.
    assert sorted(span.name for span in children) == [
        "health_check.check AsyncFine",
        "health_check.check Broken",
        "health_check.check Größe 🐍",
    ]
    for child in children:
        assert is_child(child, root)
        assert root.start_time is not None
        assert child.start_time is not None
        assert root.end_time is not None
        assert child.end_time is not None
        assert root.start_time <= child.start_time <= child.end_time <= root.end_time


@pytest.mark.usefixtures("anywhere")
def test_attributes__of_a_check_in_order(spans: Spans, mount_checks: Mount) -> None:
    """The span of a run has the facts of the check and its outcome, and no error."""
    mount_checks((Fine, {"critical_service": False}))
    [shown] = process.read().readings
    span = spans.named("health_check.check Fine")
    found = attributes(span)
    assert found == {
        "health_check.name": "Fine",
        "health_check.backend": "tests.checks.Fine",
        "health_check.critical": False,
        "health_check.state": "ok",
        "health_check.status": 1,
        "health_check.time_taken": shown.time_taken,
        "code.function.name": "tests.checks.Fine.check_status",
    }
    assert span.status.status_code is not StatusCode.ERROR


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize(
    ("check", "error_type", "description"),
    [
        (Broken, "health_check.exceptions.ServiceUnavailable", "unavailable: Something went wrong!"),
        (AsyncBroken, "health_check.exceptions.ServiceUnavailable", "unavailable: Something went wrong!"),
        (
            TwiceBroken,
            "health_check.exceptions.ServiceUnavailable",
            "unavailable: Something went wrong!; unexpected result: Something else, too.",
        ),
        (Blown, "ZeroDivisionError", "unknown error"),
        (Exiting, "SystemExit", "unknown error"),
        (BaseBlown, "tests.checks.NoException", "unknown error"),
    ],
)
def test_attributes__of_an_error(
    spans: Spans, mount_checks: Mount, check: type, error_type: str, description: str
) -> None:
    """The span of a run that failed says with what, and no text that was not meant for readers."""
    mount_checks(check)
    process.read()
    span = spans.named(f"health_check.check {check.__name__}")
    found = attributes(span)
    assert (found["health_check.state"], found["health_check.status"]) == ("error", 0)
    assert found["error.type"] == error_type
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == description
    assert "nobody meant" not in span.to_json()


def test_attributes__of_a_warning(spans: Spans, mount_checks: Mount) -> None:
    """A warning is a state of its own and no error of the span."""
    mount_checks(Shaky)
    process.read()
    span = spans.named("health_check.check Shaky")
    found = attributes(span)
    assert (found["health_check.state"], found["health_check.status"]) == ("warning", 0)
    assert span.status.status_code is not StatusCode.ERROR


def test_attributes__secrets_are_masked(spans: Spans, mount_checks: Mount) -> None:
    """A secret in an error is in no attribute, status or event."""

    class Leaking(HealthCheck):
        def check_status(self) -> None:
            self.add_error("cannot reach redis://user:geheim@host/0")

    mount_checks(Leaking)
    process.read()
    assert "geheim" not in spans.named("health_check.check Leaking").to_json()


@pytest.mark.usefixtures("anywhere")
def test_work__of_a_sync_check(spans: Spans, mount_checks: Mount) -> None:
    """Spans that a check makes are children of its own span, on whatever thread it runs."""
    mount_checks(*(working(spans, name) for name in ("One", "Two", "Three")))
    process.read()
    for name in ("One", "Two", "Three"):
        assert is_child(spans.named(f"work of {name}"), spans.named(f"health_check.check {name}"))


def working(spans: Spans, name: str) -> type[HealthCheck]:
    """Return a check of this name that makes a span."""

    def check_status(self: HealthCheck) -> None:
        with spans.tracer.start_as_current_span(f"work of {name}"):
            pass

    return type(name, (HealthCheck,), {"check_status": check_status})


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
    process.read()
    parent = spans.named("health_check.check Working")
    for name in ("before", "sensitive", "insensitive", "deeper", "after"):
        assert is_child(spans.named(name), parent)
    assert is_child(spans.named("work of Other"), spans.named("health_check.check Other"))


@pytest.mark.usefixtures("anywhere")
def test_round__not_part_of_the_request(spans: Spans, mount_checks: Mount, client: Client) -> None:
    """The request that met a stale record is not the parent of the round, and its context is as it was."""
    mount_checks(Fine, AsyncFine)
    with spans.tracer.start_as_current_span("request") as request_span:
        assert client.get("/health/").status_code == 200
        assert trace.get_current_span() is request_span
    assert spans.named("health_check.run").parent is None
    contexts = [span.context for span in (spans.named("request"), spans.named("health_check.run"))]
    assert len({context.trace_id for context in contexts if context is not None}) == 2


def test_round__only_when_something_runs(settings: Settings, spans: Spans, mount_checks: Mount, client: Client) -> None:
    """Readers of fresh records make no spans."""
    settings.HEALTH_CHECK = THREADS
    mount_checks(Fine)
    for url in ("/health/", "/metrics", "/health/?format=json"):
        assert client.get(url).status_code == 200
    assert spans.names == ["health_check.check Fine", "health_check.run"]


def test_traces__none(settings: Settings, spans: Spans, mount_checks: Mount) -> None:
    """With TRACES "none" there are no spans of ours."""
    settings.HEALTH_CHECK = {"TRACES": "none"}
    mount_checks(Fine, Broken)
    process.read()
    assert spans.names == []


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_deadline__ends_the_span(
    settings: Settings, spans: Spans, mount_checks: Mount, client: Client, asynchronous: bool
) -> None:
    """The span of a check that hangs ends at its deadline with the error type timeout, and so does its round."""
    release, ended = threading.Event(), threading.Event()

    class Hanging(HealthCheck):
        timeout = 0.05

        def check_status(self) -> None:
            release.wait()
            ended.set()

    class AsyncHanging(HealthCheck):
        timeout = 0.05

        async def check_status(self) -> None:
            await sync_to_async(Hanging.check_status)(Hanging())

    settings.HEALTH_CHECK = THREADS
    check = AsyncHanging if asynchronous else Hanging
    mount_checks(check, Fine)
    try:
        found = client.get("/health/?format=json").json()
        span = spans.named(f"health_check.check {check.__name__}")
        root = spans.named("health_check.run")
    finally:
        release.set()
    assert found == {check.__name__: "unavailable: timed out after 0.05 s", "Fine": "OK"}
    assert attributes(span)["error.type"] == "timeout"
    assert attributes(span)["health_check.state"] == "error"
    assert span.status.status_code is StatusCode.ERROR
    assert is_child(span, root)
    assert ended.wait(10)
    assert spans.names == sorted(
        ["health_check.check Fine", f"health_check.check {check.__name__}", "health_check.run"]
    )


class Failing(trace.TracerProvider):
    """A provider that is broken."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        raise ZeroDivisionError


@pytest.mark.usefixtures("anywhere")
def test_observer__fails(mount_checks: Mount) -> None:
    """A provider that raises harms no check."""
    observer = SpanObserver(Failing())
    observers.register(observer)
    try:
        mount_checks(Fine, AsyncFine)
        assert [reading.pretty_status for reading in process.read().readings] == ["OK", "OK"]
    finally:
        observers.unregister(observer)


def test_observer__without_sdk(mount_checks: Mount) -> None:
    """Without an SDK the app's own observer follows runs that leave no trace."""
    mount_checks(Fine)
    shown: Sequence[Any] = process.read().readings
    assert [reading.pretty_status for reading in shown] == ["OK"]
    assert not trace.get_current_span().is_recording()
