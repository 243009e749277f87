"""MariaDB for tests: a server of its own on a loopback port, to be paused, killed and started again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pymysql  # type: ignore[import-untyped]
import pytest

from tests.support.servers import Served, await_output, free_port, short_folder
from tests.support.services import require

USER = "shopkeeper"
PASSWORD = "planted-password-7d1f"
DATABASE = "shop"
"""Who works in the server, by which password, and where; these must be shown nowhere."""

ADMINISTRATOR = "root"
"""Who may do everything; comes in without password by the local socket."""

PACKAGE = "mariadb-server"

SETTINGS = {
    "bind-address": "127.0.0.1",
    "innodb-flush-log-at-trx-commit": "2",  # commits outlive a kill, as tables do: migrations are rows and tables
    "innodb-buffer-pool-size": "8M",
    "performance-schema": "OFF",
    "skip-name-resolve": "ON",
}


@dataclasses.dataclass(kw_only=True)
class MariaDB(Served):
    """A MariaDB, and how Django reaches it."""

    port: int = dataclasses.field(default_factory=free_port)
    """Its port on 127.0.0.1, the same whenever it is started again."""

    def configuration(self, **more: object) -> dict[str, object]:
        """Return what stands for it in ``DATABASES``.

        Args:
            more: Further settings, or others.
        """
        return {
            "ENGINE": "django.db.backends.mysql",
            "NAME": DATABASE,
            "USER": USER,
            "PASSWORD": PASSWORD,
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            **more,
        }

    def start(self) -> None:
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        places = [f"--datadir={self.folder / 'data'}", f"--socket={self._socket}", f"--port={self.port}"]
        program = require("mariadbd", package=PACKAGE, folders=[pathlib.Path("/usr/sbin")])
        self.run(program, "--no-defaults", *_user(), *places, *options)
        await_output(self.server, r"ready for connections")

    def query(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Execute SQL as the administrator, and return the rows of the last statement."""
        connection = pymysql.connect(unix_socket=str(self._socket), user=ADMINISTRATOR, autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            rows: tuple[tuple[Any, ...], ...] = cursor.fetchall()
            return rows

    def connect(self) -> contextlib.AbstractContextManager[Any]:
        """Return a connection of the user's, of the test's own."""
        connection: contextlib.AbstractContextManager[Any] = pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD
        )
        return connection

    def sessions(self) -> int:
        """Return how many connections the user has."""
        return [user for (user,) in self.query("SELECT user FROM information_schema.processlist")].count(USER)

    @property
    def _socket(self) -> pathlib.Path:
        return self.folder / "s"


@contextlib.contextmanager
def mariadb_server() -> Iterator[MariaDB]:
    """Run a MariaDB with an empty database, and a user of it."""
    install = require("mariadb-install-db", package=PACKAGE)
    with short_folder("mariadb") as folder:
        options = [f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        command = [install, "--no-defaults", *_user(), *options]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with MariaDB(folder=folder).started() as server:
            server.query(
                f"CREATE DATABASE {DATABASE}",
                f"CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
                f"GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1'",
            )
            yield server


def use_pymysql(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Django use PyMySQL, which needs no compiler, as the driver of MySQL."""
    for name in ("MySQLdb", "_mysql"):
        monkeypatch.setitem(sys.modules, name, pymysql)


def _user() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []
