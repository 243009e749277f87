"""Checks of services as sites have them that come from django-health-check, against real servers."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import redis.asyncio
from celery import Celery

from health_check.contrib.celery import Ping
from health_check.contrib.redis import Redis
from health_check.exceptions import ServiceUnavailable
from tests.support.caches import CacheServer, redis_server
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.servers import Server
from tests.support.workers import site_app, worker

pytestmark = [
    pytest.mark.server,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:The option `client`:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Redis."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


def test_redis__asynchronous_client_of_the_sites_own(server: CacheServer) -> None:
    """A client that the site goes on using is neither closed nor used on another event loop, however often it runs."""

    async def site() -> list[Any]:
        client = redis.asyncio.Redis(port=server.port, db=3, client_name="the-site")
        check = Redis(client=client, timeout=BUDGET_SECONDS)
        await client.set("basket", "full")
        found: list[Any] = []
        for _ in range(3):
            found.append(await asyncio.to_thread(errors_of, check))
            found.append(await client.get("basket"))
        connected = [entry["name"] for entry in await client.client_list()]
        await client.aclose()
        return [*found, connected.count("the-site")]

    assert asyncio.run(site()) == [*([[], b"full"] * 3), 1]


def test_redis__asynchronous_client_that_is_refused() -> None:
    """A server that is not there is told for such a client, too."""
    check = Redis(client=redis.asyncio.Redis(port=1), timeout=BUDGET_SECONDS)
    assert errors_of(check) == ["unavailable: cannot connect to Redis (ConnectionError)"]


class Pool(redis.asyncio.ConnectionPool):
    """A pool of the site's own, which is not copied."""


class Bound(redis.asyncio.Redis):
    """A client that waits for something of another event loop."""

    awaited: Any = None

    async def ping(self, **kwargs: Any) -> Any:
        """Wait."""
        await self.awaited


def test_redis__client_of_another_loop() -> None:
    """A client that cannot be copied, and is in use on another loop, is told with what to do."""
    loop = asyncio.new_event_loop()
    client = Bound.from_pool(Pool(host="127.0.0.1", port=1))
    client.awaited = loop.create_future()  # type: ignore[attr-defined]
    said = errors_of(Redis(client=client, timeout=BUDGET_SECONDS))
    loop.close()
    remedy = "unavailable: the client of redis.asyncio belongs to another event loop: give the check a `client_factory`"
    assert said == [remedy]


def test_redis__client_is_not_closed(server: CacheServer) -> None:
    """A sync client of the site's own keeps its connection."""
    with redis.Redis(port=server.port, db=4) as client:
        number = client.client_id()
        for _ in range(2):
            assert errors_of(Redis(client=client)) == []
        assert client.client_id() == number


@pytest.fixture(scope="module")
def orders(server: CacheServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A worker that consumes one queue."""
    with worker(tmp_path_factory.mktemp("orders"), server.location, "celery", name="orders") as running:
        yield running


@pytest.fixture
def app(server: CacheServer) -> Iterator[Celery]:
    """The site's app."""
    with site_app(server.location) as app:
        yield app


SEEN: list[tuple[str, ...]] = []


@dataclasses.dataclass(repr=False)
class Lenient(Ping):
    """Does not mind queues without a worker, and writes down who is there."""

    def check_active_queues(self, *active_workers: str) -> None:
        SEEN.append(active_workers)


@dataclasses.dataclass(repr=False)
class Strict(Ping):
    """Minds them, and more."""

    def check_active_queues(self, *active_workers: str) -> None:
        super().check_active_queues(*active_workers)
        raise ServiceUnavailable(f"{len(active_workers)} workers are too few")


@pytest.mark.usefixtures("orders")
def test_celery__check_active_queues(app: Celery) -> None:
    """A subclass that looks at queues in its own way is asked, with the workers that answered."""
    SEEN.clear()
    lost = "unavailable: no worker consumes the queue 'lost'"
    assert errors_of(Ping(app, queues=["lost"], timeout=BUDGET_SECONDS)) == [lost]
    assert errors_of(Lenient(app, queues=["lost"], timeout=BUDGET_SECONDS)) == []
    assert [worker.partition("@")[0] for worker in SEEN[0]] == ["orders"]
    assert errors_of(Strict(app, queues=["lost"], timeout=BUDGET_SECONDS)) == [
        lost,
        "unavailable: 1 workers are too few",
    ]
