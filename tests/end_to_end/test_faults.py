"""A store that is damaged, locked, gone or not to be trusted, and a process that is killed: answers go on.

What a store says on a full disk, or on one that is read-only, is in the tests of its own.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import socket
import sqlite3
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

import pytest

from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.client import eventually, get
from tests.support.files import noise
from tests.support.observer import MAX_AGE, METRICS, Observer
from tests.support.repetitions import long
from tests.support.servers import as_nobody, for_everybody, site_under_gunicorn
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
    store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": str(path)}}
    checks = [*(f"tests.support.site.checks.{label}" for label in LABELS), *more]
    return Site(folder=folder, checks=checks, max_age=MAX_AGE, health_check={"STORE": store} if path else {})


@contextlib.contextmanager
def observed(site: Site) -> Iterator[Observer]:
    """Yield a client of a site of several processes that share their records."""
    with site_under_gunicorn(site, *ARGUMENTS) as server:
        observer = Observer(server, site.folder, LABELS)
        with observer.watching():
            observer.learn_what_is_normal()
            yield observer


def outlive(observer: Observer, fault: AbstractContextManager[None], *, lasts: bool = True) -> None:
    """Assert that a site outlives a fault of its store: in time and right, from memory; later all is shared again.

    Args:
        observer: A client of the site.
        fault: The fault.
        lasts: Whether the store cannot be used until the end of the fault, which the site has to notice.
    """
    start = time.monotonic()
    with fault:
        if lasts:
            since = observer.await_down()
            print(f"down after {since - start:.2f} s")
            assert since - start < NOTICED_SECONDS + observer.lag.slack
            down = observer.period(max(0.5, start + FAULT_SECONDS - since))
            assert [seen for seen in down if seen.store_up or seen.runs] == []
        else:
            observer.period(WINDOW_SECONDS)
    over = time.monotonic()
    observer.await_shared()
    print(f"shared again after {time.monotonic() - over:.2f} s")
    observer.assert_right(observer.since(start))
    observer.assert_quick(observer.since(start))
    observer.assert_one_truth(WINDOW_SECONDS)
    observer.assert_all_counted(lost=None)
    observer.assert_log(warnings=WORKERS)


@contextlib.contextmanager
def deleted(file: pathlib.Path) -> Iterator[None]:
    """Have no file any more."""
    file.unlink()
    yield


@contextlib.contextmanager
def damaged(file: pathlib.Path) -> Iterator[None]:
    """Have something else in the file."""
    noise(file)
    yield


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


@pytest.mark.parametrize("fault", [long(deleted), damaged, long(read_only), locked])
def test_file__is_done_without(
    tmp_path: pathlib.Path, fault: Callable[[pathlib.Path], AbstractContextManager[None]]
) -> None:
    """Without its file the site goes on; a new one takes the place of one that is damaged."""
    is_usable_later = fault in (read_only, locked)
    with observed(site_of(tmp_path)) as observer:
        (file,) = (tmp_path / "tmp").glob("django-health-check-*/*.sqlite3")
        outlive(observer, fault(file), lasts=is_usable_later)
        if is_usable_later:
            observer.assert_counters_never_fall()


@contextlib.contextmanager
def killed(cache: CacheServer) -> Iterator[None]:
    """Have no server, and then one that knows nothing."""
    cache.kill()
    yield
    cache.start()


@contextlib.contextmanager
def paused(cache: CacheServer) -> Iterator[None]:
    """Have a server that does not answer."""
    cache.pause()
    yield
    cache.resume()


@contextlib.contextmanager
def emptied(cache: CacheServer) -> Iterator[None]:
    """Drop all keys."""
    with socket.create_connection(("127.0.0.1", cache.port), 10) as connection:
        connection.sendall(b"FLUSHALL\r\n" if "redis" in cache.location else b"flush_all\r\n")
        assert connection.recv(64) in (b"+OK\r\n", b"OK\r\n")
    yield


HIDING = {"IGNORE_EXCEPTIONS": True, "SOCKET_TIMEOUT": 0.1, "SOCKET_CONNECT_TIMEOUT": 0.1}

CLIENTS: dict[str, tuple[Callable[..., AbstractContextManager[CacheServer]], Mapping[str, object]]] = {
    "redis": (redis_server, {}),
    "redis_with_timeout": (redis_server, {"OPTIONS": {"socket_timeout": 0.2}}),
    "memcached": (memcached_server, {}),
    # As sites have it that prefer a slow page to an error: https://github.com/jazzband/django-redis#memcached-exceptions-behavior
    "redis_that_hides_errors": (redis_server, {"BACKEND": "django_redis.cache.RedisCache", "OPTIONS": HIDING}),
}
"""How a site reaches its cache: Django's Redis client waits without end unless it is told otherwise."""


