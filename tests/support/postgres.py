"""PostgreSQL for tests: a cluster of its own on a loopback port, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import psutil
import psycopg

from tests.support.client import eventually
from tests.support.servers import STOP_SECONDS, Server, free_port, running
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
class Postgres:
    """A PostgreSQL server, and how Django reaches it."""

    folder: pathlib.Path
    """Where its data and its socket are."""
    port: int
    """Its port on 127.0.0.1, the same whenever it is started again."""
    settings: dict[str, str]
    """Its configuration."""
    _running: Server | None = None
    _stack: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack, repr=False)

    @property
    def server(self) -> Server:
        """Its process, and what it printed.

        Raises:
            AssertionError: If it is stopped.
        """
        assert self._running is not None, "It is stopped"
        return self._running

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
        """Start it, and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        place = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-p", str(self.port)]
        command = [*_as_its_user(), _program("postgres"), *place, *options]
        self._running = self._stack.enter_context(running(command, self.folder))
        eventually(self._answers, what="an answer of PostgreSQL")

    def stop(self, *, at_once: bool = False) -> None:
        """Stop it in good order, but without waiting for who is connected.

        Args:
            at_once: In no order.
        """
        self._end(signal.SIGQUIT if at_once else signal.SIGINT)

    def kill(self) -> None:
        """End all its processes without warning, and wait until they are gone: their memory keeps it from starting."""
        parent = psutil.Process(self.server.process.pid)
        parent.suspend()  # it starts no more of them
        children = parent.children()
        for process in [parent, *children]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(children, STOP_SECONDS)
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it, and start it again: whoever was connected is no more."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop all its processes from doing anything: the system still takes connections, and nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

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

    def close(self) -> None:
        """End it in whatever state it is."""
        if self._running is not None:
            self.resume()
            self.stop(at_once=True)

    def _answers(self) -> bool:
        if self.server.process.poll() is not None:
            raise AssertionError(f"It ended with code {self.server.process.returncode}:\n{self.server.output()}")
        with contextlib.suppress(psycopg.OperationalError):
            return self.query("SELECT 1") == [(1,)]
        return False

    def _signal(self, number: signal.Signals) -> None:
        parent = psutil.Process(self.server.process.pid)
        for process in [parent, *parent.children()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _end(self, how: signal.Signals) -> None:
        self.server.process.send_signal(how)
        self.server.process.wait(STOP_SECONDS)
        self._running = None
        self._stack.close()


@contextlib.contextmanager
def postgres_server(*, authentication: str = "scram-sha-256", **settings: str) -> Iterator[Postgres]:
    """Run a PostgreSQL with an empty database, and a user of it.

    Args:
        authentication: How the user is known from others, as in ``pg_hba.conf``.
        settings: More of its configuration, by its own names.
    """
    initdb = _program("initdb")
    with _folder() as folder:
        options = ["--no-sync", "--no-instructions", f"--username={ADMINISTRATOR}", "--encoding=UTF8", "--locale=C"]
        access = ["--auth-local=trust", f"--auth-host={authentication}", f"--pgdata={folder / 'data'}"]
        command = [*_as_its_user(), initdb, *options, *access]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        server = Postgres(folder=folder, port=free_port(), settings={**SETTINGS, **settings})
        try:
            server.start()
            server.query(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
            server.query(f"CREATE DATABASE {DATABASE} OWNER {USER}")
            yield server
        finally:
            server.close()


@contextlib.contextmanager
def _folder() -> Iterator[pathlib.Path]:
    """Yield a folder that the server's user may enter, unlike pytest's, with a path short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="health-check-postgres-") as name:
        if _is_root():
            shutil.chown(name, ADMINISTRATOR)
        yield pathlib.Path(name)


def _program(name: str) -> str:
    """Return the path of one of its programs, of the newest version that is there."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -float(folder.parent.name))
    return require(name, package="postgresql", folders=found)


def _as_its_user() -> list[str]:
    """Return what makes a program run as the user that the package brings: it refuses to be root's."""
    if not _is_root():
        return []
    options = [f"--reuid={ADMINISTRATOR}", f"--regid={ADMINISTRATOR}", "--clear-groups"]
    return [require("setpriv", package="util-linux"), *options]


def _is_root() -> bool:
    return os.geteuid() == 0
