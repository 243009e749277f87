"""Stores that say anything: no face crashes, and what the reader's own policy does not cover is not shown."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import pickle
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_client
from django.core.cache import caches
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.monitor import runtime
from health_check.stores import Key
from health_check.stores.cache import DjangoCacheStore
from tests.end_to_end.test_fuzz import Log, logged
from tests.support.caches import CacheServer, redis_server
from tests.support.client import eventually
from tests.support.fuzz_records import MAX_AGE, as_any_type, as_text, damaged, forged, may_be_shown
from tests.support.fuzz_requests import SECONDS
from tests.support.fuzz_rules import assert_form
from tests.support.parsing import parse_openmetrics, parse_text
from tests.support.recording import Metrics, meter_provider
from tests.support.repetitions import LONG

pytestmark = [pytest.mark.server, pytest.mark.timeout(SECONDS * 3)]

RECORDS = 1_700 if LONG else 50
"""How many for each store."""

TRUTH = "the truth"
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Truthful(HealthCheck):
    """Fail, as always."""

    def check_status(self) -> None:
        raise ServiceUnavailable(TRUTH)


class Kept:
    """What a store has kept, to be replaced by something else."""

    values: dict[Any, object]
    """What there is, by whatever name; the record of the check first."""

    def restore(self) -> None:
        """Have all be as it was, but for the record, which is gone."""
        raise NotImplementedError

    def replace(self, name: Any, value: object, dice: random.Random) -> None:
        """Replace what there is of a name."""
        raise NotImplementedError


class KeptInFile(Kept):
    """A file of SQLite.

    Args:
        path: The file.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path, self._copy = path, path.with_suffix(".copy")
        shutil.copy(path, self._copy)
        with self._open(self._copy) as database:
            tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            names = [
                (table, column) for table in tables for _, column, *_ in database.execute(f"PRAGMA table_info({table})")
            ]
            self.values = {
                name: (database.execute(f"SELECT {name[1]} FROM {name[0]}").fetchone() or [None])[0]  # noqa: S608
                for name in sorted(names, key=lambda name: name != ("latest", "document"))
            }
            database.execute("DELETE FROM latest")

    def restore(self) -> None:
        new = self._path.with_suffix(".new")
        shutil.copy(self._copy, new)
        new.chmod(0o600)
        new.replace(self._path)

    def replace(self, name: Any, value: object, dice: random.Random) -> None:
        with self._open(self._path) as database, contextlib.suppress(sqlite3.Error, OverflowError, UnicodeError):
            if name[0] == "latest":
                row = {column: value for (table, column), value in self.values.items() if table == "latest"}
                places = ", ".join("?" * len(row))
                database.execute(f"INSERT INTO latest ({', '.join(row)}) VALUES ({places})", [*row.values()])  # noqa: S608
                if isinstance(value, str):
                    database.execute("UPDATE latest SET written = ?", (time.time(),))
            is_text = isinstance(value, bytes) and dice.random() < 0.5
            place = "CAST(? AS TEXT)" if is_text else "?"
            database.execute(f"UPDATE {name[0]} SET {name[1]} = {place}", (value,))  # noqa: S608

    @staticmethod
    @contextlib.contextmanager
    def _open(path: pathlib.Path) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            yield database


class KeptInCache(Kept):
    """The keys of a Redis.

    Args:
        server: Where it is.
    """

    def __init__(self, server: CacheServer) -> None:
        self._client = redis_client.Redis(port=server.port)
        store = DjangoCacheStore()
        record = store._record_key(Key(label="Truthful"))
        found = eventually(lambda: self._found(record), what="the record")
        self.values = {name: caches["default"].get(name) for name in [record, *sorted({*found} - {record})]}
        west = store._record_key(Key(label="Truthful"), "west")
        self.values[west] = self.values[record]
        self.values[store._named("hosts")] = json.dumps({"west": time.time(), "here": time.time()})

    def _found(self, record: str) -> list[str]:
        """Return the keys, once the record is among them."""
        found = [key.decode().removeprefix(":1:") for key in self._client.scan_iter()]
        return found if record in found else []

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()

    def restore(self) -> None:
        caches["default"].clear()
        others = [(name, value) for name, value in self.values.items() if ":lease:" not in name][1:]
        caches["default"].set_many(dict(others))

    def replace(self, name: Any, value: object, dice: random.Random) -> None:
        if isinstance(value, bytes):
            self._client.set(f":1:{name}", value if dice.random() < 0.5 else pickle.dumps(value)[:-2])
        else:
            with contextlib.suppress(Exception):  # what Django or the server does not take
                caches["default"].set(name, value)


