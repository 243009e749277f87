"""What to write in ``checks`` for what was registered as in django-health-check 3.x."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from health_check.compat import declarations, names
from tests.support.checks import Alias


def evaluated(settings: Settings, *entries: tuple[Any, dict[str, Any]]) -> list[Any]:
    """Return the list that is to be written."""
    found: list[Any] = eval(declarations.written(entries), {"settings": settings, "redis": None})  # noqa: S307
    return found


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ((Alias, {"alias": "other"}), ("tests.support.checks.Alias", {"alias": "other"})),
        (("health_check.Cache", {"alias": "default"}), "health_check.Cache"),
        (("health_check.Cache", {"alias": "sessions"}), ("health_check.Cache", {"alias": "sessions"})),
        ((names.ADAPTERS["MigrationsHealthCheck"], {}), "health_check.Migrations"),
        ((names.ADAPTERS["S3Boto3StorageHealthCheck"], {}), "health_check.Storage"),
        (
            (names.ADAPTERS["RedisHealthCheck"], {}),
            ("health_check.contrib.redis.Redis", {"url": "redis://localhost/1"}),
        ),
    ],
)
def test_written__names_of_today(settings: Settings, entry: tuple[Any, dict[str, Any]], expected: Any) -> None:
    """Each check has its name of today, and the options that it was registered with."""
    assert evaluated(settings, entry, entry) == [expected]


@pytest.mark.parametrize(
    ("check", "setting", "value", "options"),
    [
        (names.ADAPTERS["RedisHealthCheck"], "REDIS_URL", "redis://:secret@shop", {"url": "redis://:secret@shop"}),
        (names.ADAPTERS["CeleryPingHealthCheck"], "HEALTHCHECK_CELERY_PING_TIMEOUT", 3, {"timeout": 3}),
        (names.ADAPTERS["MigrationsHealthCheck"], "HEALTHCHECK_MIGRATIONS_DB", "other", {"alias": "other"}),
        ("health_check.Disk", "HEALTH_CHECK", {"DISK_USAGE_MAX": 80}, {"max_disk_usage_percent": 80}),
        ("health_check.Memory", "HEALTH_CHECK", {"MEMORY_MIN": 512}, {"min_gibibytes_available": 0.5}),
    ],
)
def test_written__settings_are_options(
    settings: Settings, check: str, setting: str, value: Any, options: dict[str, Any]
) -> None:
    """What was a setting is an option, without what is secret in it."""
    setattr(settings, setting, value)
    [(_, found)] = evaluated(settings, (check, {}))
    assert found == options
    assert "secret" not in declarations.written([(check, {})])


def test_written__arguments_of_a_client(settings: Settings) -> None:
    """Arguments of the client of Redis make it a factory."""
    settings.HEALTHCHECK_REDIS_URL_OPTIONS = {"db": 1}
    [(_, found)] = evaluated(settings, (names.ADAPTERS["RedisHealthCheck"], {}))
    assert list(found) == ["client_factory"]


@pytest.mark.parametrize("value", [{"DISK_USAGE_MAX": "much"}, None, "nonsense"])
def test_written__settings_of_no_use(settings: Settings, value: Any) -> None:
    """A setting that cannot be used is left out."""
    settings.HEALTH_CHECK = value
    assert evaluated(settings, ("health_check.Disk", {})) == ["health_check.Disk"]
