"""The app where no SDK is set up, or none is installed: it costs nothing, and nothing is wrong."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import subprocess

import pytest
from opentelemetry import trace
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.runner.observers import Observers, RoundObserver, Trigger
from health_check_opentelemetry import SpanObserver
from tests.conftest import Mount
from tests.support.checks import AsyncFine, Broken, Fine
from tests.support.servers import clean_environment, manage
from tests.support.site.configuration import Site

NOT_INSTALLED = "import sys\nsys.modules['opentelemetry.sdk'] = None\n"
"""What a process does first that cannot import the SDK."""

SETTINGS = """\
from tests.support.plain.settings import *
ROOT_URLCONF = "bare_urls"
"""
URLS = """\
from django.urls import path
from health_check.views import HealthCheckView
CHECKS = ["tests.support.checks.Fine", "tests.support.checks.AsyncFine", "health_check.Cache"]
urlpatterns = [path("health/", HealthCheckView.as_view(checks=CHECKS))]
"""


@pytest.mark.parametrize("traces", ["all", "failures", "none"])
def test_observer__does_nothing(settings: Settings, mount_checks: Mount, traces: str) -> None:
    """Without an SDK the app follows nothing, and checks are shown as ever."""
    settings.HEALTH_CHECK = {"TRACES": traces, "MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    mount_checks(Fine, AsyncFine, Broken)
    shown = {reading.label: reading.state.value for reading in runtime.read().readings}
    assert shown == {"Fine": "ok", "AsyncFine": "ok", "Broken": "error"}
    assert type(SpanObserver().round(Trigger.REQUEST, failing=True)) is RoundObserver
    assert Observers(failing=True)._rounds == []
    assert not trace.get_current_span().is_recording()


@dataclasses.dataclass(frozen=True, kw_only=True)
class BareSite(Site):
    """A site that has nothing of OpenTelemetry's but what our app brings."""

    def environment(self) -> dict[str, str]:
        (self.folder / "bare_settings.py").write_text(SETTINGS)
        (self.folder / "bare_urls.py").write_text(URLS)
        path = os.pathsep.join([str(self.folder), clean_environment()["PYTHONPATH"]])
        return {**super().environment(), "DJANGO_SETTINGS_MODULE": "bare_settings", "PYTHONPATH": path}


def run(folder: pathlib.Path, installed: bool, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of a site, with the SDK installed or not, but set up by nobody."""
    if not installed:
        (folder / "sitecustomize.py").write_text(NOT_INSTALLED)
    return manage(BareSite(folder=folder), *arguments)


@pytest.mark.parametrize("installed", [True, False], ids=["not set up", "not installed"])
def test_process__works(tmp_path: pathlib.Path, installed: bool) -> None:
    """A process without an SDK runs its checks and shows their metrics, and says nothing more."""
    done = run(tmp_path, installed, "health_exporter", "--once")
    assert (done.returncode, done.stderr) == (0, "")
    for label in ("Fine", "AsyncFine", "Cache"):
        assert f'django_health_check_status{{check="{label}"}} 1.0' in done.stdout


def test_process__cannot_send_what_nothing_is_there_to_make(tmp_path: pathlib.Path) -> None:
    """Who wants to send without the package is told so, with exit code 2."""
    done = run(tmp_path, False, "health_exporter", "--once", "--otlp")
    assert (done.returncode, done.stdout) == (2, "")
    assert "OpenTelemetry cannot be set up: " in done.stderr
    assert "opentelemetry.sdk" in done.stderr
    assert "Traceback" not in done.stderr
