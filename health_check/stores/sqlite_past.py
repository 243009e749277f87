"""The past of checks in an SQLite file: a row for each half hour or day of a check, to which runs are only added."""

from __future__ import annotations

import itertools
import operator
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from health_check.durations import MOST_SAMPLES
from health_check.past import DAY, DAYS, HALF_HOUR, Addition, Failure, Past, Period, sums
from health_check.stores import serializer

MOST_VARIABLES = 500
"""How many variables a statement has at most: SQLite takes 999 in its older versions."""

MOST_CHANGES = 8000
"""How many characters of changes are kept for a period: a check that flaps has one incident anyway."""

MOST_TIMES = 2 * MOST_SAMPLES
"""How many characters of times taken are kept for a period."""

TABLES = """
CREATE TABLE periods (
    name TEXT NOT NULL, length INTEGER NOT NULL, start INTEGER NOT NULL,
    ok INTEGER NOT NULL, warning INTEGER NOT NULL, error INTEGER NOT NULL, timeout INTEGER NOT NULL,
    time_taken REAL NOT NULL, longest REAL NOT NULL, times TEXT NOT NULL, changes TEXT NOT NULL,
    PRIMARY KEY (name, length, start)
) WITHOUT ROWID;
CREATE INDEX changed ON periods (name) WHERE changes <> '';
"""

PLUS = f"""
ON CONFLICT (name, length, start) DO UPDATE SET
ok = ok + excluded.ok, warning = warning + excluded.warning,
error = error + excluded.error, timeout = timeout + excluded.timeout,
time_taken = time_taken + excluded.time_taken, longest = max(longest, excluded.longest),
times = CASE WHEN length(times) < {MOST_TIMES} THEN times || excluded.times ELSE times END,
changes = CASE WHEN length(changes) < {MOST_CHANGES} THEN changes || excluded.changes ELSE changes END
"""

ADD = f"INSERT INTO periods VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {PLUS}"

SUMS = "sum(ok), sum(warning), sum(error), sum(timeout), sum(time_taken), max(longest)"
FIRST_TIMES = f"substr(group_concat(substr(times, 1, 2), ''), 1, {MOST_TIMES})"
"""Of each half hour of a day the first run of the sample."""

TIDY = (
    f"""
    INSERT INTO periods
    SELECT name, {DAY}, start / {DAY} * {DAY}, {SUMS}, {FIRST_TIMES},
        substr(group_concat(changes, ''), 1, {MOST_CHANGES})
    FROM (SELECT * FROM periods WHERE length = {HALF_HOUR} AND start < :day ORDER BY name, start)
    WHERE CAST(name AS INTEGER) <= :version GROUP BY name, start / {DAY} {PLUS}
    """,
    f"""
    DELETE FROM periods WHERE CAST(name AS INTEGER) <= :version
    AND (start < :oldest OR (length = {HALF_HOUR} AND start < :day))
    """,
)
"""Makes days of half hours, once they are of the day before yesterday, and drops what is no longer shown."""

MOST = 10**15
COUNTS = ("start", "ok", "warning", "error", "timeout")
ARE_NUMBERS = " AND ".join(
    [f"typeof({column}) = 'integer'" for column in COUNTS]
    + [f"{column} BETWEEN 0 AND {MOST}" for column in (*COUNTS, "time_taken", "longest")]
)
"""What is none, in a file that was damaged, is left out: SQLite takes anything; a text is greater than any number."""

HALF_HOURS_OF = f"""
SELECT name, start, length, ok, warning, error, timeout, time_taken, longest, CAST(times AS BLOB) FROM periods
WHERE length = {HALF_HOUR} AND start >= ? AND name IN ({{}}) AND {ARE_NUMBERS}
"""
DAYS_OF = HALF_HOURS_OF.replace(f"length = {HALF_HOUR}", f"length = {DAY}")
CHANGES_OF = "SELECT name, CAST(changes AS BLOB) FROM periods WHERE changes <> '' AND start >= ? AND name IN ({})"
FAILURES_OF = "SELECT name, failures FROM latest WHERE written >= ? AND name IN ({})"

KEEP_FAILURES = """
INSERT INTO latest VALUES (:name, '', '', :now, :failures) ON CONFLICT (name) DO UPDATE SET failures = :failures
"""
"""Also of a check that has no record yet."""


def add(database: sqlite3.Connection, name: str, addition: Addition) -> None:
    """Add runs to a half hour, in one statement."""
    start, length, *counts, times = addition.period
    row = (name, length, start, *counts, times.decode("ascii"), serializer.dump_lines(addition.changes))
    database.execute(ADD, row)


def add_failures(database: sqlite3.Connection, name: str, failures: Sequence[Failure], now: float) -> None:
    """Add failures of former times."""
    ((_, kept),) = [*_rows(database, FAILURES_OF, [name], 0)] or [(name, "")]
    text = serializer.last_failures(kept, failures, are_older=True)
    database.execute(KEEP_FAILURES, {"name": name, "now": now, "failures": text})


def tidy(database: sqlite3.Connection, now: float) -> None:
    """Drop what is no longer shown, as is due each day."""
    today = int(now // DAY) * DAY
    row = {"version": serializer.VERSION, "day": today - DAY, "oldest": today - DAYS * DAY}
    for statement in TIDY:
        database.execute(statement, row)


def past_of(database: sqlite3.Connection, names: Sequence[str], now: float) -> dict[str, Past]:
    """Return the past of checks, by name."""
    half_hours: dict[str, list[Period]] = {}
    days: dict[str, list[Period]] = {}
    changes: dict[str, list[str]] = {}
    today = now // DAY * DAY
    for found, query, since in ((half_hours, HALF_HOURS_OF, today - DAY), (days, DAYS_OF, today - DAYS * DAY)):
        for name, rows in itertools.groupby(_rows(database, query, names, since), operator.itemgetter(0)):
            found.setdefault(name, []).extend([Period._make(row[1:]) for row in rows])
    for name, some in half_hours.items():
        days.setdefault(name, []).extend(sums(some, DAY))
    for name, text in _rows(database, CHANGES_OF, names, today - DAYS * DAY):
        changes.setdefault(name, []).append(text.decode(errors="replace"))  # which may be damaged
    return {
        name: Past(
            half_hours={"": half_hours.get(name, ())},
            days=days[name],
            changes={"": serializer.load_changes("".join(changes.get(name, ())))},
        )
        for name in days
    }


def failures_of(database: sqlite3.Connection, names: Sequence[str]) -> dict[str, list[Failure]]:
    """Return the last failures of checks, by name."""
    return {name: serializer.load_failures(text) for name, text in _rows(database, FAILURES_OF, names, 0)}


def _rows(database: sqlite3.Connection, query: str, names: Sequence[str], since: float) -> Iterator[tuple[Any, ...]]:
    for first in range(0, len(names), MOST_VARIABLES):
        part = names[first : first + MOST_VARIABLES]
        yield from database.execute(query.format(", ".join("?" * len(part))), (since, *part))
