"""Checks with the options that they had in django-health-check 3.x."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from typing import ClassVar

from django.conf import settings
from django.core.files.storage import Storage as DjangoStorage
from django.utils.module_loading import import_string

from health_check.checks.cache import Cache
from health_check.checks.migrations import Migrations
from health_check.checks.storage import Storage
from health_check.exceptions import ServiceUnavailable


@dataclasses.dataclass(repr=False)
class CacheBackend(Cache):
    """Check a Django cache; see Cache.

    Args:
        alias: The cache, as in ``CACHES``; default ``"default"``.
        key_prefix: What the key starts with; default the setting ``HEALTHCHECK_CACHE_KEY``, if there is one.
        cache_key: Deprecated: the same.
        backend: Deprecated: the same as ``alias``.
    """

    cache_key: str | None = dataclasses.field(default=None, repr=False)
    backend: str | None = dataclasses.field(default=None, repr=False)

    def __post_init__(self) -> None:
        for old, new in (("cache_key", "key_prefix"), ("backend", "alias")):
            if getattr(self, old) is not None:
                warnings.warn(
                    f"The option {old} of CacheBackend is deprecated: use {new}.", DeprecationWarning, stacklevel=3
                )
        self.alias = self.backend or self.alias
        if self.cache_key is not None or self.key_prefix == Cache.key_prefix:
            self.key_prefix = str(self.cache_key or getattr(settings, "HEALTHCHECK_CACHE_KEY", self.key_prefix))


@dataclasses.dataclass(repr=False)
class StorageHealthCheck(Storage):
    """Check a file storage; see Storage. A subclass may name it by ``storage_alias``, or its backend by ``storage``."""

    storage_alias: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        self.alias = type(self).storage_alias or self.alias

    def get_storage(self) -> DjangoStorage:
        """Return the storage.

        Raises:
            ServiceUnavailable: If it cannot be used.
        """
        backend = inspect.getattr_static(type(self), "storage")
        if not isinstance(backend, str) or type(self).storage_alias is not None:
            return super().get_storage()
        try:
            storage: DjangoStorage = import_string(backend)()
        except Exception as error:  # its backend may refuse its settings
            raise ServiceUnavailable(f"the storage {backend} cannot be used ({type(error).__name__})") from error
        return storage


class DefaultFileStorageHealthCheck(StorageHealthCheck):
    """Check the default storage; see Storage."""


class S3Boto3StorageHealthCheck(StorageHealthCheck):
    """Check the default storage, with any backend; see Storage."""


class S3BotoStorageHealthCheck(StorageHealthCheck):
    """Check the default storage, with any backend; see Storage."""


@dataclasses.dataclass(repr=False)
class MigrationsHealthCheck(Migrations):
    """Check for migrations to apply, in the database that the setting ``HEALTHCHECK_MIGRATIONS_DB`` names."""

    def __post_init__(self) -> None:
        self.alias = getattr(settings, "HEALTHCHECK_MIGRATIONS_DB", self.alias)
