"""What checks make of their options: labels, defaults, and options that cannot be used."""

from __future__ import annotations

import os
import pathlib
import socket
from typing import Any

import dns.rdatatype
import dns.resolver
import pytest
import redis
from celery import Celery
from django.test import Client

from health_check import DNS, Cache, Database, Disk, Mail, Memory, Migrations, Storage
from health_check.backends import HealthCheck
from health_check.contrib.celery import Heartbeat, Ping
from health_check.contrib.kafka import Kafka
from health_check.contrib.memcached import Memcached
from health_check.contrib.psutil import CPU, Battery, Load, Temperature
from health_check.contrib.rabbitmq import RabbitMQ
from health_check.contrib.redis import Redis
from health_check.contrib.tcp import TCP
from health_check.exceptions import Misconfigured
from health_check.registry.definitions import label_of
from tests.conftest import Mount
from tests.support.checks import messages_of

SECRET = "planted-password-7d1f"

APP = Celery(broker="memory://", set_as_current=False)


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (Cache(alias="default", key_prefix="probe"), "Cache"),
        (Cache(alias="sessions", key_prefix="probe"), "Cache(alias='sessions')"),
        (Database("default"), "Database"),
        (Database(alias="replica"), "Database(alias='replica')"),
        (Migrations(), "Migrations"),
        (Migrations("replica"), "Migrations(alias='replica')"),
        (Mail(timeout=3), "Mail"),
        (Mail(backend="shop.mail.Backend"), "Mail(backend='shop.mail.Backend')"),
        (Storage("default"), "Storage"),
        (Storage(alias="media"), "Storage(alias='media')"),
        (Disk(path=os.getcwd(), max_disk_usage_percent=80), "Disk"),  # noqa: PTH109 - the default of 3.2x
        (Disk(path="/srv"), "Disk(path='/srv')"),
        (Memory(min_gibibytes_available=1, max_memory_usage_percent=None), "Memory"),
        (CPU(max_usage_percent=50, interval=1), "CPU"),
        (Load(max_load_per_cpu=1), "Load"),
        (Load(minutes=15), "Load(minutes=15)"),
        (Battery(min_percent_available=50, power_plugged=True), "Battery"),
        (Temperature(max_temperature_celsius=70), "Temperature"),
        (Temperature(device="nvme"), "Temperature(device='nvme')"),
        (DNS("planted.internal", nameservers=["10.0.0.53"]), "DNS"),
        (DNS(record_type=dns.rdatatype.A), "DNS"),  # type: ignore[arg-type]
        (DNS(record_type="mx"), "DNS(record_type='MX')"),
        (TCP("planted.internal", 5432), "TCP(port=5432)"),
        (Kafka(["kafka-1.internal:9092"], config={"sasl.password": SECRET}), "Kafka"),
        (Memcached("memcached.internal:11211"), "Memcached"),
        (RabbitMQ(f"amqp://shopkeeper:{SECRET}@broker.internal//"), "RabbitMQ"),
        (Redis(f"redis://:{SECRET}@redis.internal:6379/0"), "Redis"),
        (Ping(APP), "Ping"),
        (Ping(APP, queues=["mails"]), "Ping(queues=['mails'])"),
        (Heartbeat(), "Heartbeat"),
        (Heartbeat("mails", max_silence=5), "Heartbeat(queue='mails')"),
    ],
    ids=str,
)
def test_label(check: HealthCheck, label: str) -> None:
    """The label has what is looked at where it is not the default, and no host, secret, threshold or working folder."""
    assert label_of(check) == label


def test_defaults() -> None:
    """By default a check looks at this very host, or at what most sites have."""
    assert (DNS().hostname, DNS().record_type, DNS().nameservers) == (socket.gethostname(), "A", None)
    assert (Disk().path, Disk().max_disk_usage_percent) == (str(pathlib.Path.cwd()), 90)
    assert (Memory().max_memory_usage_percent, Memory().min_gibibytes_available) == (90, None)
    assert (Mail().max_age, Storage().max_age) == (60, 60)


