"""The spans of runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from opentelemetry import trace
from opentelemetry.metrics import Meter, NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import StatusCode, Tracer
from pytest_django import Settings

from health_check import extensions
from health_check.backends import HealthCheck
from health_check.exceptions import ServiceWarning
from health_check.monitor import runtime
from health_check.runner import observers
from health_check_opentelemetry import SpanObserver
from health_check_opentelemetry.registration import register
from health_check_opentelemetry.scope import SCHEMA_URL
from tests.conftest import Mount
from tests.exporters.health_check_opentelemetry.conftest import THREADS
from tests.support.bench import SECONDS, eventually
from tests.support.checks import AsyncBroken, AsyncFine, BaseBlown, Blown, Broken, Exiting, Fine, Shaky, TwiceBroken
from tests.support.recording import ROUND, Spans, an_sdk, attributes, following, is_child, labels, recording_spans


@pytest.mark.usefixtures("anywhere")
def test_round__root_with_a_child_for_each_check(spans: Spans, mount_checks: Mount) -> None:
    """A round of runs is a root span, each run a child that is named by its label and lies within."""
    mount_checks(Fine, (Fine, {"name": "Größe 🐍"}), AsyncFine, Broken)
    runtime.read()
    root = spans.named(ROUND)
    assert root.parent is None
    children = [span for span in spans.finished if span is not root]
    # One class with equal options is one check, whatever it is called.
    assert sorted(span.name for span in children) == [
        "health_check.check AsyncFine",
        "health_check.check Broken",
        "health_check.check Größe 🐍",
    ]
    for child in children:
        assert is_child(child, root)
        (began, ended), (start, end) = times(root), times(child)
        assert began <= start <= end <= ended


@pytest.mark.usefixtures("anywhere")
def test_attributes__of_a_check_in_order(spans: Spans, mount_checks: Mount) -> None:
    """The span of a run has the facts of the check and its outcome, and no error."""
    mount_checks((Fine, {"critical_service": False}))
    [shown] = runtime.read().readings
    span = spans.of_check("Fine")
    found = attributes(span)
    assert found == {
        "health_check.name": "Fine",
        "health_check.backend": "tests.support.checks.Fine",
        "health_check.critical": False,
        "health_check.state": "ok",
        "health_check.status": 1,
        "health_check.time_taken": shown.time_taken,
        "code.function.name": "tests.support.checks.Fine.check_status",
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
        (BaseBlown, "tests.support.checks.NoException", "unknown error"),
    ],
)
def test_attributes__of_an_error(
    spans: Spans, mount_checks: Mount, check: type, error_type: str, description: str
) -> None:
    """The span of a run that failed says with what, and no text that was not meant for readers."""
    mount_checks(check)
    runtime.read()
    span = spans.named(f"health_check.check {check.__name__}")
    found = attributes(span)
    assert (found["health_check.state"], found["health_check.status"]) == ("error", 0)
    assert found["error.type"] == error_type
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == description
    assert "nobody meant" not in span.to_json()


def test_attributes__of_a_warning(spans: Spans, mount_checks: Mount) -> None:
    """A warning is a state of its own and no error of the span; a secret in its text is in none of it."""

    class Leaking(HealthCheck):
        def check_status(self) -> None:
            self.add_error(ServiceWarning("cannot reach redis://user:geheim@host/0"))

    mount_checks(Leaking)
    runtime.read()
    span = spans.of_check("Leaking")
    found = attributes(span)
    assert (found["health_check.state"], found["health_check.status"]) == ("warning", 0)
    assert span.status.status_code is not StatusCode.ERROR
    assert "geheim" not in span.to_json()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(
    ("ask", "trigger"),
    [
        (lambda client: client.get("/health/"), "request"),
        (lambda client: client.get("/metrics"), "scrape"),
        (lambda client: call_command("health_check", verbosity=0), "command"),
        (lambda client: runtime.get().scheduler.trigger_due(), "scheduler"),
    ],
    ids=["request", "scrape", "command", "scheduler"],
)
def test_round__trigger(
    spans: Spans, mount_checks: Mount, client: Client, ask: Callable[[Client], object], trigger: str
) -> None:
    """The span of a round says what had its checks run."""
    mount_checks(Fine, AsyncFine)
    ask(client)
    eventually(lambda: ROUND in spans.names)
    assert attributes(spans.named(ROUND))["health_check.trigger"] == trigger


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize(
    ("checks", "worst", "counts"),
    [
        ((Fine, AsyncFine), "ok", (0, 0, 2)),
        ((Fine, Shaky), "warning", (0, 1, 1)),
        ((Broken, Shaky, Fine), "error", (1, 1, 1)),
    ],
)
def test_round__says_how_bad_it_is(
    spans: Spans, mount_checks: Mount, checks: tuple[type[HealthCheck], ...], worst: str, counts: tuple[int, ...]
) -> None:
    """The root span has the worst state and how many checks are in each, by which samplers find rounds that failed."""
    mount_checks(*checks)
    runtime.read()
    root = spans.named(ROUND)
    found = attributes(root)
    assert found["health_check.state"] == worst
    assert tuple(found[f"health_check.checks.{state}"] for state in ("error", "warning", "ok")) == counts
    assert (root.status.status_code is StatusCode.ERROR) is (worst == "error")
    scope = root.instrumentation_scope
    assert scope is not None
    assert scope.schema_url == SCHEMA_URL


def times(span: ReadableSpan) -> tuple[int, int]:
    """Return when a span began and ended."""
    assert span.start_time is not None
    assert span.end_time is not None
    return span.start_time, span.end_time


class Failing(trace.TracerProvider):
    """A provider that is broken."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        raise ZeroDivisionError


