"""Kafka for tests: the cluster that librdkafka mimics, in a process of its own, to be paused and killed."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator

from tests.support.servers import Served, Server, await_output, running

PROGRAM = """
import signal
from confluent_kafka.admin import AdminClient

client = AdminClient({"test.mock.num.brokers": 2, "log_level": 0})
brokers = client.list_topics(timeout=60).brokers.values()
print("brokers:", ",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
signal.pause()
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster(Served):
    """Two brokers, in one process."""

    brokers: list[str]
    """Their addresses, ``HOST:PORT``."""
    server: Server
    """Their process."""


@contextlib.contextmanager
def kafka_cluster(folder: pathlib.Path) -> Iterator[Cluster]:
    """Run a cluster."""
    with running([sys.executable, "-c", PROGRAM], folder) as server:
        yield Cluster(brokers=await_output(server, r"brokers: (\S+)\n")[1].split(","), server=server)
