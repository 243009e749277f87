"""RabbitMQ for tests: a broker of its own on a loopback port, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import socket
import subprocess
from collections.abc import Iterator

from tests.support.servers import Served, clean_environment, free_port, running, short_folder
from tests.support.services import require

USER = "shopkeeper"
PASSWORD = "planted-password-7d1f"
"""Who may come in, and by which password; these must be shown nowhere."""

PACKAGE = "rabbitmq-server"

PROGRAMS = pathlib.Path("/usr/lib/rabbitmq/bin")
"""Where the package keeps the programs, which those on the PATH start as a user of the package's."""

SECONDS = 90.0
"""How long a broker may take to start."""


@dataclasses.dataclass(kw_only=True)
class Broker(Served):
    """A RabbitMQ, and how to reach it."""

    port: int
    """Its port on 127.0.0.1, the same whenever it is started again."""
    environment: dict[str, str]
    """What makes it one of its own."""

    def url(self, *, password: str = PASSWORD, host: str = "") -> str:
        """Return its URL.

        Args:
            password: The password in it.
            host: The virtual host, as in the URL; default the broker's default, ``/``.
        """
        return f"amqp://{USER}:{password}@127.0.0.1:{self.port}/{host}"

    def start(self) -> None:
        self.run(PROGRAMS / "rabbitmq-server", environment=self.environment)
        self.await_answer(self._answers, seconds=SECONDS)

    def evaluate(self, expression: str) -> str:
        """Return the value of an expression in Erlang; the tools of the broker take a second to start."""
        cookie = (self.folder / ".erlang.cookie").read_text()
        asked = subprocess.run(
            [
                require("erl_call", package="erlang-base"),
                "-n",
                self.environment["RABBITMQ_NODENAME"],
                "-c",
                cookie,
                "-e",
            ],
            input=f"{expression}.\n",
            env={**clean_environment(), **self.environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        assert asked.stdout.startswith("{ok, "), asked.stdout
        return asked.stdout.removeprefix("{ok, ").removesuffix("}")

    def connections(self) -> int:
        """Return how many it has."""
        return int(self.evaluate("length(rabbit_networking:connections())"))

    def queues(self) -> int:
        """Return how many it has."""
        return int(self.evaluate("length(rabbit_amqqueue:list())"))

    def _answers(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), SECONDS) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return bool(connection.recv(8))


@contextlib.contextmanager
def rabbitmq_server() -> Iterator[Broker]:
    """Run a RabbitMQ with one user."""
    require("rabbitmq-server", package=PACKAGE)
    mapper = require("epmd", package="erlang-base")
    port, mapper_port = free_port(), free_port()
    with (
        short_folder("rabbitmq") as folder,
        running([mapper, "-port", str(mapper_port), "-address", "127.0.0.1"], folder),
        Broker(folder=folder, port=port, environment=_environment(folder, port, mapper_port)).started() as broker,
    ):
        yield broker


def _environment(folder: pathlib.Path, port: int, mapper_port: int) -> dict[str, str]:
    configuration = folder / "rabbitmq.conf"
    configuration.write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\ndefault_user = {USER}\ndefault_pass = {PASSWORD}\nlog.console = true\n"
    )
    return {
        "HOME": str(folder),  # there it keeps the secret by which others come in
        "ERL_EPMD_PORT": str(mapper_port),
        "RABBITMQ_NODENAME": f"health-check-{port}@localhost",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONFIG_FILE": str(configuration),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
    }
