"""A file of records that is damaged, locked or gone, and a process that is killed: health answers go on."""

from __future__ import annotations

import contextlib
import errno
import pathlib
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from io import RawIOBase

import pytest

from tests.support.client import eventually
from tests.support.files import emptied, halved, noise, replace_by_folder
from tests.support.observer import MAX_AGE, Observer
from tests.support.repetitions import long
from tests.support.servers import as_nobody, for_everybody, site_under_gunicorn, site_under_wrapped_gunicorn
from tests.support.services import require
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

WORKERS = 2
ARGUMENTS = [f"--workers={WORKERS}", "--threads=1"]
LABELS = ["Counting", "Flip"]

NOTICED_SECONDS = 2.0
"""How soon all processes say that the store cannot be used: they look every second."""

FAULT_SECONDS = 3.0
WINDOW_SECONDS = 2 * MAX_AGE


def site_of(folder: pathlib.Path, *more: object, path: pathlib.Path | None = None) -> Site:
    """Return a site whose records are in the default file, or in another one."""
    options = {} if path is None else {"path": str(path)}
    store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": options}
    checks = [*(f"tests.support.site.checks.{label}" for label in LABELS), *more]
    return Site(folder=folder, checks=checks, max_age=MAX_AGE, health_check={"STORE": store} if options else {})


@pytest.fixture
def observer(tmp_path: pathlib.Path) -> Iterator[Observer]:
    """A client of a site of several processes that share the default file."""
    site = site_of(tmp_path)
    with site_under_gunicorn(site, *ARGUMENTS) as server:
        found = Observer(server, site.folder, LABELS)
        with found.watching():
            found.learn_what_is_normal()
            yield found


def default_file(observer: Observer) -> pathlib.Path:
    """Return the file that the site's processes share."""
    (file,) = (observer.folder / "tmp").glob("django-health-check-*/*.sqlite3")
    return file


def deleted(file: pathlib.Path) -> None:
    file.unlink()


@pytest.mark.parametrize("damage", [deleted, long(emptied), long(halved), noise])
def test_damaged_file__is_replaced(observer: Observer, damage: Callable[[pathlib.Path], None]) -> None:
    """Answers go on, in time and right; then there is a new file, whose counters start at 0."""
    start = time.monotonic()
    damage(default_file(observer))
    answers = observer.period(WINDOW_SECONDS)
    observer.await_shared()
    print(f"shared again after {time.monotonic() - start:.2f} s")

    observer.assert_right(answers)
    observer.assert_quick(observer.since(start))
    observer.assert_one_truth(WINDOW_SECONDS)
    observer.assert_all_counted(lost=None)
    observer.assert_log(warnings=WORKERS)
    assert observer.server.output().count("start again") <= 1


@contextlib.contextmanager
def replaced_by_a_folder(file: pathlib.Path) -> Iterator[None]:
    """Have a folder where the file was."""
    replace_by_folder(file)
    try:
        yield
    finally:
        file.rmdir()


@contextlib.contextmanager
def read_only(file: pathlib.Path) -> Iterator[None]:
    """Let nobody write the file, not even who has opened it already."""
    done = subprocess.run(["chattr", "+i", file], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"This file system, or this user, makes no file immutable: {done.stderr}")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", file], check=True)


