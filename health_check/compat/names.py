"""The names of django-health-check that are other names here, or none. Pure."""

from __future__ import annotations

from collections.abc import Mapping

CHECKS: Mapping[str, str] = {
    "health_check.cache.backends.CacheBackend": "health_check.Cache",
    "health_check.db.backends.DatabaseBackend": "health_check.Database",
    "health_check.storage.backends.StorageHealthCheck": "health_check.Storage",
    "health_check.storage.backends.DefaultFileStorageHealthCheck": "health_check.Storage",
    "health_check.contrib.celery.backends.CeleryHealthCheck": "health_check.contrib.celery.Ping",
    "health_check.contrib.celery_ping.backends.CeleryPingHealthCheck": "health_check.contrib.celery.Ping",
    "health_check.contrib.db_heartbeat.backends.DatabaseHeartBeatCheck": "health_check.Database",
    "health_check.contrib.mail.backends.MailHealthCheck": "health_check.Mail",
    "health_check.contrib.migrations.backends.MigrationsHealthCheck": "health_check.Migrations",
    "health_check.contrib.psutil.backends.DiskUsage": "health_check.Disk",
    "health_check.contrib.psutil.backends.MemoryUsage": "health_check.Memory",
    "health_check.contrib.rabbitmq.backends.RabbitMQHealthCheck": "health_check.contrib.rabbitmq.RabbitMQ",
    "health_check.contrib.redis.backends.RedisHealthCheck": "health_check.contrib.redis.Redis",
    "health_check.contrib.s3boto3_storage.backends.S3Boto3StorageHealthCheck": "health_check.Storage",
    "health_check.contrib.s3boto_storage.backends.S3BotoStorageHealthCheck": "health_check.Storage",
}
"""The checks of 3.x, and their names here."""

ADAPTERS: Mapping[str, str] = {
    "CacheBackend": "health_check.compat.checks.CacheBackend",
    "CeleryHealthCheck": "health_check.compat.celery.CeleryHealthCheck",
    "CeleryPingHealthCheck": "health_check.compat.celery.CeleryPingHealthCheck",
    "DefaultFileStorageHealthCheck": "health_check.compat.checks.DefaultFileStorageHealthCheck",
    "MigrationsHealthCheck": "health_check.compat.checks.MigrationsHealthCheck",
    "RabbitMQHealthCheck": "health_check.compat.rabbitmq.RabbitMQHealthCheck",
    "RedisHealthCheck": "health_check.compat.redis.RedisHealthCheck",
    "S3Boto3StorageHealthCheck": "health_check.compat.checks.S3Boto3StorageHealthCheck",
    "S3BotoStorageHealthCheck": "health_check.compat.checks.S3BotoStorageHealthCheck",
    "StorageHealthCheck": "health_check.compat.checks.StorageHealthCheck",
}
"""The checks among them whose options had other names, too, and what understands these."""

APPS: Mapping[str, tuple[str, ...]] = {
    "health_check.cache": ("health_check.Cache",),
    "health_check.db": ("health_check.Database",),
    "health_check.storage": ("health_check.Storage",),
    "health_check.contrib.celery": (ADAPTERS["CeleryPingHealthCheck"],),
    "health_check.contrib.celery_ping": (ADAPTERS["CeleryPingHealthCheck"],),
    "health_check.contrib.db_heartbeat": ("health_check.Database",),
    "health_check.contrib.mail": ("health_check.Mail",),
    "health_check.contrib.migrations": (ADAPTERS["MigrationsHealthCheck"],),
    "health_check.contrib.psutil": ("health_check.Disk", "health_check.Memory"),
    "health_check.contrib.rabbitmq": (ADAPTERS["RabbitMQHealthCheck"],),
    "health_check.contrib.redis": (ADAPTERS["RedisHealthCheck"],),
    "health_check.contrib.s3boto3_storage": (ADAPTERS["S3Boto3StorageHealthCheck"],),
    "health_check.contrib.s3boto_storage": (ADAPTERS["S3BotoStorageHealthCheck"],),
}
"""The apps of 3.x, and the checks that stand for those that they registered; that of a cache once for each alias."""

MOVED: Mapping[str, str] = {
    "health_check.mixins": "health_check.views.mixins",
    "health_check.plugins": "health_check.registry.plugins",
}
"""The modules that are elsewhere here, whose names go on working without a warning: what is in them gives its own."""

GONE: Mapping[str, str] = {
    "health_check.contrib.crontask": "keep its check as one of your own; checks of 4.x run unchanged",
    "health_check.contrib.threadmill": "keep its check as one of your own; checks of 4.x run unchanged",
    "health_check.deprecation": "it was an internal module",
}
"""The modules that have no counterpart, and what to do instead."""


def target(name: str) -> str | None:
    """Return the dotted path of what an old name stands for; None if it is no such name."""
    return ADAPTERS.get(name.rpartition(".")[2], CHECKS[name]) if name in CHECKS else None


def modules() -> frozenset[str]:
    """Return the modules that there were for these names."""
    leaves = {name.rpartition(".")[0] for name in CHECKS} | {f"{app}.apps" for app in APPS}
    return frozenset(leaves | APPS.keys() | GONE.keys() | MOVED.keys())
