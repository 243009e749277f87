"""The check of a Django cache."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid

from django.core.cache import CacheKeyWarning
from django.core.cache.backends.base import InvalidCacheBackendError

from health_check.checks.clients import ServiceCheck, limited
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable

KEY_SECONDS = 60
"""After how long the cache itself forgets the key, should deleting it fail."""


@dataclasses.dataclass(repr=False)
class Cache(ServiceCheck):
    """Check that a Django cache keeps and returns a value.

    Verifies that a value can be set and read back unchanged, and deletes it. That costs the cache three small
    commands a run, on a key of that run alone, and on Redis or Memcached a connection.

    Args:
        alias: The cache, as in ``CACHES``; default ``"default"``.
        key_prefix: What the key starts with; default ``"djangohealthcheck_test"``.
    """

    alias: str = "default"
    key_prefix: str = dataclasses.field(default="djangohealthcheck_test", repr=False)

    def check_status(self) -> None:
        key, value = f"{self.key_prefix}:{uuid.uuid4().hex}", uuid.uuid4().hex
        failure = f"the cache {self.alias!r} cannot be used"
        try:
            with limited(self.alias, self.client_timeout() / 2) as cache:  # deleting may take as long again
                try:
                    failure = "cannot write to the cache"
                    cache.set(key, value, timeout=KEY_SECONDS)
                    failure = "cannot read from the cache"
                    found = cache.get(key)
                finally:
                    with contextlib.suppress(Exception):
                        cache.delete(key)
        except InvalidCacheBackendError as error:
            failure = f"the cache {self.alias!r} is not in CACHES, or its backend cannot be loaded"
            raise ServiceUnavailable(failure) from error
        except (CacheKeyWarning, ValueError) as error:
            raise ServiceReturnedUnexpectedResult("the cache refused the key or the value") from error
        except ImportError as error:
            raise ServiceUnavailable(f"a package that the cache needs is missing: {error.name or error}") from error
        except Exception as error:  # each client has exceptions of its own, and its folder may be missing
            raise ServiceUnavailable(f"{failure} ({type(error).__name__})") from error
        if found != value:
            raise ServiceUnavailable("the cache did not return the value that was set")
