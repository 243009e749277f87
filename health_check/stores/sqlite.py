"""The store that all processes of a host share: one SQLite file."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from health_check import conf
from health_check.concurrency.clock import Clock
from health_check.records import Record, Result
from health_check.stores import lease_holder, serializer
from health_check.stores.base import SETTLE_SECONDS, Key, Lease, Publication, Query, Store, StoreEntry, StoreError
from health_check.stores.sqlite_file import ForeignFileError, NewerVersionError, OlderVersionError, SharedFile

T = TypeVar("T")

VERSION = 3
"""The version of the tables, to be raised with every change of them; it is part of the default file's name."""

BUSY_SECONDS = 0.2
"""How long to wait for another process that writes."""

FORGET_AFTER_SECONDS = 7 * 86400.0
"""How long a check keeps its record without a run."""

FUTURE_SECONDS = 2.0
"""How far in the future a record of an earlier boot may be; beyond that the clock was wrong."""

APPLICATION = int.from_bytes(b"dhex", "big")
"""What marks our files."""

MARKS = f"PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};"

TABLES = """
CREATE TABLE life (generation TEXT NOT NULL, settled_at REAL NOT NULL, draining INTEGER);
CREATE TABLE records (
    label TEXT PRIMARY KEY, document TEXT NOT NULL, boot TEXT NOT NULL, fresh_until REAL NOT NULL, written REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE leases (
    label TEXT PRIMARY KEY, token TEXT NOT NULL, holder TEXT NOT NULL, since REAL NOT NULL,
    boot TEXT NOT NULL, begins REAL NOT NULL, ends REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE history (id INTEGER PRIMARY KEY, label TEXT NOT NULL, finished REAL NOT NULL, document TEXT NOT NULL);
CREATE INDEX history_of ON history (label, id);
"""

MOST_VARIABLES = 500
"""How many variables a statement has at most: SQLite takes 999 in its older versions."""

PRUNE_EVERY = 8
"""At each how many records of a check its old results are dropped."""

Row = tuple[Any, ...]