@pytest.fixture(params=["file", "redis"])
def kept(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, settings: Settings, mount_checks: Any
) -> Iterator[Kept]:
    """A store that has been used."""
    mount_checks(Truthful)
    policy = {"MAX_AGE": MAX_AGE, "TIMEOUT": 5.0, "WAIT": 60.0, "MAX_CONCURRENCY": 4}  # so that no last record is shown
    if request.param == "file":
        options = {"path": str(tmp_path / "store.sqlite3")}
        store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": options}
        settings.HEALTH_CHECK = {**policy, "STORE": store}
        use()
        yield KeptInFile(tmp_path / "store.sqlite3")
        return
    with redis_server(tmp_path / "server") as server:
        settings.CACHES = {"default": server.configuration()}
        settings.HEALTH_CHECK = {**policy, "STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}}
        use()
        with contextlib.closing(KeptInCache(server)) as found:
            yield found
        runtime.reset()


def use() -> None:
    """Have the store keep whatever it keeps."""
    for _ in range(3):
        Client().get("/health/?format=html")
        runtime.reset()


def test_fuzz_records(kept: Kept) -> None:
    """Whatever a store says, each face answers, and shows the truth unless a run has just ended."""
    shown, record = 0, next(iter(kept.values))
    with meter_provider(gauges=True) as (_, metrics), logged() as log:
        for number in range(RECORDS):
            dice = random.Random(number)  # noqa: S311 - the same at each run
            kept.restore()
            name = record if dice.random() < 0.7 else dice.choice(list(kept.values))
            is_lease = ":lease:" in name or name[0] == "checks"
            if is_lease and dice.random() < 0.97:  # who believes it waits
                name, is_lease = record, False
            value = made_of(dice, kept.values[name])
            kept.replace(name, value, dice)
            allowed = name == record and may_be_shown(value, time.time())
            try:
                shown += ask(dice, metrics, allowed=allowed, is_lease=is_lease)
                runtime.flush(5.0)
                check_log(log)
            except BaseException:
                print(f"record {number}: {name} is {value!r:.2000}")
                raise
            finally:
                runtime.reset()
    print(f"{RECORDS} records, {shown} of them shown")
    assert shown > 0


def made_of(dice: random.Random, value: object) -> object:
    """Return what is to be in the place of a value."""
    try:
        document = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        document = None
    if document is None:
        return as_any_type(dice, str(damaged(dice, [value])))
    if isinstance(document, dict):
        document = forged(dice, document, time.time())
    return as_any_type(dice, as_text(dice, damaged(dice, document)))


def check_log(log: Log) -> None:
    """Assert that nothing but the check has failed."""
    lines, log.lines = log.lines, []
    assert [line for line in lines if "Traceback" in line or "could not be" in line] == []
    log.lines = lines
    log.assert_clean()


def ask(dice: random.Random, metrics: Metrics, *, allowed: bool, is_lease: bool) -> int:
    """Ask some faces, each right if it shows the truth; return whether another answer that is allowed was given.

    Who says that the check is running is believed for as long as a lease lasts.
    """
    client = Client()
    first = client.get("/health/?format=json")
    assert first.status_code in (200, 500)
    text = json.loads(first.content)["Truthful"]
    is_true = TRUTH in text and first.status_code == 500
    assert is_true or allowed or (is_lease and "still running" in text), text
    for face in dice.sample(list(FACES), 1 if is_lease else 3):
        FACES[face](client, metrics, is_true and not allowed)  # what is allowed may be shown by now
    return allowed and not is_true


def _health(kind: str) -> Callable[[Client, Metrics, bool], None]:
    def face(client: Client, metrics: Metrics, is_true: bool) -> None:
        answer = client.get("/health/", {"format": kind})
        assert answer.status_code == (200 if kind in ("rss", "atom") else 500 if is_true else answer.status_code)
        text = answer.content.decode()
        assert_form(kind, text)
        assert TRUTH in text or not is_true

    return face


def _page(accept: str, parse: Callable[[str], Any]) -> Callable[[Client, Metrics, bool], None]:
    def face(client: Client, metrics: Metrics, is_true: bool) -> None:
        answer = client.get("/metrics", headers={"Accept": accept})
        assert answer.status_code == 200
        samples = [sample for family in parse(answer.content.decode()) for sample in family.samples]
        states = {sample.labels["state"] for sample in samples if sample.name.endswith("check_state") and sample.value}
        assert states == {"error"} or not is_true

    return face


def _command(client: Client, metrics: Metrics, is_true: bool) -> None:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.suppress(SystemExit):
        call_command("health_check", "/health/", "--no-http", "--format", "json-full", stdout=out, stderr=err)
    assert TRUTH in out.getvalue() or not is_true
    json.loads(out.getvalue())


def _telemetry(client: Client, metrics: Metrics, is_true: bool) -> None:
    assert metrics.collect()


FACES: dict[str, Callable[[Client, Metrics, bool], None]] = {
    **{kind: _health(kind) for kind in ("html", "json", "health+json", "text", "rss", "atom")},
    "metrics": _page("text/plain", parse_text),
    "openmetrics": _page(OPENMETRICS, parse_openmetrics),
    "command": _command,
    "telemetry": _telemetry,
}
