"""Importing the package: next to nothing, and every name that users import."""

from __future__ import annotations

import importlib
import json
import sys

import pytest

import health_check
from health_check.backends import HealthCheck
from tests.support.servers import ROOT
from tests.support.wheel import run

OWN = [
    "health_check",
    "health_check._version",
    "health_check.compat",
    "health_check.compat.finder",
    "health_check.compat.names",
]

PUBLIC = {
    "health_check": "Cache DNS Database Disk HealthCheck Mail Memory Migrations Storage __version__",
    "health_check.backends": "HealthCheck",
    "health_check.base": "HealthCheck",
    "health_check.checks": "Cache DNS Database Mail Migrations Storage",
    "health_check.contrib.atlassian": "AtlassianStatusPage Cloudflare DigitalOcean FlyIo GitHub Npm PlatformSh PyPI "
    "Render Sentry Vercel",
    "health_check.contrib.celery": "Heartbeat Ping",
    "health_check.contrib.dns": "DNS",
    "health_check.contrib.elasticsearch": "Elasticsearch",
    "health_check.contrib.http": "HTTP",
    "health_check.contrib.kafka": "Kafka",
    "health_check.contrib.memcached": "Memcached",
    "health_check.contrib.opensearch": "OpenSearch",
    "health_check.contrib.psutil": "Battery CPU Disk Load Memory Temperature",
    "health_check.contrib.rabbitmq": "RabbitMQ",
    "health_check.contrib.redis": "Redis",
    "health_check.contrib.rss": "AWS Azure Feed GoogleCloud Heroku Hetzner",
    "health_check.contrib.s3": "S3",
    "health_check.contrib.tcp": "TCP",
    "health_check.exceptions": "HealthCheckException ServiceReturnedUnexpectedResult ServiceUnavailable ServiceWarning "
    "StatusPageWarning",
    "health_check.middleware": "HealthCheckMiddleware",
    "health_check.plugins": "plugin_dir",
    "health_check.signals": "check_finished state_changed",
    "health_check.stores": "Store StoreError",
    "health_check.stores.cache": "DjangoCacheStore",
    "health_check.stores.memory": "MemoryStore",
    "health_check.stores.sqlite": "SQLiteStore",
    "health_check.urls": "urlpatterns",
    "health_check.views": "HealthCheckView",
    "health_check_opentelemetry": "SpanObserver",
    "health_check_prometheus": "HealthCheckCollector",
    "health_check_prometheus.urls": "urlpatterns",
    "health_check_prometheus.views": "MetricsView",
}
"""What users import, by module; django-health-check's own old names are in tests of ``compat``."""


def test_import__brings_neither_django_nor_checks() -> None:
    """``import health_check`` imports a few small modules of its own, and of others only the standard library's."""
    program = (
        "import sys, json; before = [*sys.modules]; import health_check; print(json.dumps([before, [*sys.modules]]))"
    )
    before, after = json.loads(run([sys.executable, "-c", program], ROOT))
    added = sorted(set(after) - set(before))
    assert [name for name in added if name.startswith("health_check")] == OWN
    assert {name.partition(".")[0] for name in added} - sys.stdlib_module_names <= {"health_check"}


@pytest.mark.parametrize(("module", "names"), PUBLIC.items(), ids=PUBLIC)
def test_public_name__can_be_imported(module: str, names: str) -> None:
    """Every name that users import is where they import it from."""
    found = importlib.import_module(module)
    assert [name for name in names.split() if not hasattr(found, name)] == []


def test_names__are_listed() -> None:
    """The names are listed before they are asked for, and each is a check."""
    assert set(health_check.__all__) <= set(dir(health_check))
    checks = [getattr(health_check, name) for name in health_check.__all__ if name != "__version__"]
    assert all(issubclass(check, HealthCheck) for check in checks)


def test_name__unknown() -> None:
    """A name that there is not is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match="'health_check' has no attribute 'Cahce'"):
        _ = health_check.Cahce
