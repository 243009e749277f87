"""What is said where a package is missing, and what no check shows."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
from celery import Celery
from django.test import Client

import health_check
from health_check.backends import HealthCheck
from health_check.compat.redis import RedisHealthCheck
from health_check.contrib.celery import Ping
from health_check.contrib.elasticsearch import Elasticsearch
from health_check.contrib.http import HTTP
from health_check.contrib.rabbitmq import RabbitMQ
from health_check.contrib.redis import Redis
from health_check.contrib.tcp import TCP
from tests.conftest import Mount

SECRET = "planted-secret-7d1f"

NEEDED = {
    "http": ("httpx", "http"),
    "atlassian": ("httpx", "http"),
    "elasticsearch": ("httpx", "http"),
    "opensearch": ("httpx", "http"),
    "rss": ("feedparser", "rss"),
    "dns": ("dns", "dns"),
    "s3": ("storages", "s3"),
    "redis": ("redis", "redis"),
    "memcached": ("pymemcache", "memcached"),
    "rabbitmq": ("kombu", "rabbitmq"),
    "kafka": ("confluent_kafka", "kafka"),
    "celery": ("celery", "celery"),
}
"""The modules of checks, what each needs, and the extra that brings it."""


@pytest.mark.parametrize("module", NEEDED)
def test_import__without_the_package(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module whose package is missing says which extra brings it."""
    package, extra = NEEDED[module]
    for name in [*sys.modules]:
        if name.startswith((f"{package}.", "health_check.contrib.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"needs .+: pip install 'django-health-exporter\[{extra}\]'"):
        importlib.import_module(f"health_check.contrib.{module}")


def test_entry__without_the_package(mount_checks: Mount, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry whose package is missing is a failing check that says so, and no error of the site's."""
    monkeypatch.delitem(vars(health_check), "DNS", raising=False)
    monkeypatch.delitem(sys.modules, "health_check.contrib.dns", raising=False)
    monkeypatch.setitem(sys.modules, "dns", None)
    mount_checks("health_check.DNS", "health_check.Memory")
    response = client.get("/health/?format=json")
    assert response.status_code == 500
    assert response.json()["health_check.DNS"].endswith("pip install 'django-health-exporter[dns]'.")


CHECKS: list[tuple[type[HealthCheck], dict[str, Any]]] = [
    (HTTP, {"url": f"http://probe:{SECRET}@planted.invalid/?token={SECRET}", "headers": {"X-Key": SECRET}}),
    (HTTP, {"url": "http://planted.invalid/", "auth": ("probe", SECRET), "name": "shop"}),
    (Elasticsearch, {"url": f"http://probe:{SECRET}@planted.invalid:9200"}),
    (Elasticsearch, {"url": "http://planted.invalid:9200", "api_key": SECRET, "name": "index"}),
    (TCP, {"host": "planted.invalid", "port": 5432}),
]


@pytest.mark.parametrize("face", ["/health/?format=json", "/health/?format=html", "/metrics"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning:feedparser")
def test_faces__neither_hosts_nor_secrets(
    mount_checks: Mount, client: Client, caplog: pytest.LogCaptureFixture, face: str
) -> None:
    """No face, no ``repr`` and no log has a host, a user or a password of what is checked."""
    caplog.set_level("DEBUG", "health_check")
    mount_checks(*CHECKS)
    shown = client.get(face).content.decode() + caplog.text + repr([check(**_own(o)) for check, o in CHECKS])
    assert "TCP(port=5432)" in shown
    assert SECRET not in shown
    assert "planted.invalid" not in shown


UNENCODED = f"shopkeeper:{SECRET}/x@127.0.0.1:1"
"""User and password that are not percent-encoded: to Python, a part of the password is the port."""

URLS: list[tuple[type[HealthCheck], dict[str, Any]]] = [
    (RedisHealthCheck, {"redis_url": f"redis://{UNENCODED}", "redis_url_options": {"db": 1}}),
    (HTTP, {"url": f"http://{UNENCODED}"}),
    (Elasticsearch, {"url": f"http://{UNENCODED}"}),
    (Redis, {"url": f"redis://{UNENCODED}"}),
    (RabbitMQ, {"amqp_url": f"amqp://{UNENCODED}"}),
    (RabbitMQ, {"amqp_url": f"amqp://127.0.0.1:1;amqp://{UNENCODED}", "name": "two"}),
    (Ping, {"app": Celery(broker=f"redis://{UNENCODED}", set_as_current=False)}),
]


@pytest.mark.parametrize(("check", "options"), URLS)
def test_url__password_that_is_not_encoded(
    mount_checks: Mount,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    check: type[HealthCheck],
    options: dict[str, Any],
) -> None:
    """A URL that cannot be understood is told as such; the log has no part of its password."""
    caplog.set_level("DEBUG")
    mount_checks((check, options))
    shown = client.get("/health/?format=json").content.decode()
    assert "cannot be used" in shown
    assert SECRET not in shown + caplog.text


def _own(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "name"}
