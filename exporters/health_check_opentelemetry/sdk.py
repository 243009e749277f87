"""Set up the OpenTelemetry SDK, for processes that are ours; the one module that imports it."""

from __future__ import annotations

import sys

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor


def trace_to_console(service_name: str) -> bool:
    """Print each span to standard error as it ends, as JSON.

    Args:
        service_name: What the resource is called.

    Returns:
        False, with nothing changed, if somebody has set up an SDK already.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return False
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service_name}))
    provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    trace.set_tracer_provider(provider)
    return True
