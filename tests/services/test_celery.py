"""The checks of Celery: workers, a scheduler, a broker and a cache, all real."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterator

import pytest
import redis
from celery import Celery
from kombu import Queue
from pytest_django import Settings

from health_check.contrib import celery
from health_check.contrib.celery import Heartbeat, Ping
from tests.services.contract import Contract, Service
from tests.support.caches import CacheServer, redis_server
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.servers import Server
from tests.support.workers import beat, paused, site_app, worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

SOON_SECONDS = 30.0
"""How long it may take until a change shows."""

SILENT = "unavailable: no worker answers"

BROKER = "the broker of Celery"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Redis that keeps its data over a restart."""
    with redis_server(tmp_path_factory.mktemp("broker"), "--appendonly", "yes") as broker:
        yield broker


@pytest.fixture(scope="module")
def orders(broker: CacheServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker that consumes two queues."""
    folder = tmp_path_factory.mktemp("orders")
    with worker(folder, broker.location, "celery", "orders", name="orders") as server:
        yield server


@pytest.fixture
def app(broker: CacheServer) -> Iterator[Celery]:
    """The site's app."""
    with site_app(broker.location) as app:
        yield app


def check_of(app: Celery, queues: Collection[str] | None = None) -> Ping:
    """Return a check of it."""
    return Ping(app, queues=queues, timeout=BUDGET_SECONDS)


def test_ping__paused(app: Celery, broker: CacheServer, orders: Server) -> None:
    """Workers or a broker that do nothing are told in time; when they go on, that is over."""
    for server, error in ((orders, SILENT), (broker, f"unavailable: {BROKER} did not answer in time")):
        with paused(server):
            for queues in ((), ("orders",)):
                assert errors_of(check_of(app, queues)) == [error]
        eventually(lambda: errors_of(check_of(app, ["orders"])) == [], what="an answer", seconds=SOON_SECONDS)


def test_ping__broker_that_refuses(tmp_path: pathlib.Path) -> None:
    """A broker that lets nobody in, takes no message, or is gone, is told as such; else workers are missed."""
    with (
        redis_server(tmp_path) as broker,
        site_app(broker.location.replace("://", "://default:planted-wrong@")) as app,
        redis.Redis(port=broker.port) as client,
    ):
        for command, undo, error in (
            ("ACL SETUSER default >planted-right", "ACL SETUSER default nopass", f"the login to {BROKER} was refused"),
            ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", f"{BROKER} refused a command (ReadOnlyError)"),
            ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", f"{BROKER} refused a command (OutOfMemoryError)"),
        ):
            client.execute_command(*command.split())
            assert errors_of(check_of(app)) == [f"unavailable: {error}"]
            client.execute_command(*undo.split())
        assert errors_of(check_of(app)) == [SILENT]
        broker.kill()
        assert errors_of(check_of(app)) == [f"unavailable: cannot connect to {BROKER} (ConnectionError)"]


@pytest.mark.usefixtures("orders")
def test_ping__queues(app: Celery, broker: CacheServer, tmp_path: pathlib.Path) -> None:
    """Each queue that nobody consumes is told, until somebody does, be it one worker or several."""
    wanted = ("orders", "mails", "images")
    missed = [f"unavailable: no worker consumes the queue {name!r}" for name in ("images", "mails")]
    assert errors_of(check_of(app, wanted)) == missed
    with worker(tmp_path, broker.location, "mails", "images", name="others"):
        assert errors_of(check_of(app, wanted)) == []
        app.conf.task_queues = [Queue(name) for name in wanted]
        assert errors_of(check_of(app)) == []
    eventually(lambda: errors_of(check_of(app, wanted)) == missed, what="missing queues", seconds=SOON_SECONDS)


def test_ping__leaves_nothing(app: Celery, broker: CacheServer, orders: Server) -> None:
    """After many runs, good and bad, there is no key, connection, file or thread that was not there before."""
    with redis.Redis(port=broker.port) as client:
        assert errors_of(check_of(app)) == []
        keys, clients = set(client.keys()), len(client.client_list())
        with nothing_left():
            for number in range(RUNS):
                check_of(app, () if number % 2 else None).run_check()
            with paused(orders):
                assert errors_of(check_of(app)) == [SILENT]
        eventually(lambda: len(client.client_list()) <= clients, what="no connection more")
        eventually(lambda: set(client.keys()) <= keys, what="no key more")


UNREADABLE = r"unavailable: cannot read the heartbeat from the cache \("

MISSED = "unavailable: the task health_check.contrib.celery.beat has not run"


@pytest.fixture
def cache(broker: CacheServer, settings: Settings) -> CacheServer:
    """The site's cache, which is also its broker; only the client can end the waiting, as the cache is the site's."""
    options = {"socket_timeout": BUDGET_SECONDS / 2, "socket_connect_timeout": BUDGET_SECONDS / 2}
    settings.CACHES = {"default": broker.configuration(OPTIONS=options)}
    return broker


@pytest.fixture
def service(cache: CacheServer) -> Service:
    """The cache with a heartbeat that does not grow old within the test, and the check of that."""

    def left() -> dict[str, int]:
        with redis.Redis(port=cache.port) as client:
            return {"keys": client.dbsize(), "clients": len(client.client_list())}

    celery.beat.run("shipping")  # what a worker does with the task
    return Service(
        server=cache,
        build=lambda: Heartbeat("shipping", timeout=BUDGET_SECONDS),
        failing=lambda: Heartbeat("mails", timeout=BUDGET_SECONDS),
        silent=rf"{UNREADABLE}TimeoutError\)",
        gone=rf"{UNREADABLE}ConnectionError\)",
        left=left,
    )


class TestContract(Contract):
    """The check of a heartbeat, whatever becomes of the cache."""


def found(queue: str = "orders") -> list[str]:
    """Return the errors of the check of a queue's heartbeat, of which there are two a second."""
    return errors_of(Heartbeat(queue, max_silence=3.0))


def await_heartbeat(beginning: str = "") -> None:
    """Wait until there is a new one, or an error that begins like this."""
    eventually(
        lambda: any(error.startswith(beginning) for error in found()) if beginning else found() == [],
        what=f"a heartbeat, or the error {beginning}",
        seconds=SOON_SECONDS,
    )


def test_heartbeat__worker_or_scheduler_paused(cache: CacheServer, orders: Server, tmp_path: pathlib.Path) -> None:
    """No work was done yet, then it is; when the worker or the scheduler hangs, that shows, and when it goes on."""
    [error] = found()
    assert error.startswith(MISSED)
    with beat(tmp_path, cache.location) as sending:
        await_heartbeat()
        for process in (orders, sending):
            with paused(process):
                await_heartbeat("unavailable: the last heartbeat is ")
            await_heartbeat()
        [error] = found("celery")
        assert error.startswith(MISSED)