REDIS = "the URL of Redis cannot be used: begin it with redis://, and percent-encode its password"

CELERY = "it needs a scheme that is known, and its password percent-encoded"


@pytest.mark.parametrize(
    ("check", "error"),
    [
        (
            Kafka(["127.0.0.1:1"], config={"no.such.option": SECRET, "sasl.password": SECRET}),
            "the configuration of Kafka cannot be used (_INVALID_ARG)",
        ),
        (
            Memcached("memcached.internal:planted"),
            "the option `server` of Memcached cannot be used: use HOST:PORT",
        ),
        (RabbitMQ(), "no broker is named: use the option `amqp_url`, or the setting BROKER_URL"),
        (
            RabbitMQ("redis://:planted@broker.internal"),
            "the URL of RabbitMQ cannot be used: begin it with amqp://",
        ),
        (Redis("http://redis.internal"), REDIS),
        (Redis("redis.internal:6379"), REDIS),
        (
            Ping(Celery(broker="nonsense://broker.internal", set_as_current=False)),
            f"the URL of the broker of Celery cannot be used: {CELERY}",
        ),
        (
            Heartbeat(alias="nowhere"),
            "cannot read the heartbeat from the cache (InvalidCacheBackendError)",
        ),
        (DNS(nameservers=["planted.internal"]), "the name cannot be resolved (ValueError)"),
        (DNS(nameservers=["127.0.0.1", None]), "the name cannot be resolved (ValueError)"),  # type: ignore[list-item]
        (Database("nowhere"), "the database 'nowhere' is not in DATABASES"),
        (Migrations("nowhere"), "the database 'nowhere' is not in DATABASES"),
    ],
    ids=str,
)
def test_option__that_cannot_be_used(check: HealthCheck, error: str) -> None:
    """An option that cannot be used is told as such, and no host or secret in it."""
    assert messages_of(check) == [f"unavailable: {error}"]


@pytest.mark.parametrize(
    ("check_class", "options", "exception", "words"),
    [
        (Redis, {}, Misconfigured, "one of the options `url` and `client_factory`"),
        (Redis, {"url": "redis://", "client_factory": redis.Redis}, Misconfigured, "one of the options"),
        (Load, {"minutes": 2}, Misconfigured, "1, 5 or 15"),
        (DNS, {"record_type": "planted"}, dns.rdatatype.UnknownRdatatype, "unknown"),
    ],
)
def test_option__that_is_refused(
    check_class: type[HealthCheck], options: dict[str, Any], exception: type[Exception], words: str
) -> None:
    """Options that never make sense are refused at once."""
    with pytest.raises(exception, match=words):
        check_class(**options)


def test_dns__no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that names no name server is told."""

    def fail(resolver: dns.resolver.Resolver, place: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", fail)
    assert messages_of(DNS()) == ["unavailable: the name cannot be resolved (NoResolverConfiguration)"]


def test_redis__says_what_is_wrong(mount_checks: Mount, client: Client) -> None:
    """Without a server the page says what to set, and does not refer to the log."""
    mount_checks("redis.Redis")
    said = client.get("/health/?format=json").json()
    assert list(said.values()) == ["misconfigured: Redis takes one of the options `url` and `client_factory`"]


def test_redis__client_is_deprecated() -> None:
    """A client that all runs share still works, with a warning that says what to use, and is not closed."""

    class Shared:
        closed = False

        def execute_command(self) -> None:
            """Exist, as that of a client does."""

        def ping(self) -> bool:
            return True

        def close(self) -> None:
            self.closed = True

    client = Shared()
    with pytest.warns(DeprecationWarning, match="use `client_factory`"):
        check = Redis(client=client)
    assert messages_of(check) == []
    assert not client.closed
