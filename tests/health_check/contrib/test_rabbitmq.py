"""The check of RabbitMQ, where no broker is needed."""

from __future__ import annotations

import pytest

from health_check.contrib.rabbitmq import RabbitMQ
from health_check.registry.definitions import label_of


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (None, "no broker is named: use the option `amqp_url`, or the setting BROKER_URL"),
        ("redis://:planted@broker.internal", "the URL of RabbitMQ cannot be used: begin it with amqp://"),
    ],
)
def test_url__that_cannot_be_used(url: str | None, words: str) -> None:
    """A missing URL, and that of another service, are told; the URL is not shown."""
    check = RabbitMQ(url)
    check.run_check()
    assert [str(error) for error in check.errors] == [f"unavailable: {words}"]


def test_label__no_host_and_no_secret() -> None:
    """The label is the same on every site."""
    assert label_of(RabbitMQ("amqp://shopkeeper:planted@broker.internal//")) == "RabbitMQ"
