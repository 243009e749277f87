"""Kafka for tests: the cluster that librdkafka mimics, in a process of its own, to be paused and killed."""

from __future__ import annotations

import dataclasses
import sys

from tests.support.servers import Served, await_output

PROGRAM = """
import signal
from confluent_kafka.admin import AdminClient

client = AdminClient({"test.mock.num.brokers": 2, "log_level": 0})
brokers = client.list_topics(timeout=60).brokers.values()
print("brokers:", ",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
signal.pause()
"""


@dataclasses.dataclass(kw_only=True)
class Cluster(Served):
    """Two brokers, in one process."""

    brokers: list[str] = dataclasses.field(init=False)
    """Their addresses, ``HOST:PORT``; others whenever they are started again."""

    def start(self) -> None:
        self.run(sys.executable, "-c", PROGRAM)
        self.brokers = await_output(self.server, r"brokers: (\S+)\n")[1].split(",")
