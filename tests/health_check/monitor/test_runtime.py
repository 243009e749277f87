"""What a process holds."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import threading
import time

import pytest
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.monitor import runtime
from health_check.monitor.reports import Overview
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.bench import eventually
from tests.support.checks import Broken

SECONDS = 20.0


class Ready(HealthCheck):
    """A check that is content."""

    def check_status(self) -> None:
        """Be content."""


def test_current__is_one_until_settings_or_the_urlconf_change(settings: Settings, mount: Mount) -> None:
    """Everybody gets the same monitor and catalogue; another URLconf has other endpoints; a setting goes before it."""
    before = runtime.get()
    assert (runtime.get(), runtime.get().monitor, runtime.get().catalogue) == (before, before.monitor, before.catalogue)
    for name in ("one", "two"):
        mount(path(f"{name}/", HealthCheckView.as_view(checks=[]), name=name))
        assert [endpoint.name for endpoint in runtime.get().catalogue.endpoints] == [name]
    settings.HEALTH_CHECK = {"URLCONF": "tests.urls"}
    assert runtime.get() is not before
    assert [endpoint.name for endpoint in runtime.get().catalogue.endpoints] == ["health_check", "live"]


def test_read__reports_every_endpoint_on_one_reading(mount: Mount) -> None:
    """A check of two endpoints is read once, and both reports show that reading."""
    mount(
        path("one/", HealthCheckView.as_view(checks=[Ready]), name="one"),
        path("two/", HealthCheckView.as_view(checks=[Ready]), name="two"),
    )
    overview = runtime.read()
    assert [reading.label for reading in overview.readings] == ["Ready"]
    assert [report.name for report in overview.reports] == ["one", "two"]
    assert all(report.readings[0] is overview.readings[0] for report in overview.reports)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("shares", [False, True], ids=["memory", "file"])
def test_fork__child_starts_with_nothing_of_its_parent(
    settings: Settings, mount: Mount, tmp_path: pathlib.Path, shares: bool
) -> None:
    """A child has no threads and no held locks of its parent's; it runs checks unless the store has them, as before."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4, **({"STORE": store_at(tmp_path)} if shares else {})}
    mount(path("one/", HealthCheckView.as_view(checks=[Ready]), name="one"))
    assert _pid_of(runtime.read()) == os.getpid()
    parent = os.getpid()
    with runtime.get().monitor._records.lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if _pid_of(runtime.read()) == (parent if shares else os.getpid()) else 1)
    assert _exit_code_of(child) == 0
    assert _pid_of(runtime.read()) == parent
    record = runtime.read(force=True).readings[0].record
    assert record is not None
    assert record.seq == 2
    assert runtime.get().monitor.store_client.up


SCHEDULED = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4, "SCHEDULER": True}


@pytest.mark.parametrize("scheduler", [True, False])
@pytest.mark.parametrize("asynchronous", [True, False])
def test_scheduler__starts_with_the_first_reading(
    settings: Settings, mount: Mount, scheduler: bool, asynchronous: bool
) -> None:
    """Where the site says so, a process that is asked for the first time goes on running its checks by itself."""
    settings.HEALTH_CHECK = {**SCHEDULED, "SCHEDULER": scheduler}
    mount(
        path("one/", HealthCheckView.as_view(checks=[Ready]), name="one"),
        path("two/", HealthCheckView.as_view(checks=[Noted]), name="two"),
    )
    Noted.ran.clear()
    check_set = runtime.get().catalogue.check_set
    (one, _) = check_set.members
    if asynchronous:
        asyncio.run(runtime.aread([one], check_set=check_set))
    else:
        runtime.read([one])
    assert Noted.ran.wait(SECONDS if scheduler else 0.1) is scheduler


class Noted(HealthCheck):
    """A check that says when it ran."""

    ran = threading.Event()

    def check_status(self) -> None:
        self.ran.set()


def thread_of(name: str, before: set[threading.Thread]) -> threading.Thread:
    """Return the thread of a name that has been started."""
    (thread,) = {thread for thread in set(threading.enumerate()) - before if thread.name == f"health-check-{name}"}
    return thread


def test_scheduler__is_one_and_ends_with_the_process(settings: Settings) -> None:
    """Every reading gets the same; under other settings the old one ends."""
    settings.HEALTH_CHECK = SCHEDULED
    before = set(threading.enumerate())
    for _ in range(3):
        runtime.read()
    thread = thread_of("scheduler", before)
    runtime.reset()
    thread.join(SECONDS)
    assert not thread.is_alive()


def test_store_summary_and_history__of_what_was_read(settings: Settings, mount: Mount) -> None:
    """What is counted and what there was before are those of the checks read."""
    settings.HEALTH_CHECK = {"MAX_AGE": 0, "MAX_CONCURRENCY": 4}
    mount(path("one/", HealthCheckView.as_view(checks=[Ready]), name="one"))
    for number in range(1, 4):
        readings = runtime.read().readings
        store_summary, history = runtime.store_summary(readings), runtime.history(readings)
        assert store_summary.totals is not None
        assert sum(store_summary.totals["Ready"].runs.values()) == history.half_hours["Ready"][-1].runs == number
    assert runtime.history(readings) is history


def test_reset__ends_its_threads(
    settings: Settings, mount: Mount, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under other settings the threads end that ran checks, worked with the store, and sent signals before."""
    for module in ("health_check.concurrency.worker", "health_check.runner.pool"):
        monkeypatch.setattr(f"{module}.IDLE_SECONDS", 3600.0)  # after which they would end anyway
    settings.HEALTH_CHECK = {"STORE": store_at(tmp_path), "MAX_CONCURRENCY": 4}
    mount(path("one/", HealthCheckView.as_view(checks=[Broken]), name="one"))
    before = set(threading.enumerate())
    runtime.read()
    runtime.flush(SECONDS)
    started = set(threading.enumerate()) - before
    assert {f"health-check-{name}" for name in ("store", "run", "notify")} <= {thread.name for thread in started}
    settings.HEALTH_CHECK = {}
    eventually(lambda: not any(thread.is_alive() for thread in started))


def store_at(folder: pathlib.Path) -> dict[str, object]:
    """Return a setting for records in a file."""
    return {
        "BACKEND": "health_check.stores.sqlite.SQLiteStore",
        "OPTIONS": {"path": str(folder / "store.sqlite3")},
    }


def _pid_of(overview: Overview) -> int:
    record = overview.readings[0].record
    return record.result.pid if record else -1


def _exit_code_of(child: int) -> int:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        threading.Event().wait(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError("the child hangs")
