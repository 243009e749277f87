"""Kafka for tests: the cluster that librdkafka mimics, in a process of its own, to be paused and killed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
from collections.abc import Iterator

from tests.end_to_end.servers import Server, await_output, running

PROGRAM = """
import signal
from confluent_kafka.admin import AdminClient

client = AdminClient({"test.mock.num.brokers": 2, "log_level": 0})
brokers = client.list_topics(timeout=60).brokers.values()
print("brokers:", ",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
signal.pause()
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cluster:
    """Two brokers, in one process."""

    brokers: list[str]
    """Their addresses, ``HOST:PORT``."""
    server: Server
    """Their process."""

    def pause(self) -> None:
        """Stop them from doing anything: the system still takes connections, and nobody answers."""
        self.server.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.server.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let them go on."""
        self.server.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End them without warning."""
        self.server.process.kill()
        self.server.process.wait()


@contextlib.contextmanager
def kafka_cluster(folder: pathlib.Path) -> Iterator[Cluster]:
    """Run a cluster."""
    with running([sys.executable, "-c", PROGRAM], folder) as server:
        yield Cluster(brokers=await_output(server, r"brokers: (\S+)\n")[1].split(","), server=server)
