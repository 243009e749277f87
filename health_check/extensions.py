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
from typing import Any

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
    "Verify",
    "View",
    "failed_exporters",
    "load_exporters",
    "outputs",
    "pages",
    "process_info",
    "process_role",
    "register_observer",
    "register_output",
    "register_page",
    "register_telemetry",
    "running_as",
    "sends_metrics",
    "telemetry",
    "triggered_by",
    "unregister_observer",
    "verify_output",
]

Output = Callable[[Overview, Mapping[str, Any]], str]
"""Sends what was found, given the options of the command, and returns a sentence that says so."""

View = Callable[..., Any]
"""A Django view."""

ShutDown = Callable[[float], None]
"""Sends what is left, for some seconds at most."""

SetUp = Callable[[], ShutDown | None]
"""Sets telemetry up; returns None, with nothing changed, where the user has done so."""

Verify = Callable[[Mapping[str, Any]], None]
"""Raises an ``OutputError`` where the options of the command say something that cannot be done."""


class Role(enum.StrEnum):
    """What a process is for."""

    SITE = "site"
    """It serves the site."""
    EXPORTER = "exporter"
    """It only shows how the site is, as ``manage.py health_exporter`` does."""
    COMMAND = "command"
    """It ends when it has said how things are."""


_outputs: dict[str, Output] = {}
_verifiers: dict[str, Verify] = {}
_pages: dict[str, View] = {}
_set_ups: list[SetUp] = []
_roles: list[Role] = [Role.SITE]


class OutputError(Exception):
    """Report why something could not be sent, and what to do."""


class TelemetryError(Exception):
    """Report why telemetry cannot be set up, and what to do."""


EXPORTERS = ("prometheus", "opentelemetry")
"""The short names of those that come with the package."""

_failed: dict[str, str] = {}


def load_exporters() -> None:
    """Load the exporters of ``HEALTH_CHECK["EXPORTERS"]``; one that cannot be loaded keeps nothing else from starting.

    An exporter is a package with a module ``registration`` that has a function ``register``, which may be called again.
    """
    _failed.clear()
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
            _failed[name] = f"{type(error).__name__}: {mask(str(error))}.{hint}"


def failed_exporters() -> Mapping[str, str]:
    """Return why exporters could not be loaded, by their names."""
    return dict(_failed)


def register_output(option: str, output: Output, *, verify: Verify | None = None) -> None:
    """Have the command send what it found.

    Args:
        option: The option that asks for it, as in ``"textfile"``.
        output: Sends it; may raise an ``OutputError``.
        verify: Finds out before checks run whether that can work, as far as that is known; default nothing does.
    """
    _outputs[option] = output
    if verify is not None:
        _verifiers[option] = verify


def outputs() -> Mapping[str, Output]:
    """Return the outputs by their options."""
    return dict(_outputs)


def verify_output(option: str, options: Mapping[str, Any]) -> None:
    """Find out whether an output can work, given the options of the command.

    Raises:
        OutputError: If it cannot.
    """
    if option in _verifiers:
        _verifiers[option](options)


def register_page(path: str, view: View) -> None:
    """Have the exporter process serve a page.

    Args:
        path: Where, as in ``"/metrics"``.
        view: A Django view.
    """
    _pages[path] = view


def pages() -> Mapping[str, View]:
    """Return the pages by their paths."""
    return dict(_pages)


def register_telemetry(set_up: SetUp) -> None:
    """Have this set up the telemetry of processes of our own.

    Args:
        set_up: Sets it up; may raise a ``TelemetryError``.
    """
    _set_ups[:] = [set_up]


def telemetry() -> SetUp | None:
    """Return what sets telemetry up, if there is something."""
    return _set_ups[0] if _set_ups else None


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
