"""The store that all processes of a host share: one SQLite file."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from health_check.concurrency.clock import Clock
from health_check.past import DAY, Addition, Failure, Past
from health_check.records import Record, State
from health_check.redaction import shown
from health_check.stores import serializer, sqlite_past
from health_check.stores.base import (
    FUTURE_SECONDS,
    RELEASE_SECONDS,
    UNUSED_SECONDS,
    Key,
    Lease,
    Publication,
    Query,
    Store,
    Stored,
    StoreError,
)
from health_check.stores.site_folder import note_start, sweep
from health_check.stores.sqlite_file import SharedFile, connect, is_damage

T = TypeVar("T")

LEAST_ROOM = 32768
"""How many bytes a file must be able to take in, to be used again after it could not be written."""

FETCH = """
SELECT NULL, draining, NULL, NULL, NULL, NULL FROM sites WHERE site = ?2
UNION ALL SELECT name, 0, document, NULL, NULL, release FROM latest WHERE name IN ({0})
UNION ALL SELECT name, seq, document, since, ends, NULL FROM checks WHERE release = ?1 AND name IN ({0})
"""

TAKE = """
INSERT INTO checks VALUES (:name, :release, :seq, NULL, :now, :token, :now, :ends)
ON CONFLICT (name, release) DO UPDATE SET token = :token, since = :now, ends = :ends
WHERE seq = :seq AND (ends <= :now OR since > :soon OR since < :outlasted)
"""
"""Also where a lease began in the future: then the clock was set back, and would not let it end. Not where it began a
moment after this process took the time, and then had to wait for the file."""

WRITE = """
UPDATE checks SET seq = :seq, document = NULL, written = :now, ends = 0
WHERE name = :name AND release = :release AND token = :token
"""

KEEP = "UPDATE checks SET document = ? WHERE name = ? AND release = ?"
"""Keeps the record of another release, which ``latest`` is about to lose."""

REPLACE = """
INSERT INTO latest VALUES (:name, :release, :document, :now, :failures)
ON CONFLICT (name) DO UPDATE SET release = :release, document = :document, written = :now,
failures = coalesce(nullif(:failures, ''), failures)
"""

DRAIN = """
INSERT INTO sites VALUES (?1, ?2)
ON CONFLICT (site) DO UPDATE SET draining = CASE WHEN ?3 THEN coalesce(draining, ?2) ELSE ?2 END
"""

CLEAN = (
    "DELETE FROM latest WHERE CAST(name AS INTEGER) <= :version AND written < :unused",
    """
    DELETE FROM checks WHERE CAST(name AS INTEGER) <= :version AND ends <= :now
    AND written < CASE release WHEN :release THEN :unused ELSE :released END
    """,
)
"""Names begin with a version: what a newer one has written is not ours to delete."""


class SQLiteStore(Store):
    """Share records, leases and the past among the processes of a host.

    A refresh of one check is a statement that reads, one that takes the lease, and a transaction that publishes the
    record and gives the lease back.

    Args:
        path: The file, in a folder that is there; default one for this site and user in the folder for temporary
            files.
        clock: Returns the time.

    Raises:
        TypeError: If an option cannot be used.
    """

    poll_seconds = 0.005

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(clock=clock)
        if path is not None and not _names_a_file(path):
            raise TypeError(f"path is {shown(path)}, use the name of a file")
        self._file = SharedFile(None if path is None else pathlib.Path(path))
        self._tidied_day = -1.0
        self._connection: sqlite3.Connection | None = None
        self._memo = serializer.Memo()

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        return self._file.path

    @property
    def is_default(self) -> bool:
        """Whether the file is the one that the site has if nothing is said."""
        return self._file.is_own

    def describe(self) -> str:
        try:
            return str(self.path)
        except StoreError:
            return "an SQLite file" if not self.is_default else "an SQLite file in the folder for temporary files"

    def current_mark(self) -> object:
        return self._file.mark()

    def trouble(self) -> str:
        return self._file.problem()

    def past(self, keys: Sequence[Key]) -> Mapping[Key, Past]:
        names = {self._name(key): key for key in keys}
        found = self._do(lambda database: sqlite_past.past_of(database, list(names), self._clock.now()))
        return {names[name]: past for name, past in found.items()}

    def past_failures(self, keys: Sequence[Key]) -> Mapping[Key, Sequence[Failure]]:
        names = {self._name(key): key for key in keys}
        found = self._do(lambda database: sqlite_past.failures_of(database, list(names)))
        return {names[name]: failures for name, failures in found.items()}

    def _add(self, key: Key, additions: Sequence[Addition]) -> None:
        name = self._name(key)
        failures = [failure for addition in additions for failure in addition.failures]

        def add(database: sqlite3.Connection) -> None:
            for addition in self._counted(additions):
                sqlite_past.add(database, name, addition)
            sqlite_past.add_failures(database, name, failures, self._clock.now())

        self._do(add, writes=True)

    def verify(self) -> None:
        def write(database: sqlite3.Connection) -> None:
            database.execute("UPDATE checks SET ends = ends")
            database.execute("INSERT OR REPLACE INTO latest VALUES ('', '', zeroblob(?), 0, '')", (LEAST_ROOM,))

        self._do(write, writes=True)  # not in one transaction: the room stays in the file, for what comes next
        self._do(lambda database: database.execute("DELETE FROM latest WHERE name = ''"), writes=True)
        self.probe()

    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        row = (self.site, on, unless_said)
        self._do(lambda database: database.execute(DRAIN, row), writes=True)
        if not unless_said:
            self.draining = on

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _fetch(self, queries: Sequence[Query]) -> list[Stored]:
        names = [self._name(query.key) for query in queries]
        draining, latest, own = self._do(lambda database: _rows_of(database, self.site_release, self.site, names))
        self.draining = None if draining is None else bool(draining)
        return [self._stored(name, latest.get(name), own.get(name)) for name in names]

    def _take(self, leases: Sequence[Lease], now: float) -> list[bool]:
        monotonic = self._clock.monotonic()

        def take(database: sqlite3.Connection) -> list[bool]:
            return [
                database.execute(TAKE, self._lease_row(lease, now, monotonic)).rowcount == 1
                for lease in self._counted(leases)
            ]

        return self._do(take, writes=len(leases) > 1)  # one statement is a transaction of its own

    def _write(self, publications: Sequence[Publication]) -> list[Record | None]:
        def write(database: sqlite3.Connection) -> list[Record | None]:
            self._tidy(database)
            return [self._wrote(database, each) for each in self._counted(publications)]

        return self._do(write, writes=True)

    def _drop(self, leases: Sequence[Lease]) -> None:
        rows = [(self._name(lease.key), self.site_release, lease.token) for lease in leases]
        drop = "UPDATE checks SET ends = 0 WHERE name = ? AND release = ? AND token = ?"
        self._do(lambda database: database.executemany(drop, rows), writes=True)

    def _raise_mark(self) -> None:
        try:
            self._file.raise_mark()
        except OSError as error:
            raise StoreError(f"{self.path}: that a run was forced cannot be noted: {error.strerror}") from error

    def _do(self, work: Callable[[sqlite3.Connection], T], *, writes: bool = False) -> T:
        """Do something in one statement, or in one transaction; a file that is no good is replaced, once."""
        try:
            try:
                return self._attempt(work, writes)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                self.close()
                if is_damage(error):
                    self._file.set_aside(str(error))
                elif not isinstance(error, _ReplacedError):
                    raise
                return self._attempt(work, writes)
        except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
            self.close()
            raise StoreError(f"{self.path}: {getattr(error, 'strerror', None) or error}") from error

    def _attempt(self, work: Callable[[sqlite3.Connection], T], writes: bool) -> T:
        database = self._opened()
        self.progressed()
        if not writes:
            return work(database)
        with _transaction(database):
            self.progressed()
            value = work(database)
            if self._file.was_replaced():
                raise _ReplacedError("the file was replaced meanwhile")
        return value

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._file.was_replaced():
            self.close()
        if self._connection is None:
            with self._file.locked():
                self._file.ensure()
                self._connection = connect(self.path)
                if self._file.is_own:
                    sweep(self.path.parent, self._clock.now())
                    note_start(self.path.parent)
            with _transaction(self._connection):
                self._clean(self._connection)
        return self._connection

    def _clean(self, database: sqlite3.Connection) -> None:
        now = self._clock.now()
        row = {
            "version": serializer.VERSION,
            "release": self.site_release,
            "now": now,
            "unused": now - UNUSED_SECONDS,
            "released": now - RELEASE_SECONDS,
        }
        for statement in CLEAN:
            database.execute(statement, row)
        self._tidy(database)

    def _tidy(self, database: sqlite3.Connection) -> None:
        """Tidy the past up, once a day."""
        now = self._clock.now()
        if self._tidied_day != now // DAY:
            self._tidied_day = now // DAY
            sqlite_past.tidy(database, now)

    def _stored(self, name: str, latest_row: Row | None, own_row: Row | None) -> Stored:
        _, _, document, _, _, release = latest_row or NO_ROW
        _, seq, kept, since, ends, _ = own_row if own_row is not None and _is_lease(own_row) else NO_ROW
        latest = record = self._memo.load(name, document)
        if release != self.site_release:
            record = self._memo.load(f"{name}\n{self.site_release}", kept)
        if record is not None and latest is not None and record is not latest:
            record = record._replace(totals=latest.totals)
        now = self._clock.now()
        is_held = since - FUTURE_SECONDS <= now < ends
        if own_row is None and record is not None:
            seq = record.seq
        return Stored(record=record, latest=latest, seq=seq, held_since=since if is_held else None)

    def _lease_row(self, lease: Lease, now: float, monotonic: float) -> dict[str, object]:
        return {
            "name": self._name(lease.key),
            "release": self.site_release,
            "seq": lease.seq,
            "token": lease.token,
            "now": now,
            "soon": now + FUTURE_SECONDS,
            "outlasted": now - lease.outlasts,
            "ends": now + lease.ends - monotonic,
        }

    def _wrote(self, database: sqlite3.Connection, publication: Publication) -> Record | None:
        lease, name, now = publication.lease, self._name(publication.lease.key), self._clock.now()
        row = {
            "name": name,
            "release": self.site_release,
            "token": lease.token,
            "seq": publication.record.seq,
            "now": now,
        }
        if not database.execute(WRITE, row).rowcount:
            return None
        is_bad = publication.record.result.state is not State.OK
        query = "SELECT release, document, CASE WHEN ? THEN failures END FROM latest WHERE name = ?"
        rows = database.execute(query, (is_bad, name))
        release, document, failures = rows.fetchone() or (self.site_release, None, None)
        if release != self.site_release:
            database.execute(KEEP, (document, name, release))
        latest = self._memo.load(name, document)
        record = self._following(publication, latest)
        added = self._addition(lease.key, record.result, latest)
        text = serializer.dump(record)
        failures = serializer.last_failures(failures, added.failures) if is_bad else ""
        database.execute(REPLACE, {**row, "document": text, "failures": failures})
        self._memo.note(name, text, record)
        sqlite_past.add(database, name, added)
        return record


def _names_a_file(path: object) -> bool:
    """Return whether the system can have a file of this name: a text with a zero byte or half a character is none."""
    try:
        return isinstance(path, str | os.PathLike) and bool(pathlib.Path(path).name) and b"\0" not in os.fsencode(path)
    except (TypeError, ValueError):
        return False


Row = tuple[Any, ...]
NO_ROW: Row = (None, 0, None, 0.0, 0.0, None)


def _is_lease(row: Row) -> bool:
    """Return whether there are numbers where numbers belong: SQLite stores any type in any column."""
    _, seq, _, since, ends, _ = row
    return isinstance(seq, int) and isinstance(since, float) and isinstance(ends, float)


class _ReplacedError(sqlite3.OperationalError):
    """Another process has put another file in place of the one that is open."""


def _rows_of(
    database: sqlite3.Connection, release: str, site: str, names: Sequence[str]
) -> tuple[int | None, dict[str, Row], dict[str, Row]]:
    """Return whether the site is drained, and of some checks the rows of the newest records, and those of a release."""
    draining = None
    latest: dict[str, Row] = {}
    own: dict[str, Row] = {}
    for first in range(0, max(1, len(names)), sqlite_past.MOST_VARIABLES):
        part = names[first : first + sqlite_past.MOST_VARIABLES]
        places = ", ".join(map("?{}".format, range(3, 3 + len(part))))
        for row in database.execute(FETCH.format(places), (release, site, *part)):
            if row[0] is None:
                draining = row[1]
            else:
                (own if row[5] is None else latest)[row[0]] = row
    return draining, latest, own


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
