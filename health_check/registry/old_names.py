"""What checks were called in django-health-check 3.x: the keys of its JSON, and the names in its subsets."""

from __future__ import annotations

import dataclasses
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping

from django.utils.module_loading import import_string

from health_check.backends import HealthCheck
from health_check.conf import settings
from health_check.registry.identity import path_of

CLASSES: Mapping[str, tuple[str, ...]] = {
    "health_check.checks.cache.Cache": ("CacheBackend",),
    "health_check.checks.database.Database": ("DatabaseBackend", "DatabaseHeartBeatCheck"),
    "health_check.checks.mail.Mail": ("MailHealthCheck",),
    "health_check.checks.migrations.Migrations": ("MigrationsHealthCheck",),
    "health_check.checks.storage.Storage": (
        "DefaultFileStorageHealthCheck",
        "StorageHealthCheck",
        "S3Boto3StorageHealthCheck",
        "S3BotoStorageHealthCheck",
    ),
    "health_check.contrib.celery.Ping": ("CeleryPingHealthCheck", "CeleryHealthCheck", "CeleryHealthCheckCelery"),
    "health_check.contrib.psutil.Disk": ("DiskUsage",),
    "health_check.contrib.psutil.Memory": ("MemoryUsage",),
    "health_check.contrib.rabbitmq.RabbitMQ": ("RabbitMQHealthCheck",),
    "health_check.contrib.redis.Redis": ("RedisHealthCheck",),
    "health_check.contrib.s3.S3": ("S3Boto3StorageHealthCheck",),
}
"""What our checks were called there; the first is what most sites had."""


ADAPTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "health_check.checks.cache.Cache": ("health_check.compat.checks.CacheBackend", ("cache_key", "backend")),
    "health_check.contrib.redis.Redis": (
        "health_check.compat.redis.RedisHealthCheck",
        ("redis_url", "redis_url_options"),
    ),
    "health_check.contrib.rabbitmq.RabbitMQ": ("health_check.compat.rabbitmq.RabbitMQHealthCheck", ("namespace",)),
}
"""What understands the options that checks had in django-health-check 3.21 to 3.24, and these options."""


def adapted(check_class: type[HealthCheck], options: Iterable[str]) -> type[HealthCheck]:
    """Return the class that understands an entry's options: of those of 3.x not always the one that it names."""
    adapter, former = ADAPTERS.get(path_of(check_class), ("", ()))
    used = [option for option in options if option in former]
    if not used:
        return check_class
    warnings.warn(
        f"The option {used[0]} of {check_class.__name__} is one of django-health-check 3.x: see the guide to moving.",
        DeprecationWarning,
        stacklevel=2,
    )
    found: type[HealthCheck] = import_string(adapter)
    return found


def keys(checks: Mapping[str, HealthCheck]) -> list[str]:
    """Return the key of each check: its label, or with ``HEALTH_CHECK["COMPAT"]`` that of the version before.

    Args:
        checks: The checks of an endpoint, by label.
    """
    return list(checks) if settings.COMPAT is None else keys_320(checks)


def keys_320(checks: Mapping[str, HealthCheck]) -> list[str]:
    """Return the key that each check had in the JSON of django-health-check 3.20.

    Args:
        checks: The checks of an endpoint, by label. One that had no key there, or the same as another, has its label.
    """
    keys = {label: _key_320(check) or label for label, check in checks.items()}
    counts = Counter(keys.values())
    return [key if counts[key] == 1 else label for label, key in keys.items()]


def names_of(label: str, check: HealthCheck) -> frozenset[str]:
    """Return all names that a subset of 3.x may call a check by."""
    classes = [type(check).__name__, *_former_classes(check)]
    options = _options(check)
    return frozenset([label, *classes, *(f"{name}({options})" for name in classes), _key_320(check) or label])


def _key_320(check: HealthCheck) -> str | None:
    former = _former_classes(check)
    if not former or not type(check).__module__.startswith("health_check."):  # one of the site's own
        return None
    if former[0] == "CacheBackend":
        return f"Cache backend: {getattr(check, 'alias', 'default')}"
    own = type(check).__name__  # of one under its old name
    return own if own in former else former[0]


def _former_classes(check: HealthCheck) -> tuple[str, ...]:
    paths = map(path_of, type(check).__mro__)
    return next((CLASSES[path] for path in paths if path in CLASSES), ())


def _options(check: HealthCheck) -> str:
    """Return the options of a check as the ``repr`` of a dataclass shows them."""
    fields = [field for field in dataclasses.fields(check) if field.repr]
    return ", ".join(f"{field.name}={getattr(check, field.name, None)!r}" for field in fields)
