"""The check of a Kafka cluster."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from health_check.backends import HealthCheck
from health_check.checks.timeouts import client_timeout
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable
from health_check.labels import ConciseRepr

try:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient
except ImportError as error:
    raise ImportError(
        "health_check.contrib.kafka needs confluent-kafka: pip install 'django-health-exporter[kafka]'"
    ) from error


@dataclasses.dataclass(repr=False)
class Kafka(ConciseRepr, HealthCheck):
    """Check that a Kafka cluster answers.

    Verifies that one of the bootstrap servers can be reached, and tells of at least one broker. Reads and writes no
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
        seconds = client_timeout(self)
        servers = self.bootstrap_servers
        configuration = {
            "log_level": 0,
            "socket.timeout.ms": max(10, int(seconds * 1000)),
            **self.config,
            "bootstrap.servers": servers if isinstance(servers, str) else ",".join(servers),
        }
        try:
            brokers = AdminClient(configuration).list_topics(timeout=seconds).brokers
        except KafkaException as error:
            reason = error.args[0].name() if error.args else type(error).__name__
            raise ServiceUnavailable(f"cannot get the metadata of Kafka ({reason})") from error
        if not brokers:
            raise ServiceReturnedUnexpectedResult("Kafka tells of no broker")
