"""The check of RabbitMQ, and the ping of Celery's workers by it, against a real one."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from health_check.contrib.celery import Ping
from health_check.contrib.rabbitmq import RabbitMQ
from tests.services.contract import Contract, LastingContract, Service
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.rabbitmq import PASSWORD, Broker, rabbitmq_server
from tests.support.workers import paused, site_app, worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

WRONG = "planted-wrong-2c9a"

REFUSED = "unavailable: RabbitMQ refused the virtual host, or one more connection to it"

SILENT = "unavailable: the broker of Celery did not answer in time"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A RabbitMQ."""
    with rabbitmq_server() as broker:
        yield broker


def check_of(broker: Broker, **options: str) -> RabbitMQ:
    """Return a check of it."""
    return RabbitMQ(broker.url(**options), timeout=BUDGET_SECONDS)


@pytest.fixture
def service(broker: Broker) -> Service:
    """RabbitMQ, and the check of it."""
    return Service(
        server=broker,
        build=lambda: check_of(broker),
        failing=lambda: check_of(broker, password=WRONG),
        failing_runs=3,
        silent="unavailable: RabbitMQ did not answer in time",
        gone=r"unavailable: cannot connect to RabbitMQ \(ConnectionRefusedError\)",
        left=lambda: {"connections": broker.connections(), "queues": broker.queues()},
    )


class TestContract(LastingContract):
    """The check of a RabbitMQ."""


@pytest.mark.long
class TestKilled(Contract):
    """The same, and after a start of half a minute."""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"password": WRONG}, "unavailable: the login to RabbitMQ was refused"),
        ({"host": "nowhere"}, REFUSED),
    ],
)
def test_check__refused(broker: Broker, options: dict[str, str], error: str) -> None:
    """A login that is refused, and a virtual host that is not there, are told."""
    assert errors_of(check_of(broker, **options)) == [error]


def test_check__out_of_connections(broker: Broker) -> None:
    """A virtual host that takes no further connection is told, until it does."""
    broker.evaluate('rabbit_vhost_limit:set(<<"/">>, [{<<"max-connections">>, 0}], <<"test">>)')
    try:
        assert errors_of(check_of(broker)) == [REFUSED]
    finally:
        broker.evaluate('rabbit_vhost_limit:clear(<<"/">>, <<"test">>)')
    assert errors_of(check_of(broker)) == []


def test_check__one_of_several(broker: Broker) -> None:
    """Where the first broker is gone, the next one counts."""
    gone = f"amqp://shopkeeper:{PASSWORD}@127.0.0.1:1//"
    assert errors_of(RabbitMQ(f"{gone};{broker.url()}", timeout=BUDGET_SECONDS)) == []
    [error] = errors_of(RabbitMQ(f"{gone};{gone}", timeout=BUDGET_SECONDS))
    assert error == "unavailable: cannot connect to RabbitMQ (ConnectionRefusedError)"


@pytest.mark.parametrize("name", ["BROKER_URL", "CELERY_BROKER_URL"])
def test_check__by_setting(broker: Broker, settings: Settings, name: str) -> None:
    """The setting names the broker where the check does not."""
    setattr(settings, name, broker.url())
    assert errors_of(RabbitMQ()) == []


def test_celery__by_rabbitmq(broker: Broker, tmp_path: pathlib.Path) -> None:
    """Workers are found and missed, and no queue is left; a broker that hangs, or takes no messages, is told."""
    with site_app(broker.url(password=WRONG)) as app:
        assert errors_of(Ping(app, timeout=BUDGET_SECONDS)) == [
            "unavailable: the login to the broker of Celery was refused"
        ]
    with site_app(broker.url()) as app:
        check = Ping(app, timeout=BUDGET_SECONDS)
        assert errors_of(check) == ["unavailable: no worker answers"]
        with worker(tmp_path, broker.url(), cache="redis://127.0.0.1:1"):
            assert errors_of(check) == []
            before = broker.queues()
            with nothing_left():
                for _ in range(RUNS):
                    check.run_check()
            eventually(lambda: broker.queues() == before, what="no further queue")
            broker.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0)")  # what it does where memory is full
            assert errors_of(check) == [SILENT]
            broker.evaluate("vm_memory_monitor:set_vm_memory_high_watermark(0.6)")
            eventually(lambda: errors_of(check) == [], what="an answer")
            with paused(broker):
                assert errors_of(check) == [SILENT]
            eventually(lambda: errors_of(check) == [], what="an answer")
