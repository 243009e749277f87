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
from health_check.stores.sqlite import SQLiteStore
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.bench import eventually

SECONDS = 20.0


class Ready(HealthCheck):
    """A check that is content."""

    def check_status(self) -> None:
        """Be content."""


def test_current__is_one_for_all() -> None:
    """Everybody gets the same monitor and the same catalogue."""
    assert runtime.get() is runtime.get()
    assert runtime.get().monitor is runtime.get().monitor
    assert runtime.get().catalogue is runtime.get().catalogue


def test_current__is_made_anew_under_other_settings(settings: Settings) -> None:
    """Nothing is kept that was made under other settings."""
    before = runtime.get()
    settings.HEALTH_CHECK = {"MAX_AGE": 3}
    assert runtime.get() is not before


def test_catalogue__follows_the_urlconf(mount: Mount) -> None:
    """Another URLconf has other endpoints."""
    mount(path("one/", HealthCheckView.as_view(checks=[]), name="one"))
    assert [endpoint.name for endpoint in runtime.get().catalogue.endpoints] == ["one"]
    mount(path("two/", HealthCheckView.as_view(checks=[]), name="two"))
    assert [endpoint.name for endpoint in runtime.get().catalogue.endpoints] == ["two"]


def test_catalogue__setting_names_the_urlconf(settings: Settings, mount: Mount) -> None:
    """HEALTH_CHECK["URLCONF"] goes before ROOT_URLCONF."""
    mount(path("one/", HealthCheckView.as_view(checks=[]), name="one"))
    settings.HEALTH_CHECK = {"URLCONF": "tests.urls"}
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
def test_fork__child_starts_with_nothing_of_its_parent(settings: Settings, mount: Mount) -> None:
    """A child has no threads and no held locks of its parent's, and reads its checks itself."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4}
    mount(path("one/", HealthCheckView.as_view(checks=[Ready]), name="one"))
    parent_pid = _pid_of(runtime.read())
    lock = runtime.get().monitor._records.lock
    with lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if _pid_of(runtime.read()) == os.getpid() else 1)
    assert _exit_code_of(child) == 0
    assert parent_pid == os.getpid()
    assert _pid_of(runtime.read()) == os.getpid()


SCHEDULED = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4, "SCHEDULER": True}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_fork__child_shares_the_store(settings: Settings, mount: Mount, tmp_path: pathlib.Path) -> None:
    """A child sees the fresh record of its parent and runs nothing; the parent goes on with the store."""
    options = {"path": str(tmp_path / "store.sqlite3")}
    store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": options}
    settings.HEALTH_CHECK = {"MAX_AGE": 60, "MAX_CONCURRENCY": 4, "STORE": store}
    mount(path("one/", HealthCheckView.as_view(checks=[Ready]), name="one"))
    parent_pid = _pid_of(runtime.read())
    child = os.fork()
    if child == 0:
        os._exit(0 if _pid_of(runtime.read()) == parent_pid else 1)
    assert _exit_code_of(child) == 0
    record = runtime.read(force=True).readings[0].record
    assert record is not None
    assert record.seq == 2
    assert isinstance(runtime.get().monitor.store_client._store, SQLiteStore)
    assert runtime.get().monitor.store_client.up


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


def test_scheduler__is_one_and_ends_with_the_process(settings: Settings) -> None:
    """Every reading gets the same; under other settings the old one ends."""
    settings.HEALTH_CHECK = SCHEDULED
    before = {thread for thread in threading.enumerate() if thread.name == "health-check-scheduler"}
    for _ in range(3):
        runtime.read()
    (thread,) = {thread for thread in threading.enumerate() if thread.name == "health-check-scheduler"} - before
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


def test_reset__lets_the_store_go(settings: Settings, mount: Mount, tmp_path: pathlib.Path) -> None:
    """Under other settings the thread that worked with the store before ends."""
    options = {"path": str(tmp_path / "store.sqlite3")}
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": options}}
    mount(path("one/", HealthCheckView.as_view(checks=[Ready]), name="one"))
    before = {thread for thread in threading.enumerate() if thread.name == "health-check-store"}
    runtime.read()
    (thread,) = {thread for thread in threading.enumerate() if thread.name == "health-check-store"} - before
    settings.HEALTH_CHECK = {}
    eventually(lambda: not thread.is_alive())


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