@contextlib.contextmanager
def locked(file: pathlib.Path) -> Iterator[None]:
    """Let nobody else read or write the file."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


@pytest.mark.parametrize("fault", [long(replaced_by_a_folder), read_only, locked])
def test_unusable_file__is_done_without(
    observer: Observer, fault: Callable[[pathlib.Path], AbstractContextManager[None]]
) -> None:
    """Answers go on, in time and right, from memory, and say so; later all is shared again, and counted."""
    outlive(observer, fault(default_file(observer)))
    if fault is not replaced_by_a_folder:  # which is another file afterwards
        observer.assert_counters_never_fall()


def outlive(observer: Observer, fault: AbstractContextManager[None]) -> None:
    """Assert that a site outlives a fault of its store."""
    start = time.monotonic()
    with fault:
        since = observer.await_down()
        print(f"down after {since - start:.2f} s")
        down = observer.period(max(WINDOW_SECONDS, start + FAULT_SECONDS - since))
    repaired = time.monotonic()
    observer.await_shared()
    print(f"shared again after {time.monotonic() - repaired:.2f} s")

    observer.assert_right(observer.since(start))
    observer.assert_quick(observer.since(start))
    assert since - start < NOTICED_SECONDS + observer.lag.slack
    up = [seen for seen in down if seen.answered < repaired and (seen.store_up or seen.runs)]
    assert not up, f"The store was said to be up: {up}"
    observer.assert_one_truth(WINDOW_SECONDS)
    observer.assert_all_counted(lost=None)
    observer.assert_log(warnings=WORKERS)


def test_full_file_system__is_done_without(tmp_path: pathlib.Path) -> None:
    """Where no byte more can be written, answers go on from memory; with room again, all is shared and counted."""
    small = tmp_path / "small"
    small.mkdir()
    site = site_of(tmp_path, path=small / "records.sqlite3")
    with site_under_wrapped_gunicorn(site, on_small_disk(small), *ARGUMENTS) as server:
        observer = Observer(server, site.folder, LABELS)
        inside = pathlib.Path(f"/proc/{server.process.pid}/root{small}")
        with observer.watching():
            observer.learn_what_is_normal()
            outlive(observer, full(inside))


def on_small_disk(folder: pathlib.Path) -> list[str]:
    """Return what gives a program a small file system of its own at a folder."""
    wrapper = [require("unshare", package="util-linux"), "--mount"]
    wrapper += ["sh", "-c", f"mount -t tmpfs -o size=256k none '{folder}' && exec \"$@\"", "sh"]
    done = subprocess.run([*wrapper, "true"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"No file system can be mounted here: {done.stderr}")
    return wrapper


def fill(file: RawIOBase) -> None:
    """Write to a file until there is no room."""
    try:
        while True:
            file.write(bytes(512))
    except OSError as error:
        assert error.errno == errno.ENOSPC  # noqa: PT017 - the only way to know that it is full


@contextlib.contextmanager
def full(folder: pathlib.Path) -> Iterator[None]:
    """Fill a file system, and leave SQLite no journal: with the one that is there it can go on."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        fill(file)
        while any(journal.stat().st_size for journal in folder.glob("*-journal")):
            for journal in folder.glob("*-journal"):
                journal.unlink()
            fill(file)
        try:
            yield
        finally:
            filler.unlink()


def test_read_only_folder__is_done_without(tmp_path: pathlib.Path) -> None:
    """A user that may not write the file that is there goes on from memory, and shares it as soon as it may."""
    folder = tmp_path / "records"
    folder.mkdir()
    site = site_of(tmp_path, path=folder / "records.sqlite3")
    for_everybody(site)
    folder.chmod(0o555)
    with site_under_wrapped_gunicorn(site, as_nobody(), *ARGUMENTS) as server:
        observer = Observer(server, site.folder, LABELS)
        with observer.watching():
            observer.await_down()
            observer.assert_right(observer.period(WINDOW_SECONDS))
            assert not any(seen.store_up or seen.runs for seen in observer.seen)
            assert not list(folder.iterdir())
            folder.chmod(0o777)
            observer.await_shared()
            observer.assert_one_truth(WINDOW_SECONDS)
            observer.assert_all_counted(lost=None)
            observer.assert_counters_never_fall()
            observer.assert_log(warnings=WORKERS)


def test_killed_process__is_replaced_when_its_lease_ends(tmp_path: pathlib.Path) -> None:
    """The lease of a process that is killed in a run ends soon after the budget; nobody else's answer suffers."""
    site = site_of(tmp_path, ["tests.support.site.checks.Trap", {"timeout": 1}])
    with site_under_gunicorn(site, *ARGUMENTS) as server:
        observer = Observer(server, site.folder, [*LABELS, "Trap"])
        with observer.watching():
            observer.learn_what_is_normal()
            trap = tmp_path / "trap"
            trap.touch()
            eventually(lambda: not trap.exists(), what="a process to hang in its run")
            victim = noted_runs(site.folder, "Trap")[-1].pid
            killed = time.monotonic()
            observer.kill_worker(victim)

            def ran_again() -> bool:
                return noted_runs(site.folder, "Trap")[-1].started > killed

            eventually(ran_again, what="another process to run the check")
            next_run = noted_runs(site.folder, "Trap")[-1]
            answers = observer.period(WINDOW_SECONDS)
            observer.await_shared()
            assert victim not in observer.workers()
            assert len(observer.workers()) == WORKERS

            print(f"taken over after {next_run.started - killed:.3f} s")
            assert next_run.pid != victim
            assert next_run.started - killed < 1 + 2.5 + MAX_AGE + observer.lag.slack
            failed = [seen for seen in observer.since(killed - 1) if seen.failure]
            assert all("Connection" in seen.failure or "Disconnected" in seen.failure for seen in failed), failed
            assert all(seen.asked < killed + observer.lag.slack for seen in failed), failed
            assert len(failed) <= 2, failed
            answered = [seen for seen in observer.since(killed - 1) if not seen.failure]
            observer.assert_right(answered)
            observer.assert_right([seen for seen in answers if not seen.failure])
            observer.assert_one_truth(WINDOW_SECONDS)
            observer.assert_all_counted(lost=1)
            observer.assert_counters_never_fall()
            observer.assert_log(warnings=0)
