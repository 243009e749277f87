"""The check of RabbitMQ, against a real one."""

from __future__ import annotations

import json

import pytest
from pytest_django import Settings

from health_check.contrib.rabbitmq import RabbitMQ
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.rabbitmq import PASSWORD, Broker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

BARE = "--no-table-headers"

REFUSED = "unavailable: RabbitMQ refused the virtual host, or one more connection to it"


def check_of(broker: Broker, **options: str) -> RabbitMQ:
    """Return a check of it."""
    return RabbitMQ(broker.url(**options), timeout=BUDGET_SECONDS)


@pytest.fixture
def service(broker: Broker) -> Service:
    """RabbitMQ, and the check of it."""

    def left() -> dict[str, int]:
        lists = {"connections": "pid", "queues": "name"}
        return {what: len(broker.control(f"list_{what}", by, BARE).splitlines()) for what, by in lists.items()}

    return Service(
        server=broker,
        build=lambda: check_of(broker),
        failing=lambda: check_of(broker, password="planted-wrong-2c9a"),
        failing_runs=3,
        silent="unavailable: RabbitMQ did not answer in time",
        gone=r"unavailable: cannot connect to RabbitMQ \(ConnectionRefusedError\)",
        left=left,
    )


class TestContract(Contract):
    """The check of a RabbitMQ."""


def test_check__wrong_password(broker: Broker) -> None:
    """A login that is refused is told, and none of its words."""
    wrong = check_of(broker, password="planted-wrong-2c9a")
    assert errors_of(wrong) == ["unavailable: the login to RabbitMQ was refused"]


def test_check__no_such_virtual_host(broker: Broker) -> None:
    """A virtual host that is not there is told."""
    assert errors_of(check_of(broker, host="nowhere")) == [REFUSED]


def test_check__out_of_connections(broker: Broker) -> None:
    """A virtual host that takes no further connection is told, until it does."""
    broker.control("set_vhost_limits", json.dumps({"max-connections": 0}))
    try:
        assert errors_of(check_of(broker)) == [REFUSED]
    finally:
        broker.control("clear_vhost_limits")
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
