"""The check of a Redis server, or a Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from health_check.backends import run_to_end
from health_check.checks.clients import ServiceCheck, needs
from health_check.exceptions import Misconfigured, ServiceReturnedUnexpectedResult, ServiceUnavailable

with needs("redis", extra="redis", what="health_check.contrib.redis"):
    import redis
    import redis.asyncio
    from redis.asyncio.cluster import RedisCluster as AsynchronousRedisCluster
    from redis.asyncio.retry import Retry as AsynchronousRetry
    from redis.asyncio.sentinel import MasterNotFoundError as AsynchronousMasterNotFoundError
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisClusterException
    from redis.retry import Retry
    from redis.sentinel import MasterNotFoundError

__path__: list[str] = []  # of modules that django-health-check 3.x had in here, which health_check.compat makes

MASTER_NOT_FOUND = (MasterNotFoundError, AsynchronousMasterNotFoundError)
"""The errors where no Sentinel knows the master, whose text alone has what each of them came to."""


@dataclasses.dataclass(repr=False)
class Redis(ServiceCheck):
    """Check that a Redis server answers.

    Verifies that a connection can be made, with TLS and a login where the URL says so, and that ``PING`` is answered,
    by each master of a cluster and by the master of a Sentinel's service. Reads and writes no key, so the user needs no
    rights. That costs each server a connection and a command a run.

    Args:
        url: The server, as in ``redis://:PASSWORD@HOST:6379/0``, ``rediss://…`` or ``unix://…``.
        client_factory: Returns a client instead, of ``redis`` or ``redis.asyncio``: that of a cluster, or a
            Sentinel's ``master_for(…)``. It tries once, and is closed after the run. Where it does not connect
            by a pool of its own, as that of a cluster, it needs a ``socket_timeout`` of less than the budget.
        client: Deprecated: a client that all runs share; it is not closed. Of one of ``redis.asyncio``, which works on
            one event loop only, each run takes the configuration; that of a cluster or a Sentinel's needs a
            ``client_factory``.

    Raises:
        Misconfigured: If there is not just one of ``url``, ``client_factory`` and ``client``.
    """

    url: str | None = dataclasses.field(default=None, repr=False)
    client_factory: Callable[[], Any] | None = dataclasses.field(default=None, repr=False)
    client: Any = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.url, self.client_factory, self.client)) != 1:
            raise Misconfigured("Redis takes one of the options `url` and `client_factory`")
        if self.client is not None:
            warnings.warn(
                "The option `client` of Redis is deprecated: use `client_factory`.", DeprecationWarning, stacklevel=3
            )

    def check_status(self) -> None:
        with _failures_named():
            factory = self.client_factory or functools.partial(new_client, str(self.url))
            client = _copied(self.client) or self.client or factory()
            is_ours = client is not self.client
            asynchronous = inspect.iscoroutinefunction(client.execute_command)
            own = _parts(client) if is_ours else []
            retry = (AsynchronousRetry if asynchronous else Retry)(NoBackoff(), 0)
            for part in own:
                _hurry(part, self.client_timeout() / len(own), retry)
            if not asynchronous:
                self._ask(client, own)
                return
            try:
                run_to_end(self._ask_asynchronously(client, own))
            except RuntimeError as error:
                if is_ours:
                    raise
                raise ServiceUnavailable(
                    "the client of redis.asyncio belongs to another event loop: give the check a `client_factory`"
                ) from error

    def _ask(self, client: Any, to_close: Iterable[Any]) -> None:
        try:
            _verify(_ping(client))
        finally:
            for part in to_close:
                with contextlib.suppress(redis.RedisError, OSError):
                    part.close()

    async def _ask_asynchronously(self, client: Any, to_close: Iterable[Any]) -> None:
        try:
            async with asyncio.timeout(self.client_timeout()):
                _verify(await _ping(client))
        finally:
            for part in to_close:
                with contextlib.suppress(redis.RedisError, OSError):
                    await part.aclose()


def new_client(url: str, **options: Any) -> redis.Redis:
    """Return a client.

    Args:
        url: The server.
        options: What else the client takes.

    Raises:
        ServiceUnavailable: If the URL cannot be used.
    """
    try:
        return redis.Redis.from_url(url, **options)
    except ValueError:  # whose text has a part of the URL in it: of a password with a slash, say
        raise ServiceUnavailable(
            "the URL of Redis cannot be used: begin it with redis://, and percent-encode its password"
        ) from None


def _copied(client: Any) -> Any:
    """Return a client of ours like one of ``redis.asyncio`` that the user has, and may use on another event loop.

    None for any other, and for that of a cluster or a Sentinel.
    """
    pool: Any = getattr(client, "connection_pool", None)
    if type(pool) not in (redis.asyncio.ConnectionPool, redis.asyncio.BlockingConnectionPool):
        return None
    of_its_pool = ("maint_notifications", "orig_", "himport_registry")
    options = {key: value for key, value in pool.connection_kwargs.items() if not key.startswith(of_its_pool)}
    return redis.asyncio.Redis.from_pool(
        redis.asyncio.ConnectionPool(connection_class=pool.connection_class, **options)
    )


@contextlib.contextmanager
def _failures_named() -> Iterator[None]:
    """Say which step failed, in words that name no host and no user."""
    try:
        yield
    except redis.AuthenticationError as error:
        raise ServiceUnavailable("the login to Redis was refused") from error
    except (redis.TimeoutError, TimeoutError) as error:
        raise ServiceUnavailable("Redis did not answer in time") from error
    except redis.BusyLoadingError as error:
        raise ServiceUnavailable("Redis is still loading its data") from error
    except (redis.ConnectionError, RedisClusterException, OSError) as error:
        if _is_refused_login(error):
            raise ServiceUnavailable("the login to Redis was refused") from error
        raise ServiceUnavailable(f"cannot connect to Redis ({type(error).__name__})") from error
    except redis.RedisError as error:
        raise ServiceReturnedUnexpectedResult(f"Redis refused PING ({type(error).__name__})") from error


def _is_refused_login(error: Exception) -> bool:
    """Return whether a cluster's node, or a Sentinel, refused the login; the clients raise another error of it then."""
    by_node = isinstance(error.__cause__, redis.AuthenticationError)
    by_sentinel = isinstance(error, MASTER_NOT_FOUND) and redis.AuthenticationError.__name__ in str(error)
    return by_node or by_sentinel


def _hurry(client: Any, seconds: float, retry: Retry | AsynchronousRetry) -> None:
    """Have a client try once, within some seconds, unless others use its connections, too."""
    own_pool = getattr(client, "auto_close_connection_pool", False)
    if own_pool:
        options = client.connection_pool.connection_kwargs
        for name in ("socket_timeout", "socket_connect_timeout"):
            options[name] = min(options.get(name) or seconds, seconds)
    if (own_pool or _is_cluster(client)) and hasattr(client, "set_retry"):
        client.set_retry(retry)


def _is_cluster(client: Any) -> bool:
    return isinstance(client, redis.RedisCluster | AsynchronousRedisCluster)


def _ping(client: Any) -> Any:
    """Send PING, to each master of a cluster, whose client would ask any one node."""
    return client.ping(**({"target_nodes": redis.RedisCluster.PRIMARIES} if _is_cluster(client) else {}))


def _verify(answer: object) -> None:
    if not answer:
        raise ServiceReturnedUnexpectedResult("Redis answered PING with something else than PONG")


def _parts(client: Any) -> list[Any]:
    """Return all clients there are: those of the Sentinels, which are asked for the master one after the other, too."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    return [client, *(manager.sentinels if manager is not None else ())]
