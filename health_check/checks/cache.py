"""The check of a Django cache."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import uuid

from django.core.cache import BaseCache, CacheKeyWarning
from django.core.cache.backends.base import InvalidCacheBackendError

from health_check.backends import ConciseRepr, HealthCheck
from health_check.checks.clients import client_timeout, limited
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable

KEY_SECONDS = 60
"""After how long the cache itself forgets the key, should deleting it fail."""


@dataclasses.dataclass(repr=False)
class Cache(ConciseRepr, HealthCheck):
    """Check that a Django cache keeps and returns a value.

    Verifies that a value can be set and read back unchanged, and deletes it. That costs the cache three small
    commands a run, on a key of that run alone, and on Redis or Memcached a connection.

    Args:
        alias: The cache, as in ``CACHES``; default ``"default"``.
        key_prefix: What the key starts with; default ``"djangohealthcheck_test"``.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    alias: str = "default"
    key_prefix: str = dataclasses.field(default="djangohealthcheck_test", repr=False)
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        with contextlib.ExitStack() as stack:
            self._verify(self._cache(stack))

    def _verify(self, cache: BaseCache) -> None:
        key, value = f"{self.key_prefix}:{uuid.uuid4().hex}", uuid.uuid4().hex
        try:
            step = "write to"
            cache.set(key, value, timeout=KEY_SECONDS)
            step = "read from"
            found = cache.get(key)
        except (CacheKeyWarning, ValueError) as error:
            raise ServiceReturnedUnexpectedResult("the cache refused the key or the value") from error
        except ImportError as error:
            raise ServiceUnavailable(f"a package that the cache needs is missing: {error.name or error}") from error
        except Exception as error:  # each client has exceptions of its own
            raise ServiceUnavailable(f"cannot {step} the cache ({type(error).__name__})") from error
        finally:
            with contextlib.suppress(Exception):
                cache.delete(key)
        if found != value:
            raise ServiceUnavailable("the cache did not return the value that was set")

    def _cache(self, stack: contextlib.ExitStack) -> BaseCache:
        try:  # half the time, as deleting what a failure left may take as long again
            return stack.enter_context(limited(self.alias, client_timeout(self) / 2))
        except InvalidCacheBackendError as error:
            raise ServiceUnavailable(
                f"the cache {self.alias!r} is not in CACHES, or its backend cannot be loaded"
            ) from error
        except ImportError as error:
            raise ServiceUnavailable(f"a package that the cache needs is missing: {error.name or error}") from error
        except Exception as error:  # its folder may be missing
            raise ServiceUnavailable(f"the cache {self.alias!r} cannot be used ({type(error).__name__})") from error
