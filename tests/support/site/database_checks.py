"""Checks that use databases of a site in all kinds of ways, some of them bad."""

from __future__ import annotations

import asyncio
import dataclasses

from asgiref.sync import sync_to_async
from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper
from django.db.migrations.recorder import MigrationRecorder

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from tests.support.site.checks import Noting

Row = MigrationRecorder.Migration
"""A model whose table a test has made."""

LOCK = 42
"""The advisory lock that checks wait for which hang in the database."""


@dataclasses.dataclass
class OnDatabase(Noting):
    """Use a database, in the way that the class says."""

    alias: str = "default"

    def count(self) -> int:
        """Ask by the ORM."""
        return Row.objects.using(self.alias).count()

    def execute(self, statement: str) -> CursorWrapper:
        """Ask by SQL, and return the cursor, open."""
        cursor = connections[self.alias].cursor()
        cursor.execute(statement)
        return cursor


class Asking(OnDatabase):
    """Ask."""

    def check_status(self) -> None:
        self.note()
        self.count()


class AskingTwo(OnDatabase):
    """Ask two databases."""

    def check_status(self) -> None:
        self.count()
        Row.objects.using("default").count()


class AskingAsync(OnDatabase):
    """Ask by the async ORM, and by a sync function."""

    async def check_status(self) -> None:
        await Row.objects.using(self.alias).acount()
        await sync_to_async(self.count)()


class AskingAnywhere(OnDatabase):
    """Ask on whatever threads there are."""

    async def check_status(self) -> None:
        anywhere = sync_to_async(self.count, thread_sensitive=False)
        await asyncio.gather(asyncio.to_thread(self.count), anywhere())


@dataclasses.dataclass
class AskingAtConstruction(OnDatabase):
    """Ask before it runs."""

    def __post_init__(self) -> None:
        self.count()

    def check_status(self) -> None:
        """Find nothing wrong."""


class RaisingInTransaction(OnDatabase):
    """Raise in the middle of a transaction."""

    def check_status(self) -> None:
        with transaction.atomic(using=self.alias), transaction.atomic(using=self.alias):
            self.count()
            raise ServiceUnavailable("raised in a transaction")


class RefusedInTransaction(OnDatabase):
    """Ask for what there is not, in the middle of a transaction."""

    def check_status(self) -> None:
        with transaction.atomic(using=self.alias):
            self.execute("SELECT * FROM nowhere")


class Refused(OnDatabase):
    """Ask for what there is not, in whatever transaction there is."""

    def check_status(self) -> None:
        self.execute("SELECT * FROM nowhere")


class RaisingWithCursor(OnDatabase):
    """Raise while cursors are open, one of them on the server."""

    def check_status(self) -> None:
        cursor = self.execute("SELECT generate_series(1, 1000)")
        cursor.fetchone()
        for _ in Row.objects.using(self.alias).iterator(chunk_size=1):
            raise ServiceUnavailable("raised with an open cursor")


class LeavingAutocommit(OnDatabase):
    """Turn autocommit off, and leave it so in the middle of a transaction."""

    def check_status(self) -> None:
        connections[self.alias].set_autocommit(False)
        self.count()


class LeavingTransaction(OnDatabase):
    """Begin a transaction, and never end it."""

    def check_status(self) -> None:
        transaction.atomic(using=self.alias).__enter__()
        self.count()


class HangingInDatabase(OnDatabase):
    """Wait for a lock that the test holds."""

    def check_status(self) -> None:
        self.note()
        self.execute(f"SELECT pg_advisory_xact_lock_shared({LOCK})")


class HangingInDatabaseAsync(OnDatabase):
    """Wait for it in a sync function that a coroutine waits for."""

    async def check_status(self) -> None:
        self.note()
        await sync_to_async(self.execute)(f"SELECT pg_advisory_xact_lock_shared({LOCK})")


TIDY: dict[type[HealthCheck], str] = {
    Asking: "OK",
    AskingTwo: "OK",
    AskingAsync: "OK",
    AskingAnywhere: "OK",
    AskingAtConstruction: "OK",
    RaisingInTransaction: "unavailable: raised in a transaction",
    RefusedInTransaction: "unknown error",
    Refused: "unknown error",
    RaisingWithCursor: "unavailable: raised with an open cursor",
    LeavingAutocommit: "OK",
    LeavingTransaction: "OK",
}
"""The checks that leave their connection to Django in one state or another, and what each says."""
