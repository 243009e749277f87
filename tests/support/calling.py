"""Checks that call something, as an instrumented client would, and come out as a test says."""

from __future__ import annotations

import dataclasses
import itertools

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.propagate import inject
from opentelemetry.trace import TraceFlags

from health_check.backends import HealthCheck
from tests.support.recording import Spans

CALL = "GET"
"""The name of the span of a call."""


@dataclasses.dataclass(frozen=True)
class Client:
    """An instrumented client: a call has a span, and the other side hears of it."""

    spans: Spans
    heard: list[str] = dataclasses.field(default_factory=list)
    """What each call had as its ``traceparent``; empty where it had none."""

    def call(self) -> None:
        """Call."""
        headers: dict[str, str] = {}
        if is_instrumentation_enabled():
            with self.spans.tracer.start_as_current_span(CALL):
                inject(headers)
        self.heard.append(headers.get("traceparent", ""))

    @property
    def sampled(self) -> list[bool]:
        """Of each call, whether the other side was told that it is sampled."""
        return [bool(int(traceparent[-2:] or "0", 16) & TraceFlags.SAMPLED) for traceparent in self.heard]


def calling(client: Client, name: str, *outcomes: Exception | None, asynchronous: bool = False) -> type[HealthCheck]:
    """Return a check that calls, and then raises, or not.

    Args:
        client: What it calls with.
        name: Its label.
        outcomes: What its runs raise, one after the other; the last one goes on.
        asynchronous: Whether it is a coroutine.
    """
    coming = itertools.chain(outcomes, itertools.repeat(outcomes[-1] if outcomes else None))

    def check_status(self: HealthCheck) -> None:
        client.call()
        if (outcome := next(coming)) is not None:
            raise outcome

    async def check_status_async(self: HealthCheck) -> None:
        check_status(self)

    return type(name, (HealthCheck,), {"check_status": check_status_async if asynchronous else check_status})


def working(spans: Spans, name: str) -> type[HealthCheck]:
    """Return a check of this name that makes a span itself."""

    def check_status(self: HealthCheck) -> None:
        with spans.tracer.start_as_current_span(f"work of {name}"):
            pass

    return type(name, (HealthCheck,), {"check_status": check_status})
