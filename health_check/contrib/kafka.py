"""The check of a Kafka cluster."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from health_check.checks.clients import ServiceCheck, needs
from health_check.exceptions import HealthCheckException, ServiceReturnedUnexpectedResult, ServiceUnavailable

with needs("confluent-kafka", extra="kafka", what="health_check.contrib.kafka"):
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient


@dataclasses.dataclass(repr=False)
class Kafka(ServiceCheck):
    """Check that a Kafka cluster answers.

    Verifies that one of the bootstrap servers can be reached, and lists at least one broker. Reads and writes no
    topic. That costs the cluster a connection and a metadata request a run.

    Args:
        bootstrap_servers: The servers to begin with, as in ``["kafka-1:9092"]``.
        config: More configuration of the client, for a login say: librdkafka's properties. Default none.
    """

    bootstrap_servers: Sequence[str] = dataclasses.field(repr=False)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)

    def check_status(self) -> None:
        problem = self._problem(self.client_timeout())
        if problem is not None:
            raise problem

    def _problem(self, seconds: float) -> HealthCheckException | None:
        """Return what is wrong.

        The client ends its threads and connections when it is let go, which the traceback of an exception would not do.
        """
        servers, reported = self.bootstrap_servers, list[KafkaError]()
        configuration = {
            "log_level": 0,
            "socket.timeout.ms": max(10, int(seconds * 1000)),
            "error_cb": reported.append,
            **self.config,
            "bootstrap.servers": servers if isinstance(servers, str) else ",".join(servers),
        }
        try:
            client = AdminClient(configuration)
        except KafkaException as error:
            return ServiceUnavailable(f"the configuration of Kafka cannot be used ({_name(error)})")
        try:
            brokers = client.list_topics(timeout=seconds).brokers
        except KafkaException as error:
            client.poll(0)  # has it report what happened to its connections
            names = dict.fromkeys([_name(error), *(found.name() for found in reported)])
            refused = "_AUTHENTICATION" in names
            words = (
                "the login to Kafka was refused"
                if refused
                else f"cannot get the metadata of Kafka ({', '.join(names)})"
            )
            problem = ServiceUnavailable(words)
            problem.__cause__ = error.with_traceback(None)
            return problem
        return None if brokers else ServiceReturnedUnexpectedResult("Kafka lists no broker")


def _name(error: KafkaException) -> str:
    """Return what librdkafka calls an error: its text names hosts."""
    reason = error.args[0] if error.args else None
    return reason.name() if isinstance(reason, KafkaError) else type(error).__name__
