"""PostgreSQL for tests: a cluster of its own on a loopback port, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg

from tests.support.servers import Served, free_port, short_folder
from tests.support.services import require

USER = "shopkeeper"
PASSWORD = "planted-password-7d1f"
DATABASE = "shop"
"""Who works in the cluster, by which password, and where; these must be shown nowhere."""

ADMINISTRATOR = "postgres"
"""Who may do everything, also where there are no connections left; comes in without password by the local socket."""

RESERVED = 3
"""How many connections are kept for the administrator."""

SETTINGS = {
    "fsync": "off",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "8MB",
    "listen_addresses": "127.0.0.1",
    "superuser_reserved_connections": str(RESERVED),
    "log_line_prefix": "[%a %p] ",
}


@dataclasses.dataclass(kw_only=True)
class Postgres(Served):
    """A PostgreSQL server, and how Django reaches it."""

    settings: dict[str, str]
    """Its configuration."""
    port: int = dataclasses.field(default_factory=free_port)
    """Its port on 127.0.0.1, the same whenever it is started again."""

    def configuration(self, **more: object) -> dict[str, object]:
        """Return what stands for it in ``DATABASES``.

        Args:
            more: Further settings, or others.
        """
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": DATABASE,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            **more,
        }

    def start(self) -> None:
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        place = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)]
        self.run(*_as_its_user(), _program("postgres"), *place, *options)
        self.await_answer(self._answers)

    def stop(self) -> None:
        """Stop it in good order, but without waiting for who is connected."""
        self.server.stop(signal.SIGINT)

    def restart(self) -> None:
        """Stop it, and start it again: whoever was connected is no more."""
        self.stop()
        self.start()

    def close(self) -> None:
        if self.is_running:  # killed, it would leave its shared memory behind
            self.resume()
            self.server.stop(signal.SIGQUIT)

    def query(self, statement: str, *, database: str = ADMINISTRATOR) -> list[tuple[Any, ...]]:
        """Execute SQL as the administrator, and return the rows that it gives, if it does."""
        with self.connected(database=database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def connected(
        self, *, user: str = ADMINISTRATOR, database: str = ADMINISTRATOR
    ) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Yield a connection of the test's own, by the local socket."""
        with psycopg.connect(
            host=str(self.folder),
            port=self.port,
            user=user,
            dbname=database,
            autocommit=True,
            application_name="test",
            connect_timeout=10,
        ) as connection:
            yield connection

    def sessions(self, prefix: str) -> list[str]:
        """Return the application names of who is connected whose names begin like this."""
        rows = self.query("SELECT application_name FROM pg_stat_activity WHERE backend_type = 'client backend'")
        return sorted(name for (name,) in rows if name.startswith(prefix))

    def sessions_ever(self) -> int:
        """Return how many sessions in the shop there were; those of the last moments may not be counted yet."""
        [(count,)] = self.query(
            "SELECT sessions FROM pg_stat_database WHERE datname = current_database()", database=DATABASE
        )
        return int(count)

    def _answers(self) -> bool:
        with contextlib.suppress(psycopg.OperationalError):
            return self.query("SELECT 1") == [(1,)]
        return False


@contextlib.contextmanager
def postgres_server(*, authentication: str = "scram-sha-256", **settings: str) -> Iterator[Postgres]:
    """Run a PostgreSQL with an empty database, and a user of it.

    Args:
        authentication: How the user is known from others, as in ``pg_hba.conf``.
        settings: More of its configuration, by its own names.
    """
    initdb = _program("initdb")
    with short_folder("postgres", owner=ADMINISTRATOR if os.geteuid() == 0 else "") as folder:
        options = ["--no-sync", "--no-instructions", f"--username={ADMINISTRATOR}", "--encoding=UTF8", "--locale=C"]
        access = ["--auth-local=trust", f"--auth-host={authentication}", f"--pgdata={folder / 'data'}"]
        command = [*_as_its_user(), initdb, *options, *access]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with Postgres(folder=folder, settings={**SETTINGS, **settings}).started() as server:
            server.query(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
            server.query(f"CREATE DATABASE {DATABASE} OWNER {USER}")
            yield server


def _program(name: str) -> str:
    """Return the path of one of its programs, of the newest version that is there."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name))
    return require(name, package="postgresql", folders=found)


def _as_its_user() -> list[str]:
    """Return what makes a program run as the user that the package brings: it refuses to be root's."""
    if os.geteuid() != 0:
        return []
    options = [f"--reuid={ADMINISTRATOR}", f"--regid={ADMINISTRATOR}", "--clear-groups"]
    return [require("setpriv", package="util-linux"), *options]
