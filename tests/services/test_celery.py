"""The ping of Celery's workers, by a real broker."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Iterator

import pytest
import redis
from celery import Celery
from kombu import Queue

from health_check.contrib.celery import Ping
from tests.support.caches import CacheServer, redis_server
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.servers import Server
from tests.support.workers import paused, site_app, worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

SOON_SECONDS = 20.0
"""How long a worker may take to connect again."""

SILENT = "unavailable: no worker answers"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Redis."""
    with redis_server(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def orders(broker: CacheServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker that consumes two queues."""
    with worker(tmp_path_factory.mktemp("orders"), broker.location, "celery", "orders", name="orders") as server:
        yield server


@pytest.fixture
def app(broker: CacheServer) -> Iterator[Celery]:
    """The site's app."""
    with site_app(broker.location) as app:
        yield app


def check_of(app: Celery, queues: Collection[str] | None = None, *, limit: int | None = None) -> Ping:
    """Return a check of it."""
    return Ping(app, queues=queues, limit=limit, timeout=BUDGET_SECONDS)


QUEUES = pytest.mark.parametrize("queues", [(), ("orders",)], ids=["ping", "queues"])


@QUEUES
def test_ping__worker_paused(app: Celery, orders: Server, queues: Collection[str]) -> None:
    """Workers that do nothing are told in time; when they go on, that is over."""
    assert errors_of(check_of(app, queues)) == []
    with paused(orders):
        assert errors_of(check_of(app, queues)) == [SILENT]
    eventually(lambda: errors_of(check_of(app, queues)) == [], what="an answer", seconds=SOON_SECONDS)


@pytest.mark.usefixtures("orders")
@QUEUES
def test_ping__broker_paused(app: Celery, broker: CacheServer, queues: Collection[str]) -> None:
    """A broker that does nothing is told in time, though Celery would try for ever."""
    broker.pause()
    try:
        assert errors_of(check_of(app, queues)) == ["unavailable: the broker of Celery did not answer in time"]
    finally:
        broker.resume()
    eventually(lambda: errors_of(check_of(app, queues)) == [], what="an answer", seconds=SOON_SECONDS)


def test_ping__broker_gone(tmp_path: pathlib.Path) -> None:
    """A broker that is gone is told at once, workers or not."""
    with redis_server(tmp_path) as broker, site_app(broker.location) as app:
        broker.kill()
        [error] = errors_of(check_of(app))
        assert error == "unavailable: cannot connect to the broker of Celery (ConnectionError)"


def test_ping__wrong_password(tmp_path: pathlib.Path) -> None:
    """A login that is refused is told as such."""
    with (
        redis_server(tmp_path) as broker,
        site_app(broker.location.replace("://", "://:planted-wrong@")) as app,
        redis.Redis(port=broker.port) as client,
    ):
        client.config_set("requirepass", "planted-right")
        assert errors_of(check_of(app)) == ["unavailable: the login to the broker of Celery was refused"]


@pytest.mark.parametrize(
    ("command", "undo", "error"),
    [
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "ReadOnlyError"),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OutOfMemoryError"),
    ],
    ids=["read-only", "full"],
)
def test_ping__broker_refuses(tmp_path: pathlib.Path, command: str, undo: str, error: str) -> None:
    """A broker that takes no message is told as such, until it does."""
    with (
        redis_server(tmp_path / "broker") as broker,
        site_app(broker.location) as app,
        redis.Redis(port=broker.port) as client,
        worker(tmp_path, broker.location),
    ):
        assert errors_of(check_of(app)) == []
        client.execute_command(*command.split())
        assert errors_of(check_of(app)) == [f"unavailable: the broker of Celery refused a command ({error})"]
        client.execute_command(*undo.split())
        assert errors_of(check_of(app)) in ([], [SILENT])  # Celery's worker may have ended of it


def test_ping__no_worker(tmp_path: pathlib.Path) -> None:
    """A broker without workers is told; one that has come is found, and one that has gone is missed."""
    with redis_server(tmp_path / "broker") as broker, site_app(broker.location) as app:
        assert errors_of(check_of(app)) == [SILENT]
        with worker(tmp_path, broker.location):
            assert errors_of(check_of(app)) == []
        assert errors_of(check_of(app)) == [SILENT]


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
    eventually(lambda: errors_of(check_of(app)) == missed, what="queues that nobody consumes", seconds=SOON_SECONDS)


def test_ping__leaves_nothing(app: Celery, broker: CacheServer, orders: Server) -> None:
    """After many runs, good and bad, there is no key, connection, file or thread that was not there before."""
    with redis.Redis(port=broker.port) as client:
        assert errors_of(check_of(app)) == []
        keys, clients = set(client.keys()), len(client.client_list())
        with nothing_left():
            for _ in range(RUNS):
                check_of(app).run_check()
                check_of(app, ()).run_check()
            with paused(orders):
                assert errors_of(check_of(app)) == [SILENT]
        eventually(lambda: len(client.client_list()) <= clients, what="no connection more")
        eventually(lambda: set(client.keys()) <= keys, what="no key more")