class FailingMeters(NoOpMeterProvider):
    """A provider that is broken, too."""

    def get_meter(self, *args: object, **kwargs: object) -> Meter:
        raise ZeroDivisionError


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("broken", ["spans", "metrics"])
def test_observer__fails(mount_checks: Mount, broken: str) -> None:
    """A provider that raises harms no check; where runs cannot be recorded, spans end all the same."""
    mount_checks(Fine, AsyncFine)
    with an_sdk() as spans:
        observer = SpanObserver(Failing()) if broken == "spans" else SpanObserver(spans.provider, FailingMeters())
        with following(observer):
            assert [reading.pretty_status for reading in runtime.read().readings] == ["OK", "OK"]
        names = ["health_check.check AsyncFine", "health_check.check Fine", ROUND]
        assert spans.names == (names if broken == "metrics" else [])


def test_observer__asks_for_one_tracer(mount_checks: Mount) -> None:
    """A provider is asked for a tracer once, however many rounds there are: the SDK's call is no cheap one."""

    class Counting(TracerProvider):
        asked = 0

        def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
            self.asked += 1
            return super().get_tracer(*args, **kwargs)

    provider = Counting(shutdown_on_exit=False)
    with following(SpanObserver(provider)):
        mount_checks(Fine)
        for _ in range(3):
            runtime.read(force=True)
    assert provider.asked == 1


@pytest.mark.parametrize("settings_of_site", [{"TRACES": "some"}, {"TRACES": None, "MAX_CONCURRENCY": 4}])
def test_observer__of_a_bad_setting(
    settings: Settings, spans: Spans, mount_checks: Mount, caplog: pytest.LogCaptureFixture, settings_of_site: object
) -> None:
    """Where it cannot be told what to trace nothing is, checks are shown, and the log says why, once."""
    settings.HEALTH_CHECK = settings_of_site
    mount_checks(Fine, AsyncFine)
    for _ in range(2):
        shown = runtime.read(force=True).readings
        assert [reading.pretty_status for reading in shown] == ["OK", "OK"]
    assert spans.names == []
    runtime.flush(SECONDS)  # the log is written on a thread of its own
    assert caplog.text.count("An observer of health checks failed.") == 1
    assert "HEALTH_CHECK['TRACES'] is " in caplog.text


@pytest.mark.parametrize("bad", ["nonsense", {"TRACES": 3, "DURATION_BUCKETS": 0, "SCRAPE_WAIT": "long"}])
def test_register__needs_no_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch, bad: object) -> None:
    """The app gets ready whatever the settings are."""
    monkeypatch.setattr(observers, "_observers", [])
    monkeypatch.setattr(extensions, "telemetry", {})
    settings.HEALTH_CHECK = bad
    register.__wrapped__()
    assert [type(observer) for observer in observers._observers] == [SpanObserver]
    assert "otlp" in extensions.telemetry


def exemplars() -> dict[str, dict[str, str]]:
    """Return what finds the last run of each check elsewhere."""
    readings = runtime.read().readings
    return {reading.label: dict(reading.record.result.exemplar) for reading in readings if reading.record}


@pytest.mark.usefixtures("anywhere")
def test_exemplar__of_a_sampled_span(settings: Settings, spans: Spans, mount_checks: Mount, client: Client) -> None:
    """The exemplar of each run has the ids of its span, in the record and on the page, in hexadecimal."""
    mount_checks(Fine, AsyncFine, Broken)
    page = client.get("/metrics", headers={"Accept": "application/openmetrics-text"}).content.decode()
    pattern = r'duration_seconds_bucket\{check="(\w+)".*# \{span_id="([0-9a-f]{16})",trace_id="([0-9a-f]{32})"\}'
    shown = {
        check: {"trace_id": trace_id, "span_id": span_id} for check, span_id, trace_id in re.findall(pattern, page)
    }
    assert shown == {name: labels(spans.of_check(name)) for name in ("Fine", "AsyncFine", "Broken")}
    if settings.HEALTH_CHECK:
        assert exemplars() == shown


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("without", ["sampled spans", "an SDK", "traces"])
def test_exemplar__none_that_leads_nowhere(settings: Settings, mount_checks: Mount, without: str) -> None:
    """Where no trace is kept there is no example."""
    mount_checks(Fine, AsyncFine, Broken)
    if without == "traces":
        settings.HEALTH_CHECK = {**THREADS, "TRACES": "none"}
    unfollowed = following(SpanObserver(trace.NoOpTracerProvider()))
    with unfollowed if without == "an SDK" else recording_spans(ALWAYS_OFF if without == "sampled spans" else None):
        assert exemplars() == {"Fine": {}, "AsyncFine": {}, "Broken": {}}
