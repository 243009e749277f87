"""The checks with the options and settings that they had in django-health-check 3.x."""

from __future__ import annotations

import datetime
import warnings
from typing import Any

import pytest
import redis
from django.core.files.base import File
from django.core.files.storage import InMemoryStorage
from django.test import Client
from pytest_django import Settings

from health_check.compat.celery import CeleryHealthCheck, CeleryPingHealthCheck
from health_check.compat.checks import CacheBackend, MigrationsHealthCheck, StorageHealthCheck
from health_check.compat.rabbitmq import RabbitMQHealthCheck
from health_check.compat.redis import RedisHealthCheck
from health_check.registry.definitions import label_of
from tests.conftest import Mount

SECRET = "planted-secret-7d1f"


class Sessions(CacheBackend):
    """Calls the constructor as subclasses did."""

    def __init__(self) -> None:
        super().__init__("sessions")


def test_cache__options(settings: Settings) -> None:
    """The options are those of 3.18 and 3.23, with warnings where they are old; it does what its successor does."""
    assert (CacheBackend("other").alias, CacheBackend(alias="other").alias) == ("other", "other")
    assert (Sessions().alias, label_of(Sessions())) == ("sessions", "Sessions(alias='sessions')")
    with pytest.warns(DeprecationWarning, match="backend of CacheBackend is deprecated: use alias"):
        assert CacheBackend(backend="other").alias == "other"
    with pytest.warns(DeprecationWarning, match="cache_key of CacheBackend is deprecated: use key_prefix"):
        assert CacheBackend(cache_key="shop").key_prefix == "shop"
    check = CacheBackend()
    check.run_check()
    assert (check.key_prefix, check.errors) == ("djangohealthcheck_test", [])
    settings.HEALTHCHECK_CACHE_KEY = "shop"
    assert (CacheBackend().key_prefix, CacheBackend(key_prefix="mine").key_prefix) == ("shop", "mine")


def test_storage__alias_of_a_subclass() -> None:
    """A subclass may name the storage."""

    class Media(StorageHealthCheck):
        storage_alias = "media"

    assert (Media().alias, StorageHealthCheck().alias, StorageHealthCheck("other").alias) == (
        "media",
        "default",
        "other",
    )


class Losing(InMemoryStorage):
    """Takes files and keeps none."""

    def _save(self, name: str, content: File[bytes]) -> str:
        return name


@pytest.mark.parametrize(("path", "word"), [(f"{__name__}.Losing", "not there"), ("no.such.Storage", "cannot be used")])
def test_storage__of_a_path(path: str, word: str) -> None:
    """A subclass that names its backend, as the guide of 3.16 says, has that one checked: not the default one."""
    check = type("Backup", (StorageHealthCheck,), {"storage": path})()
    check.run_check()
    assert word in check.pretty_status()


@pytest.mark.parametrize("limit", [0, None])
def test_psutil__no_limit(mount_checks: Mount, client: Client, settings: Settings, limit: float | None) -> None:
    """A limit of 0 is none, as an option and as a setting of 3.x."""
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": limit}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        mount_checks(
            "health_check.contrib.psutil.backends.DiskUsage",
            ("health_check.Disk", {"path": "/", "max_disk_usage_percent": limit}),
            ("health_check.Memory", {"max_memory_usage_percent": limit}),
            ("health_check.contrib.psutil.CPU", {"max_usage_percent": limit}),
        )
        assert set(client.get("/health/?format=json").json().values()) == {"OK"}


def test_migrations__setting(settings: Settings) -> None:
    """The setting names the database."""
    assert MigrationsHealthCheck().alias == "default"
    settings.HEALTHCHECK_MIGRATIONS_DB = "other"
    assert MigrationsHealthCheck().alias == "other"


def test_redis__url(settings: Settings) -> None:
    """The URL is that of the option, else of a subclass, else of the setting, else of this host."""

    class Shop(RedisHealthCheck):
        redis_url = "redis://class/1"

    assert RedisHealthCheck().url == "redis://localhost/1"
    settings.REDIS_URL = f"redis://:{SECRET}@setting/1"
    assert RedisHealthCheck().url == settings.REDIS_URL
    assert Shop().url == "redis://class/1"
    assert RedisHealthCheck(redis_url="redis://option/1").url == "redis://option/1"
    assert RedisHealthCheck("redis://new/1").url == "redis://new/1"
    assert label_of(RedisHealthCheck()) == "RedisHealthCheck"


@pytest.mark.parametrize("by_setting", [True, False])
def test_redis__more_arguments(settings: Settings, by_setting: bool) -> None:
    """More arguments of the client are handed on."""
    options: dict[str, Any] = {}
    if by_setting:
        settings.HEALTHCHECK_REDIS_URL_OPTIONS = {"socket_timeout": 7}
    else:
        options["redis_url_options"] = {"socket_timeout": 7}
    factory = RedisHealthCheck(redis_url="redis://shop/3", **options).client_factory
    assert factory is not None
    with factory() as client:
        arguments = client.connection_pool.connection_kwargs
        assert (arguments["host"], arguments["db"], arguments["socket_timeout"]) == ("shop", 3, 7)


def test_redis__client() -> None:
    """A client is taken as it is, with the warning that its successor has."""
    with redis.Redis() as client, pytest.warns(DeprecationWarning, match="use `client_factory`"):
        check = RedisHealthCheck(client=client)
    assert (check.client, check.url) == (client, None)


def test_rabbitmq__namespace(settings: Settings) -> None:
    """The namespace, of the option or of a subclass, says which setting has the broker."""

    class Shop(RabbitMQHealthCheck):
        namespace = "SHOP"

    settings.SHOP_BROKER_URL = f"amqp://shop:{SECRET}@broker//"
    assert Shop().amqp_url == RabbitMQHealthCheck(namespace="SHOP").amqp_url == settings.SHOP_BROKER_URL
    assert RabbitMQHealthCheck().amqp_url is None
    assert SECRET not in repr(Shop())
    with pytest.raises(ValueError, match="no setting OTHER_BROKER_URL"):
        RabbitMQHealthCheck(namespace="OTHER")


def test_celery__settings(settings: Settings) -> None:
    """The settings of the timeouts are time budgets."""
    assert (CeleryPingHealthCheck().timeout, CeleryHealthCheck().timeout) == (None, None)
    settings.HEALTHCHECK_CELERY_PING_TIMEOUT = 2
    settings.HEALTHCHECK_CELERY_TIMEOUT = 3
    assert (CeleryPingHealthCheck().timeout, CeleryHealthCheck().timeout) == (2, 3)
    settings.HEALTHCHECK_CELERY_RESULT_TIMEOUT = 4
    assert CeleryHealthCheck().timeout == 4
    assert CeleryPingHealthCheck(timeout=datetime.timedelta(seconds=9)).timeout == datetime.timedelta(seconds=9)


def test_celery__queue() -> None:
    """A subclass may name the queue."""

    class Slow(CeleryHealthCheck):
        queue = "slow"

    assert (Slow().queues, CeleryHealthCheck().queues, Slow(queues=["other"]).queues) == (["slow"], None, ["other"])
