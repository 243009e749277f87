"""The ping of Celery's workers, by RabbitMQ."""

from __future__ import annotations

import pathlib

import pytest

from health_check.contrib.celery import Ping
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.rabbitmq import Broker
from tests.support.workers import site_app, worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]

BACK_SECONDS = 90.0
"""How long it may take until a worker has found a broker that is back."""

NO_WORKER = "unavailable: no worker answers"

SILENT = "unavailable: the broker of Celery did not answer in time"


def test_ping__by_rabbitmq(broker: Broker, tmp_path: pathlib.Path) -> None:
    """It finds workers and misses them; a broker that hangs is told; and it leaves no queue."""
    with site_app(broker.url()) as app:
        check = Ping(app, timeout=BUDGET_SECONDS)
        assert errors_of(check) == [NO_WORKER]
        with worker(tmp_path, broker.url(), cache="redis://127.0.0.1:1"):
            assert errors_of(check) == []
            before = queues_of(broker)
            with nothing_left():
                for _ in range(RUNS):
                    check.run_check()
            eventually(lambda: queues_of(broker) == before, what="no further queue")
            broker.pause()
            try:
                assert errors_of(check) == [SILENT]
            finally:
                broker.resume()
            eventually(lambda: errors_of(check) == [], what="an answer", seconds=BACK_SECONDS)


@pytest.mark.long  # the contract of the check of RabbitMQ has a broker that is killed
def test_ping__of_a_broker_that_is_killed(broker: Broker, tmp_path: pathlib.Path) -> None:
    """A broker that is gone is told; where it is back, and workers have found it, that is over."""
    with site_app(broker.url()) as app:
        check = Ping(app, timeout=BUDGET_SECONDS)
        with worker(tmp_path, broker.url(), cache="redis://127.0.0.1:1"):
            assert errors_of(check) == []
            broker.kill()
            try:
                assert errors_of(check) == [
                    "unavailable: cannot connect to the broker of Celery (ConnectionRefusedError)"
                ]
            finally:
                broker.start()
            eventually(lambda: errors_of(check) == [], what="an answer", seconds=BACK_SECONDS)


def test_ping__wrong_password(broker: Broker) -> None:
    """A login that is refused is told, and none of its words."""
    with site_app(broker.url(password="planted-wrong-2c9a")) as app:
        assert errors_of(Ping(app, timeout=BUDGET_SECONDS)) == [
            "unavailable: the login to the broker of Celery was refused"
        ]


def test_ping__memory_alarm(broker: Broker, tmp_path: pathlib.Path) -> None:
    """A broker that takes no messages, as its memory is full, is told in time; when it takes them, that is over."""
    with site_app(broker.url()) as app, worker(tmp_path, broker.url(), cache="redis://127.0.0.1:1"):
        check = Ping(app, timeout=BUDGET_SECONDS)
        assert errors_of(check) == []
        broker.control("set_vm_memory_high_watermark", "0")
        try:
            assert errors_of(check) == [SILENT]
        finally:
            broker.control("set_vm_memory_high_watermark", "0.6")
        eventually(lambda: errors_of(check) == [], what="an answer", seconds=BACK_SECONDS)


def queues_of(broker: Broker) -> str:
    """Return the names of all queues."""
    return broker.control("list_queues", "name", "--no-table-headers")
