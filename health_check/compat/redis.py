"""The check of Redis with the options that it had in django-health-check 3.x."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from health_check.contrib.redis import Redis, new_client

DEFAULT_URL = "redis://localhost/1"


@dataclasses.dataclass(repr=False)
class RedisHealthCheck(Redis):
    """Check that a Redis server answers; see Redis.

    Args:
        redis_url: The server; default that of a subclass, of the setting ``REDIS_URL``, or this very host.
        redis_url_options: More arguments of the client; default the setting ``HEALTHCHECK_REDIS_URL_OPTIONS``.
    """

    redis_url: str | None = dataclasses.field(default=None, repr=False)
    redis_url_options: Mapping[str, Any] | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.url is None and self.client_factory is None and self.client is None:
            url = str(self.redis_url or type(self).redis_url or getattr(settings, "REDIS_URL", DEFAULT_URL))
            options = self.redis_url_options or getattr(settings, "HEALTHCHECK_REDIS_URL_OPTIONS", None)
            if options:
                self.client_factory = functools.partial(new_client, url, **options)
            else:
                self.url = url
        super().__post_init__()
