"""The check of a Kafka cluster."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from health_check.backends import ConciseRepr, HealthCheck
from health_check.checks.clients import client_timeout
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable

try:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient
except ImportError as error:
    raise ImportError(
        "health_check.contrib.kafka needs confluent-kafka: pip install 'django-health-exporter[kafka]'"
    ) from error


@dataclasses.dataclass(repr=False)
class Kafka(ConciseRepr, HealthCheck):
    """Check that a Kafka cluster answers.

    Verifies that one of the bootstrap servers can be reached, and lists at least one broker. Reads and writes no
    topic. That costs the cluster a connection and a metadata request a run.

    Args:
        bootstrap_servers: The servers to begin with, as in ``["kafka-1:9092"]``.
        config: More configuration of the client, for a login say: librdkafka's properties. Default none.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    bootstrap_servers: Sequence[str] = dataclasses.field(repr=False)
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict, repr=False)
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        brokers, failure, reasons = self._ask(client_timeout(self))
        if "_AUTHENTICATION" in reasons:
            raise ServiceUnavailable("the login to Kafka was refused") from failure
        if failure is not None:
            raise ServiceUnavailable(f"cannot get the metadata of Kafka ({', '.join(reasons)})") from failure
        if not brokers:
            raise ServiceReturnedUnexpectedResult("Kafka lists no broker")

    def _ask(self, seconds: float) -> tuple[int, KafkaException | None, list[str]]:
        """Return how many brokers there are, or what went wrong and by which names.

        The client ends its threads and connections when it is let go, which the traceback of an exception would not do.
        """
        reported: list[KafkaError] = []
        try:
            client = AdminClient(self._configuration(seconds, reported.append))
        except KafkaException as error:
            raise ServiceUnavailable(f"the configuration of Kafka cannot be used ({_name(error)})") from None
        try:
            return len(client.list_topics(timeout=seconds).brokers), None, []
        except KafkaException as error:
            client.poll(0)  # has it report what happened to its connections
            names = [_name(error), *(found.name() for found in reported)]
            return 0, error.with_traceback(None), list(dict.fromkeys(names))

    def _configuration(self, seconds: float, report: Callable[[KafkaError], None]) -> dict[str, Any]:
        servers = self.bootstrap_servers
        return {
            "log_level": 0,
            "socket.timeout.ms": max(10, int(seconds * 1000)),
            "error_cb": report,
            **self.config,
            "bootstrap.servers": servers if isinstance(servers, str) else ",".join(servers),
        }


def _name(error: KafkaException) -> str:
    """Return what librdkafka calls an error: its text names hosts."""
    reason = error.args[0] if error.args else None
    return reason.name() if isinstance(reason, KafkaError) else type(error).__name__
