"""Set up the OpenTelemetry SDK, for the standalone exporter; the demo has its own."""

from __future__ import annotations

import importlib.metadata
import os
import threading
import time
from collections.abc import Sequence

from django.conf import settings
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from health_check.conf import host_name
from health_check.conf import settings as health_check_settings
from health_check.extensions import ShutDown, TelemetryError, process_role
from health_check_opentelemetry.observer import is_of_the_api

Provider = TracerProvider | MeterProvider

HTTP = "http/protobuf"
"""How to send, in the words of the variables that say how."""

PROTOCOLS = (
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
)
"""These variables."""

UNNAMED = "unknown_service"
"""What the SDK calls a service that nobody has named."""


def export_by_otlp() -> ShutDown | None:
    """Send spans and metrics by OTLP over HTTP, to where the ``OTEL_EXPORTER_OTLP_…`` variables say.

    The resource is what ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` say, else named after the project.
    ``OTEL_TRACES_EXPORTER=none`` and ``OTEL_METRICS_EXPORTER=none`` leave one of the two out.

    Returns:
        What sends the rest at the end; None, with nothing changed, if somebody has set up an SDK already.

    Raises:
        TelemetryError: If the package for it is not installed, or a variable cannot be used.
    """
    if _is_set_up():
        return None
    _refuse_other_protocols()
    providers: list[Provider] = []
    try:
        from health_check_opentelemetry.otlp import OTLPMetricExporter, OTLPSpanExporter

        resource = _resource()
        if _is_wanted("OTEL_TRACES_EXPORTER"):
            tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
            tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            providers.append(tracers)
        if _is_wanted("OTEL_METRICS_EXPORTER"):
            reader = PeriodicExportingMetricReader(OTLPMetricExporter())
            providers.append(MeterProvider([reader], resource=resource, shutdown_on_exit=False))
    except (ImportError, ValueError) as error:
        raise TelemetryError(f"OpenTelemetry cannot be set up: {error}") from error
    for provider in providers:
        if isinstance(provider, TracerProvider):
            trace.set_tracer_provider(provider)
        else:
            metrics.set_meter_provider(provider)
    return lambda seconds: _shut_down(providers, seconds)


def _shut_down(providers: Sequence[Provider], seconds: float) -> None:
    """Send the rest of all of them at once; who takes too long is left to itself."""
    threads = [threading.Thread(target=provider.shutdown, daemon=True) for provider in providers]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))


def _is_set_up() -> bool:
    """Return whether somebody has set up an SDK, or a part of it."""
    return not (is_of_the_api(trace.get_tracer_provider()) and is_of_the_api(metrics.get_meter_provider()))


def _refuse_other_protocols() -> None:
    for variable in PROTOCOLS:
        protocol = os.environ.get(variable, "").strip() or HTTP
        if protocol != HTTP:
            raise TelemetryError(
                f"{variable} is {protocol!r}: use {HTTP!r}, with an endpoint that takes it, "
                "or set up an SDK of your own, with opentelemetry-instrument say."
            )


def _is_wanted(variable: str) -> bool:
    return os.environ.get(variable, "").strip() != "none"


def _resource() -> Resource:
    """Return what the environment says of the service, and what can be found out where it says nothing."""
    stated = Resource.create().attributes
    project = str(getattr(settings, "SETTINGS_MODULE", "") or "django").partition(".")[0]
    found: dict[str, str] = {}
    if str(stated.get(SERVICE_NAME, UNNAMED)).startswith(UNNAMED):
        found[SERVICE_NAME] = project
    found["health_check.role"] = process_role().value
    if SERVICE_VERSION not in stated and (version := health_check_settings.RELEASE or _version_of(project)):
        found[SERVICE_VERSION] = version
    if SERVICE_INSTANCE_ID not in stated:
        found[SERVICE_INSTANCE_ID] = f"{host_name()}:{os.getpid()}"
    return Resource.create(found)


def _version_of(project: str) -> str:
    owners = importlib.metadata.packages_distributions().get(project, [])
    return importlib.metadata.version(owners[0]) if owners else ""
