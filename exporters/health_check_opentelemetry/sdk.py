"""Set up the OpenTelemetry SDK, for processes that are ours; the one module that imports it."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import sys
import threading

from django.conf import settings
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

from health_check.telemetry import ShutDown, TelemetryError

UNNAMED = "unknown_service"
"""What the SDK calls a service that nobody has named."""


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


def export_by_otlp() -> ShutDown | None:
    """Send spans and metrics by OTLP over HTTP, to where the ``OTEL_EXPORTER_OTLP_…`` variables say.

    The resource is what ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` say, else named after the project.

    Returns:
        What sends the rest at the end; None, with nothing changed, if somebody has set up an SDK already.

    Raises:
        TelemetryError: If the package for it is not installed, or a variable cannot be used.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    try:
        from health_check_opentelemetry.otlp import OTLPMetricExporter, OTLPSpanExporter

        resource = _resource()
        tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    except (ImportError, ValueError) as error:
        raise TelemetryError(f"OpenTelemetry cannot be set up: {error}") from error
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(meters)

    def shut_down(seconds: float) -> None:
        def work() -> None:
            tracers.shutdown()
            meters.shutdown(seconds * 1000)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        thread.join(seconds)

    return shut_down


def _resource() -> Resource:
    """Return what the environment says of the service, and what can be told where it says nothing."""
    stated = Resource.create().attributes
    project = str(getattr(settings, "SETTINGS_MODULE", "") or "django").partition(".")[0]
    found: dict[str, str] = {}
    if str(stated.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED):
        found[SERVICE_NAME] = project
    if SERVICE_VERSION not in stated and (version := _version_of(project)):
        found[SERVICE_VERSION] = version
    if SERVICE_INSTANCE_ID not in stated:
        found[SERVICE_INSTANCE_ID] = f"{socket.gethostname()}:{os.getpid()}"
    return Resource.create(found)


def _version_of(project: str) -> str:
    owners = importlib.metadata.packages_distributions().get(project, [])
    return importlib.metadata.version(owners[0]) if owners else ""
