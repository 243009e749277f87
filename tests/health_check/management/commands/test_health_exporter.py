"""``manage.py health_exporter``."""

from __future__ import annotations

import pathlib
import re
import signal
import socket

import pytest
from django.urls import path
from pytest_django import Settings

from health_check import extensions
from health_check.management.server import Server
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.bench import Script
from tests.support.checks import Broken, Fine
from tests.support.commands import Run
from tests.support.parsing import parse_text

COMMAND = "health_exporter"


@pytest.fixture
def site(mount: Mount) -> None:
    """A site with a health endpoint."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine, Broken]), name="health"))


@pytest.fixture
def without_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be where the Prometheus exporter is not installed."""
    monkeypatch.setattr(extensions, "pages", {})


def test_once__prints_the_metrics(run: Run, site: None) -> None:
    """The output is what a scrape of a running exporter would be, and nothing else."""
    ran = run("--once")
    assert (ran.code, ran.err) == (0, "")
    samples = {(s.name, s.labels.get("check")): s.value for family in parse_text(ran.out) for s in family.samples}
    assert samples["django_health_check_status", "Fine"] == 1
    assert samples["django_health_check_status", "Broken"] == 0


def test_once__runs_what_is_due_and_waits_for_it(run: Run, mount: Mount, settings: Settings) -> None:
    """A check that takes longer than a scrape may wait is there with its outcome, as nobody scrapes."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4, "SCRAPE_WAIT": 0}
    script = Script()
    check = script.define().check_class
    mount(path("health/", HealthCheckView.as_view(checks=[check]), name="health"))
    assert f'django_health_check_status{{check="{check.__name__}"}} 1.0' in run("--once").out
    assert script.runs == 1


def test_once__without_metrics(run: Run, site: None, without_metrics: None) -> None:
    """Where there is nothing to print, it says what to install."""
    ran = run("--once")
    assert (ran.code, ran.out) == (2, "")
    assert "There are no metrics: name 'prometheus' in HEALTH_CHECK['EXPORTERS']." in ran.err


@pytest.mark.parametrize("args", [(), ("--once",)])
def test_command__without_endpoints(run: Run, mount: Mount, args: tuple[str, ...]) -> None:
    """A site that mounts no health endpoint is told how to."""
    mount()
    ran = run("--port", "0", *args)
    assert (ran.code, ran.out) == (2, "")
    assert 'There is no health endpoint: add path("health/", include("health_check.urls")) to urls.py.' in ran.err


@pytest.mark.parametrize("port", ["-1", "65536", "http", "", "9808.5"])
def test_command__no_port(run: Run, port: str) -> None:
    """What is no port is refused, with what is one."""
    ran = run(f"--port={port}")
    assert ran.code == 2
    assert f"{port!r} is not a port: use a number from 0 to 65535" in ran.err


def test_command__address_that_cannot_be_had(run: Run, site: None) -> None:
    """A port that is taken, or an address of another host, is an error that names it, and the options to choose."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for host, port in (("127.0.0.1", taken.getsockname()[1]), ("192.0.2.1", 0)):
            ran = run("--host", host, "--port", str(port))
            assert (ran.code, ran.out) == (2, "")
            assert f"Cannot listen on {host}:{port} (" in ran.err
            assert "Choose another address with --host and --port." in ran.err


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server end before anybody asks it; processes that are asked are in the tests of the whole."""
    monkeypatch.setattr(Server, "serve", lambda server, stop: server.server_close())
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)


def test_command__says_what_it_serves(run: Run, site: None, unasked: None) -> None:
    """It says what it serves and where the records are, and runs the scheduler."""
    ran = run("--port", "0")
    assert (ran.code, ran.err) == (0, "")
    serving, records, stopped = ran.out.splitlines()
    assert re.fullmatch(r"Serving /metrics, /health/ on http://127\.0\.0\.1:\d+", serving)
    assert (records, stopped) == ("Records: the memory of each process", "Stopped.")
    assert runtime.get().scheduler._state == "running"


def test_command__says_what_is_missing(
    run: Run, site: None, unasked: None, without_metrics: None, settings: Settings, tmp_path: pathlib.Path
) -> None:
    """Without the Prometheus exporter, and with a store that cannot be used, it serves all the same, and says so."""
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "store.sqlite3"
    store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": str(place)}}
    settings.HEALTH_CHECK = {"STORE": store}
    ran = run("--port", "0")
    assert (ran.code, "Serving /health/ on" in ran.out) == (0, True)
    assert "There will be no /metrics: name 'prometheus' in HEALTH_CHECK['EXPORTERS']." in ran.err
    assert re.search(rf"Records: {place}, cannot be used \(.+\); this process keeps its records in memory\.", ran.out)
