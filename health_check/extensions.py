"""The one door of exporters: what they bring to the core, and what they follow runs with.

An output is where ``manage.py health_check`` sends what it found, besides printing it. A page is what the exporter
process serves beside the health endpoints. Telemetry is what processes of our own send. An observer follows runs.
"""

from __future__ import annotations

import contextlib
import enum
import importlib
import platform
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import django
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started

from health_check._version import __version__
from health_check.conf import host_name, nearest, settings
from health_check.monitor.reports import Overview
from health_check.redaction import mask
from health_check.registry.definitions import Definition
from health_check.runner.observers import (
    Observer,
    RoundObserver,
    RunObserver,
    Trigger,
    register_observer,
    triggered_by,
    unregister_observer,
)

__all__ = [
    "Definition",
    "Observer",
    "Output",
    "OutputError",
    "Role",
    "RoundObserver",
    "RunObserver",
    "SetUp",
    "ShutDown",
    "TelemetryError",
    "Trigger",
    "View",
    "failed_exporters",
    "load_exporters",
    "outputs",
    "pages",
    "process_info",
    "process_role",
    "register_observer",
    "running_as",
    "sends_metrics",
    "telemetry",
    "triggered_by",
    "unregister_observer",
]

View = Callable[..., Any]
"""A Django view."""

ShutDown = Callable[[float], None]
"""Sends what is left, for some seconds at most."""

SetUp = Callable[[], ShutDown | None]
"""Sets telemetry up; returns None, with nothing changed, where the user has done so; may raise a TelemetryError."""


class Output(NamedTuple):
    """Where ``manage.py health_check`` sends what it found."""

    send: Callable[[Overview, Mapping[str, Any]], str]
    """Sends it, given the options of the command, and returns a sentence that says so; may raise an OutputError."""
    verify: Callable[[Mapping[str, Any]], None]
    """Raises an OutputError, before checks run, where the options say something that cannot be done."""


class Role(enum.StrEnum):
    """What a process is for."""

    SITE = "site"
    """It serves the site."""
    EXPORTER = "exporter"
    """It only shows how the site is, as ``manage.py health_exporter`` does."""
    COMMAND = "command"
    """It ends when it has said how things are."""


outputs: dict[str, Output] = {}
"""The outputs of the command, by the options that ask for them, as in ``"textfile"``."""

pages: dict[str, View] = {}
"""What the exporter process serves beside the endpoints, by paths, as in ``"/metrics"``."""

telemetry: dict[str, SetUp] = {}
"""What sets up the telemetry of processes of our own, by protocol, as in ``"otlp"``."""

failed_exporters: dict[str, str] = {}
"""Why exporters could not be loaded, by their names."""

_roles: list[Role] = [Role.SITE]


class OutputError(Exception):
    """Report why something could not be sent, and what to do."""


class TelemetryError(Exception):
    """Report why telemetry cannot be set up, and what to do."""


EXPORTERS = ("prometheus", "opentelemetry")
"""The short names of those that come with the package."""


def load_exporters() -> None:
    """Load the exporters of ``HEALTH_CHECK["EXPORTERS"]``; one that cannot be loaded keeps nothing else from starting.

    An exporter is a package with a module ``registration`` that has a function ``register``, which may be called again.
    """
    failed_exporters.clear()
    try:
        names = settings.EXPORTERS
    except ImproperlyConfigured:  # a system check says so
        return
    for name in names:
        package = name if "." in name or name.startswith("health_check_") else f"health_check_{name}"
        try:
            importlib.import_module(f"{package}.registration").register()
        except Exception as error:
            hint = nearest(name, EXPORTERS) if name not in EXPORTERS else ""
            failed_exporters[name] = f"{type(error).__name__}: {mask(str(error))}.{hint}"


@contextlib.contextmanager
def running_as(role: Role) -> Iterator[None]:
    """Have this process be of another kind meanwhile, in all its threads.

    Args:
        role: What the process is for.
    """
    _roles.append(role)
    try:
        yield
    finally:
        _roles.remove(role)


def process_role() -> Role:
    """Return what this process is for: to serve the site, unless one of our commands runs it."""
    return _roles[-1]


def process_info(role: Role | None = None) -> dict[str, str]:
    """Return what a process is: its role, versions, store, and the host that the store knows it by.

    Args:
        role: What it is for; default what this process is for.
    """
    store = settings.STORE
    return {
        "role": (role or process_role()).value,
        "version": __version__,
        "django": django.get_version(),
        "python": platform.python_version(),
        "store": store["BACKEND"].rpartition(".")[2],
        "host": host_name(),
    }


_served: list[None] = []


def sends_metrics() -> bool:
    """Return whether this process sends metrics on its own account, as ``HEALTH_CHECK["OTEL_METRICS"]`` says.

    A server is a process that has answered a request; commands, shells and workers of queues have not.
    """
    which = settings.OTEL_METRICS
    is_server = bool(_served) or process_role() is Role.EXPORTER
    return which == "all" or (which == "servers" and is_server)


def _note_request(**_: Any) -> None:
    _served[:] = [None]
    request_started.disconnect(dispatch_uid=NOTE_REQUEST)  # once is enough


NOTE_REQUEST = "health_check.extensions"
request_started.connect(_note_request, dispatch_uid=NOTE_REQUEST)