class SQLiteStore(Store):
    """Share records, leases and history among the processes of a host.

    Freshness and leases are told by the monotonic clock, which all processes of a host share: no step of the wall
    clock makes a record older or younger. The lease of a process that died is free at once.

    Args:
        path: The file, in a folder that is there; default one for this site and user in the folder for temporary
            files.
        history_rows: How many results of a check to keep at most.
        history_seconds: For how long to keep them.
        clock: Tells the time.

    Raises:
        TypeError: If an option is of no use.
    """

    poll_seconds = 0.005

    def __init__(
        self,
        *,
        path: str | os.PathLike[str] | None = None,
        history_rows: int = 60,
        history_seconds: float = 86400.0,
        clock: Clock | None = None,
    ) -> None:
        _refuse_unusable(path, history_rows, history_seconds)
        self._file = SharedFile(
            None if path is None else pathlib.Path(path), build=_build, refuse=_refusal, version=VERSION
        )
        self._history_rows = history_rows
        self._history_seconds = history_seconds
        self._clock = clock or Clock()
        self._connection: sqlite3.Connection | None = None
        self._memo = serializer.Memo()

    @property
    def path(self) -> pathlib.Path:
        """The file."""
        return self._file.path

    def describe(self) -> str:
        return str(self.path)

    def trouble(self) -> str:
        return self._file.problem()

    def look(self, queries: Sequence[Query]) -> list[StoreEntry]:
        def read(database: sqlite3.Connection) -> list[StoreEntry]:
            return self._entries(database, [query.key for query in queries])

        def acquire(database: sqlite3.Connection) -> list[StoreEntry]:
            return [self._acquired(database, q, e) for q, e in zip(queries, read(database), strict=True)]

        entries = self._do(read)
        wanting = [_is_wanting(query, entry) for query, entry in zip(queries, entries, strict=True)]
        return self._do(acquire, writes=True) if any(wanting) else entries

    def publish(self, publications: Sequence[Publication]) -> list[StoreEntry]:
        def write(database: sqlite3.Connection) -> list[StoreEntry]:
            keys = list(dict.fromkeys(publication.key for publication in publications))
            entries = dict(zip(keys, self._entries(database, keys), strict=True))
            return [self._published(database, publication, entries) for publication in publications]

        return self._do(write, writes=True)

    def release(self, leases: Iterable[Lease]) -> None:
        rows = [(lease.key.text, lease.token) for lease in leases]
        self._do(lambda database: database.executemany("DELETE FROM leases WHERE label = ? AND token = ?", rows), True)

    def forget(self, keys: Iterable[Key]) -> None:
        """Do nothing: other processes may still know the checks; what nobody runs is dropped after a week."""

    def history(self, keys: Sequence[Key]) -> Mapping[Key, tuple[Result, ...]]:
        def read(database: sqlite3.Connection) -> dict[Key, tuple[Result, ...]]:
            query = "SELECT document FROM history WHERE label = ? AND finished > ? ORDER BY id"
            since = self._clock.now() - self._history_seconds
            found = {key: _results(database.execute(query, (key.text, since))) for key in keys}
            return {key: results[max(0, len(results) - self._history_rows) :] for key, results in found.items()}

        return self._do(read)

    def probe(self) -> None:
        self._do(lambda database: None)

    def settle_at(self, moment: float) -> None:
        self._do(lambda database: database.execute("UPDATE life SET settled_at = ?", (moment,)), True)
        self.settled_at = moment

    def drain(self, on: bool, *, unless_said: bool = False) -> None:
        always, unsaid = "UPDATE life SET draining = ?", "UPDATE life SET draining = coalesce(draining, ?)"
        self._do(lambda database: database.execute(unsaid if unless_said else always, (on,)), True)
        if not unless_said:
            self.draining = on

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _do(self, work: Callable[[sqlite3.Connection], T], writes: bool = False) -> T:
        """Do something in one transaction; a file that is no good is replaced, once."""
        try:
            try:
                return self._attempt(work, writes)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                self.close()
                if _is_damage(error):
                    self._file.set_aside(str(error))
                elif not isinstance(error, _ReplacedError):
                    raise
                return self._attempt(work, writes)
        except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
            self.close()
            raise StoreError(f"{self.path}: {getattr(error, 'strerror', None) or error}") from error

    def _attempt(self, work: Callable[[sqlite3.Connection], T], writes: bool) -> T:
        database = self._opened()
        with _transaction(database, writes=writes):
            value = work(database)
            if writes and self._file.was_replaced():
                raise _ReplacedError("the file was replaced meanwhile")
        return value

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._file.was_replaced():
            self.close()
        if self._connection is None:
            with self._file.locked():
                self._file.ensure()
                self._connection = _connect(self.path)
            with _transaction(self._connection, writes=True):
                self._clean(self._connection)
        life = self._connection.execute("SELECT generation, settled_at, draining FROM life").fetchone()
        if life is None:
            raise _DamageError("it has no life")
        self.generation, self.settled_at, draining = life
        self.draining = None if draining is None else bool(draining)
        return self._connection

    def _clean(self, database: sqlite3.Connection) -> None:
        now = self._clock.now()
        database.execute("DELETE FROM records WHERE written < ?", (now - FORGET_AFTER_SECONDS,))
        own, forgotten = f"{serializer.VERSION}:%", now - max(FORGET_AFTER_SECONDS, self._history_seconds)
        old = "DELETE FROM history WHERE (label LIKE ? AND finished < ?) OR finished < ?"
        database.execute(old, (own, now - self._history_seconds, forgotten))

    def _entries(self, database: sqlite3.Connection, keys: Sequence[Key]) -> list[StoreEntry]:
        labels = [key.text for key in keys]
        records = _rows_of(database, "SELECT label, document, boot, fresh_until FROM records", labels)
        leases = _rows_of(database, "SELECT label, holder, since, boot, begins, ends FROM leases", labels)
        return [self._entry(label, records.get(label), leases.get(label)) for label in labels]

    def _entry(self, label: str, row: Row | None, lease: Row | None) -> StoreEntry:
        record = self._memo.load(label, row[1]) if row is not None else None
        return StoreEntry(
            record=record,
            fresh_for=self._fresh_for(record, row[2], row[3]) if row is not None and record is not None else -math.inf,
            held_since=None if lease is None else self._held_since(lease),
        )

    def _fresh_for(self, record: Record, boot: str, fresh_until: float) -> float:
        left = fresh_until - self._clock.monotonic()
        if boot == lease_holder.boot() and left <= record.max_age + FUTURE_SECONDS:  # else the clock began anew since
            return min(record.max_age, left)
        now = self._clock.now()
        return -math.inf if record.result.finished > now + FUTURE_SECONDS else record.fresh_until - now

    def _held_since(self, lease: Row) -> float | None:
        _, process, since, boot, begins, ends = lease
        if boot != lease_holder.boot() or not begins <= self._clock.monotonic() < ends:
            return None
        return None if lease_holder.is_dead(process) else float(since)

    def _acquired(self, database: sqlite3.Connection, query: Query, entry: StoreEntry) -> StoreEntry:
        if not _is_wanting(query, entry) or query.lease_seconds is None:
            return entry
        lease = Lease(key=query.key, token=secrets.token_hex(8))
        now = self._clock.monotonic()
        times = (self._clock.now(), lease_holder.boot(), now, now + query.lease_seconds)
        database.execute(
            "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?, ?)",
            (query.key.text, lease.token, lease_holder.myself(), *times),
        )
        return StoreEntry(record=entry.record, fresh_for=entry.fresh_for, lease=lease)

    def _published(
        self, database: sqlite3.Connection, publication: Publication, entries: dict[Key, StoreEntry]
    ) -> StoreEntry:
        key, lease, before = publication.key, publication.lease, entries[publication.key]
        if lease is not None:
            owned = database.execute("DELETE FROM leases WHERE label = ? AND token = ?", (key.text, lease.token))
            if not owned.rowcount:
                return StoreEntry(record=before.record, fresh_for=before.fresh_for, accepted=False)
        record, fresh_for = publication.applied_to(before.record, fresh=before.fresh_for > 0), before.fresh_for
        if record is not None and record is not before.record:
            fresh_for = self._write(database, key, record, before)
        if publication.result is not None:
            self._remember(database, key, publication.result, prune=record is None or record.seq % PRUNE_EVERY == 0)
        held_since = before.held_since if lease is None else None
        entries[key] = StoreEntry(record=record, fresh_for=fresh_for, held_since=held_since)
        return entries[key]

    def _write(self, database: sqlite3.Connection, key: Key, record: Record, before: StoreEntry) -> float:
        """Write a record, and return for how many seconds it is fresh."""
        now = self._clock.monotonic()
        if before.record is not None and record.result == before.record.result:
            fresh_for = before.fresh_for
        else:
            age = self._clock.now() - record.result.finished
            fresh_for = min(record.max_age, record.max_age - age)
        document = serializer.dump(record)
        database.execute(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?)",
            (key.text, document, lease_holder.boot(), now + fresh_for, self._clock.now()),
        )
        self._memo.note(key.text, document, record)
        return fresh_for

    def _remember(self, database: sqlite3.Connection, key: Key, result: Result, *, prune: bool) -> None:
        database.execute(
            "INSERT INTO history (label, finished, document) VALUES (?, ?, ?)",
            (key.text, result.finished, serializer.dump_result(result)),
        )
        if prune:
            database.execute(
                "DELETE FROM history WHERE label = ?1 AND id <= (SELECT id FROM history WHERE label = ?1 "
                "ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (key.text, self._history_rows),
            )