@pytest.mark.parametrize(
    ("fault", "client"),
    [
        (killed, "redis_that_hides_errors"),
        (paused, "redis"),
        (emptied, "memcached"),
        *(long(killed, client) for client in ("redis", "memcached")),
        *(long(paused, client) for client in ("redis_with_timeout", "memcached", "redis_that_hides_errors")),
    ],
)
def test_cache__is_done_without(
    tmp_path: pathlib.Path, fault: Callable[[CacheServer], AbstractContextManager[None]], client: str
) -> None:
    """Nobody waits for a cache that does not answer; its counters go on from where they were, or start again."""
    starter, options = CLIENTS[client]
    with starter(tmp_path / "cache") as cache:
        site = Site(
            folder=tmp_path,
            checks=[f"tests.support.site.checks.{label}" for label in LABELS],
            max_age=MAX_AGE,
            caches={"default": cache.configuration(**options)},
            health_check={"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}, "SCHEDULER": True},
        )
        with observed(site) as observer:
            outlive(observer, fault(cache), lasts=fault is not emptied)
            if fault is paused:
                observer.assert_counters_never_fall()


def test_hostile_place__is_not_used(tmp_path: pathlib.Path) -> None:
    """A user who may not write at the place, and who may but finds a link there, goes on from memory until it is well.

    The log names the place and what to do, and nothing there or behind is touched.
    """
    folder, precious = tmp_path / "records", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("precious")
    site = site_of(tmp_path, path=folder / "records.sqlite3")
    for_everybody(site)
    folder.chmod(0o555)
    with site_under_gunicorn(site, *ARGUMENTS, wrapper=as_nobody()) as server:
        observer = Observer(server, site.folder, LABELS)
        with observer.watching():
            observer.await_down()
            observer.period(WINDOW_SECONDS)
            assert list(folder.iterdir()) == []
            link = folder / "records.sqlite3"
            link.symlink_to(precious)
            os.chown(link, 65534, 65534, follow_symlinks=False)
            folder.chmod(0o777)
            observer.period(WINDOW_SECONDS)
            observer.assert_right(observer.seen)
            assert not any(seen.store_up or seen.runs for seen in observer.seen)
            assert (precious.read_text(), list(folder.iterdir())) == ("precious", [link])
            warnings = [line for line in server.output().splitlines() if "cannot be used" in line]
            assert all(str(folder) in warning for warning in warnings)
            link.unlink()
            observer.await_shared()
            observer.assert_one_truth(WINDOW_SECONDS)
            observer.assert_all_counted(lost=None)
            observer.assert_counters_never_fall()
            observer.assert_log(warnings=2 * WORKERS)


def test_two_users__have_records_of_their_own(tmp_path: pathlib.Path) -> None:
    """The same site run by two users has a folder for each, which nobody else may enter."""
    site = site_of(tmp_path)
    for_everybody(site)
    places = tmp_path / "tmp"
    places.chmod(0o1777)
    with (
        site_under_gunicorn(site, *ARGUMENTS, wrapper=as_nobody()) as nobodys,
        site_under_gunicorn(site, *ARGUMENTS) as roots,
    ):
        for server in (nobodys, roots):
            assert get(f"{server.url}/health/", format="json").status == 200
            assert "django_health_check_store_up 1.0" in get(server.url + METRICS).body
            assert "cannot be used" not in server.output()
    for uid in (0, 65534):
        folder = places / f"django-health-check-{uid}"
        files = {(file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) for file in folder.iterdir()}
        assert (folder.stat().st_uid, stat.S_IMODE(folder.stat().st_mode), files) == (uid, 0o700, {(uid, 0o600)})
        assert [file.suffix for file in folder.iterdir()].count(".sqlite3") == 1


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
            eventually(lambda: noted_runs(site.folder, "Trap")[-1].started > killed, what="another process to run it")
            next_run = noted_runs(site.folder, "Trap")[-1]
            observer.period(WINDOW_SECONDS)
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
            observer.assert_right([seen for seen in observer.since(killed - 1) if not seen.failure])
            observer.assert_one_truth(WINDOW_SECONDS)
            observer.assert_all_counted(lost=1)
            observer.assert_counters_never_fall()
            observer.assert_log(warnings=0)
