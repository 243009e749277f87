"""The check of RabbitMQ, against a real one."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from health_check.contrib.rabbitmq import RabbitMQ
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.rabbitmq import PASSWORD, Broker, rabbitmq_server

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

REFUSED = "unavailable: RabbitMQ refused the virtual host, or one more connection to it"


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    """A RabbitMQ."""
    with rabbitmq_server() as broker:
        yield broker


def check_of(broker: Broker, **options: str) -> RabbitMQ:
    """Return a check of it."""
    return RabbitMQ(broker.url(**options), timeout=BUDGET_SECONDS)


def test_check__paused_and_on_again(broker: Broker) -> None:
    """A broker that does nothing is told in time, and in order again as soon as it goes on."""
    assert errors_of(check_of(broker)) == []
    broker.pause()
    try:
        assert errors_of(check_of(broker)) == ["unavailable: RabbitMQ did not answer in time"]
    finally:
        broker.resume()
    eventually(lambda: errors_of(check_of(broker)) == [], what="a broker in order")


def test_check__killed_and_started_again(broker: Broker) -> None:
    """A broker that is gone is told at once, and in order when it is back."""
    broker.kill()
    try:
        assert errors_of(check_of(broker)) == ["unavailable: cannot connect to RabbitMQ (ConnectionRefusedError)"]
    finally:
        broker.start()
    eventually(lambda: errors_of(check_of(broker)) == [], what="a broker in order")


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


def test_check__leaves_nothing(broker: Broker) -> None:
    """After many runs, good and bad, there is no connection, queue, file or thread that was not there before."""
    assert errors_of(check_of(broker)) == []
    with nothing_left():
        for _ in range(RUNS):
            check_of(broker).run_check()
        for _ in range(3):
            check_of(broker, password="planted-wrong-2c9a").run_check()
    bare = "--no-table-headers"
    eventually(lambda: broker.control("list_connections", "pid", bare) == "", what="no connection")
    assert broker.control("list_queues", "name", bare) == ""
