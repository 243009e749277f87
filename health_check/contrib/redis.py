"""The check of a Redis server, or a Valkey."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from health_check.awaiting import run_to_end
from health_check.backends import HealthCheck
from health_check.checks.timeouts import client_timeout
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable
from health_check.labels import ConciseRepr

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ImportError("health_check.contrib.redis needs redis: pip install 'django-health-exporter[redis]'") from error


@dataclasses.dataclass(repr=False)
class Redis(ConciseRepr, HealthCheck):
    """Check that a Redis server answers.

    Verifies that a connection can be made, with TLS and a login where the URL says so, and that ``PING`` is answered,
    by each node of a cluster and by the master of a Sentinel's service. Reads and writes no key, so the user needs no
    rights. That costs the server a connection and a command a run.

    Args:
        url: The server, as in ``redis://:PASSWORD@HOST:6379/0``, ``rediss://…`` or ``unix://…``.
        client_factory: Returns a client instead, of ``redis`` or ``redis.asyncio``: that of a cluster, or a
            Sentinel's ``master_for(…)``. It is closed after the run; its timeouts are its own.
        client: Deprecated: a client that all runs share, and that is not closed.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.

    Raises:
        ValueError: If there is not just one of ``url`` and ``client_factory``.
    """

    url: str | None = dataclasses.field(default=None, repr=False)
    client_factory: Callable[[], Any] | None = dataclasses.field(default=None, repr=False)
    client: Any = dataclasses.field(default=None, repr=False)
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if sum(given is not None for given in (self.url, self.client_factory, self.client)) != 1:
            raise ValueError("Redis takes one of `url` and `client_factory`.")
        if self.client is not None:
            warnings.warn(
                "The option `client` of Redis is deprecated: use `client_factory`.", DeprecationWarning, stacklevel=3
            )

    def check_status(self) -> None:
        run_to_end(self._check())

    async def _check(self) -> None:
        client = self.client if self.client is not None else self._new_client()
        try:
            answered = await _outcome_of(client.ping())
        except redis.AuthenticationError as error:
            raise ServiceUnavailable("the login to Redis was refused") from error
        except redis.TimeoutError as error:
            raise ServiceUnavailable("Redis did not answer in time") from error
        except redis.BusyLoadingError as error:
            raise ServiceUnavailable("Redis is still loading its data") from error
        except (redis.ConnectionError, OSError) as error:
            raise ServiceUnavailable(f"cannot connect to Redis ({type(error).__name__})") from error
        except redis.RedisError as error:
            raise ServiceReturnedUnexpectedResult(f"Redis refused PING ({type(error).__name__})") from error
        finally:
            if self.client is None:
                await _closed(client)
        if not answered:
            raise ServiceReturnedUnexpectedResult("Redis answered PING with something else than PONG")

    def _new_client(self) -> Any:
        if self.client_factory is not None:
            return self.client_factory()
        seconds = client_timeout(self)
        try:
            return redis.Redis.from_url(
                str(self.url),
                socket_connect_timeout=seconds,
                socket_timeout=seconds,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise ServiceUnavailable("the URL of Redis cannot be used: begin it with redis://") from error


async def _outcome_of(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def _closed(client: Any) -> None:
    """Close a client of either kind, whatever state it is in."""
    with contextlib.suppress(redis.RedisError, OSError, RuntimeError):  # its server may be what is gone
        await _outcome_of(client.aclose() if hasattr(client, "aclose") else client.close())
