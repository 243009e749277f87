"""Servers that several modules of tests share, as they take long to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.rabbitmq import Broker, rabbitmq_server


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """A RabbitMQ; the tests that use it are given to one of pytest's workers, so that it starts once."""
    with rabbitmq_server() as broker:
        yield broker