def _refuse_unusable(path: object, rows: object, seconds: object) -> None:
    if path is not None and (path == "" or not isinstance(path, str | os.PathLike)):
        raise TypeError(f"path is {path!r}, use the name of a file")
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
        raise TypeError(f"history_rows is {rows!r}, use a whole number from 0 up")
    if conf.seconds(seconds) is None:
        raise TypeError(f"history_seconds is {seconds!r}, use a number from 0 up")


def _is_wanting(query: Query, entry: StoreEntry) -> bool:
    if query.lease_seconds is None or entry.held_since is not None:
        return False
    return not entry.suffices(query)


class _ReplacedError(sqlite3.OperationalError):
    """Another process has put another file in the place of the one that is open."""


class _DamageError(sqlite3.DatabaseError):
    """The file is one of ours, but something is missing."""


def _is_damage(error: Exception) -> bool:
    """Tell whether an error means that the file itself is no good, not just that it cannot be had at present."""
    if isinstance(error, _DamageError | UnicodeDecodeError):
        return True
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in DAMAGE


DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH)
"""The result codes of SQLite that speak of the file's contents."""


def _rows_of(database: sqlite3.Connection, query: str, labels: Sequence[str]) -> dict[str, Row]:
    """Return the rows that a query finds of some checks, by their labels."""
    found: dict[str, Row] = {}
    for first in range(0, len(labels), MOST_VARIABLES):
        part = labels[first : first + MOST_VARIABLES]
        places = ", ".join("?" * len(part))
        found |= {row[0]: row for row in database.execute(f"{query} WHERE label IN ({places})", part)}
    return found


def _results(rows: Iterable[Row]) -> tuple[Result, ...]:
    found = []
    for (document,) in rows:
        with contextlib.suppress(ValueError):
            found.append(serializer.load_result(document))
    return tuple(found)


def _connect(path: pathlib.Path) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode=rw"
    database = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode = TRUNCATE")
        database.execute("PRAGMA synchronous = OFF")  # what a crash of the machine takes is measured again
    except BaseException:
        database.close()
        raise
    return database


def _build(path: pathlib.Path, was_lost: bool) -> None:
    """Make a new file; where it takes the place of another one, processes still have to bring what they know."""
    settled_at = Clock().now() + SETTLE_SECONDS if was_lost else 0.0
    with contextlib.closing(_connect(path)) as database:
        database.executescript(f"BEGIN; {MARKS} {TABLES}")
        database.execute("INSERT INTO life VALUES (?, ?, NULL)", (secrets.token_hex(8), settled_at))
        database.execute("COMMIT")


def _refusal(path: pathlib.Path) -> str:
    """Return why a file that is there is not what this version makes; empty if it is."""
    try:
        with contextlib.closing(_connect(path)) as database:
            (application,) = database.execute("PRAGMA application_id").fetchone()
            (version,) = database.execute("PRAGMA user_version").fetchone()
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master")]
    except (sqlite3.Error, UnicodeDecodeError) as error:
        if _is_damage(error):
            return str(error)
        raise
    if application != APPLICATION and tables:
        raise ForeignFileError(f"{path} is a database of something else: give the store a path of its own")
    if "life" not in tables:
        return "it is no store of health checks"
    if version != VERSION:
        text = f"{path} is of version {version} of the store, not {VERSION}: restart what is older"
        raise (NewerVersionError if version > VERSION else OlderVersionError)(text)
    return ""


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection, *, writes: bool) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
    try:
        yield
        database.execute("COMMIT")
    finally:
        if database.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
