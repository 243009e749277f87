"""What has the processes of a site send what they observe by OTLP."""

from __future__ import annotations

import pathlib
import sys


def sending(to: str, **more: str) -> dict[str, str]:
    """Return the environment variables of a process that sends what happens soon afterwards.

    Args:
        to: The address of the receiver.
        more: More variables, or others.
    """
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": to,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_BLRP_SCHEDULE_DELAY": "200",
        "OTEL_METRIC_EXPORT_INTERVAL": "500",
        **more,
    }


def instrument() -> pathlib.Path:
    """Return the program that sets up an SDK, and instruments what there is."""
    return pathlib.Path(sys.executable).with_name("opentelemetry-instrument")
