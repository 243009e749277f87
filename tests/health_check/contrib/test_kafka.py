"""The check of Kafka, where no server is needed."""

from __future__ import annotations

from health_check.contrib.kafka import Kafka
from health_check.registry.definitions import label_of

SECRET = "planted-password-7d1f"


def test_check__configuration_that_cannot_be_used() -> None:
    """An option that the client does not know is told as such, and no value of any."""
    check = Kafka(["127.0.0.1:1"], config={"no.such.option": SECRET, "sasl.password": SECRET})
    check.run_check()
    assert [str(error) for error in check.errors] == [
        "unavailable: the configuration of Kafka cannot be used (_INVALID_ARG)"
    ]


def test_label__no_host_and_no_secret() -> None:
    """The label is the same on every site."""
    assert label_of(Kafka(["kafka-1.internal:9092"], config={"sasl.password": SECRET})) == "Kafka"
