"""The ping of Celery's workers, by RabbitMQ."""

from __future__ import annotations

import pathlib

import pytest

from health_check.contrib.celery import Ping
from tests.end_to_end.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.end_to_end.client import eventually
from tests.rabbitmq import Broker, rabbitmq_server
from tests.workers import site_app, worker

pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]


def test_ping__by_rabbitmq(tmp_path: pathlib.Path) -> None:
    """It finds workers and misses them; a broker that hangs is told in time; and it leaves no queue."""
    with rabbitmq_server() as broker, site_app(broker.url()) as app:
        check = Ping(app, timeout=BUDGET_SECONDS)
        assert errors_of(check) == ["unavailable: no worker answers"]
        with worker(tmp_path, broker.url(), cache="redis://127.0.0.1:1"):
            assert errors_of(check) == []
            before = queues_of(broker)
            with nothing_left():
                for _ in range(RUNS):
                    check.run_check()
            eventually(lambda: queues_of(broker) == before, what="no further queue")
            broker.pause()
            try:
                assert errors_of(check) == ["unavailable: the broker of Celery did not answer in time"]
            finally:
                broker.resume()
        broker.kill()
        assert errors_of(check) == ["unavailable: cannot connect to the broker of Celery (ConnectionRefusedError)"]


def queues_of(broker: Broker) -> str:
    """Return the names of all queues."""
    return broker.control("list_queues", "name", "--no-table-headers")
