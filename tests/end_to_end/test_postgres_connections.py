"""Checks leave no connection to PostgreSQL behind, however the site keeps its own."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Iterator, Mapping

import pytest

from tests.support.client import eventually, get
from tests.support.databases import (
    KINDS,
    POOLS,
    PREFIX,
    SECONDS_TO_GO,
    DatabaseSite,
    await_sessions,
    database,
    make_table,
)
from tests.support.postgres import DATABASE, Postgres, postgres_server
from tests.support.repetitions import times
from tests.support.servers import Server, manage, site_under_gunicorn, uvicorn
from tests.support.site.checks import noted_runs
from tests.support.site.database_checks import LOCK, TIDY

pytestmark = pytest.mark.server

LEAST_RUNS = {"gunicorn": times(2000), "uvicorn": times(300)}
"""How many runs the connections are looked at after."""

STARTERS = {
    "gunicorn": lambda site: site_under_gunicorn(site, "--worker-class=gthread"),
    "uvicorn": lambda site: uvicorn(site.folder, site.environment()),
}

ALIASES = {**KINDS, **POOLS}

SAID = {f"tests.support.site.database_checks.{check.__name__}": text for check, text in TIDY.items()}
SAID["health_check.Database"] = "OK"
"""What checks say, by their dotted paths; all of them use a database, some of them badly."""

TIMEOUT = 1

TIMED_OUT = f"unavailable: timed out after {TIMEOUT} s"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server with a table; it asks for no password, which would take most of the time."""
    with postgres_server(authentication="trust", log_min_messages="fatal") as server:
        make_table(server)
        yield server


def site_on(postgres: Postgres, folder: pathlib.Path, checks: Mapping[str, str], **more: object) -> DatabaseSite:
    """Return a site whose checks use databases of all kinds, at every reading.

    Args:
        postgres: The server of the databases.
        folder: Where the site keeps its data.
        checks: The dotted paths of the checks; the values do not matter.
        more: More options of each check.
    """
    return DatabaseSite(
        folder=folder,
        checks=[[path, {"alias": alias, **more}] for alias in ALIASES for path in checks],
        max_age=0,
        databases={alias: database(postgres, alias, **settings) for alias, settings in ALIASES.items()},
    )


def labelled(checks: Mapping[str, str]) -> dict[str, str]:
    """Return what the checks of such a site say, by their labels."""
    names = {path: path.rpartition(".")[2] for path in checks}
    return {
        names[path] if (names[path], alias) == ("Database", "default") else f"{names[path]}(alias='{alias}')": text
        for alias in ALIASES
        for path, text in checks.items()
    }


def assert_few_connections(postgres: Postgres, server: Server, *, each: int = 0) -> None:
    """Assert that the site has no connections but those in its pools, which have lost none.

    Args:
        postgres: The server of its databases.
        server: Serves the site.
        each: How many of each database are in use.
    """
    pools: dict[str, dict[str, int]] = {}

    def have_all_back() -> bool:
        pools.update({alias: get(f"{server.url}/pool/{alias}/").json() for alias in POOLS})
        return all(pool["pool_available"] == pool["pool_size"] - each for pool in pools.values())

    eventually(have_all_back, what="pools that have their connections back", seconds=SECONDS_TO_GO)
    pooled = [alias for alias in POOLS for _ in range(pools[alias]["pool_size"])]
    await_sessions(postgres, [*pooled, *(alias for alias in KINDS for _ in range(each))])
    for pool in pools.values():
        assert pool["pool_size"] <= pool["pool_max"]
        assert pool["requests_waiting"] == 0
        assert "returns_bad" not in pool


@pytest.mark.parametrize("name", STARTERS)
def test_thousands_of_runs__leave_no_connection(postgres: Postgres, tmp_path: pathlib.Path, name: str) -> None:
    """After all kinds of checks no connection is left but those in the pools, which are whole and idle."""
    site = site_on(postgres, tmp_path, SAID, timeout=30)
    before, runs, start = postgres.sessions_ever(), 0, time.monotonic()
    with STARTERS[name](site) as server:
        while runs < LEAST_RUNS[name]:
            assert get(f"{server.url}/health/", format="json").json() == labelled(SAID)
            runs += len(labelled(SAID))
        seconds = time.monotonic() - start
        assert_few_connections(postgres, server)
        made = postgres.sessions_ever() - before
        print(f"{name}: {runs} runs, {made} connections in {seconds:.1f} s; left: {postgres.sessions(PREFIX)}")
        assert made > runs / 2, "most runs made none: this test tests nothing"
    await_sessions(postgres, [])


def test_command__leaves_no_connection(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """Nor does the command that runs all checks in its own process."""
    ran = manage(site_on(postgres, tmp_path, SAID, timeout=30), "health_check", "--fresh", "--format=json")
    assert json.loads(ran.stdout) == labelled(SAID), ran.stderr
    await_sessions(postgres, [])


def test_left_transactions__do_no_harm_to_later_runs(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """A check that never ends its transaction fails neither itself nor others that get its thread later."""
    checks = {"tests.support.site.database_checks.LeavingTransaction": "OK", "health_check.Database": "OK"}
    with site_under_gunicorn(site_on(postgres, tmp_path, checks)) as server:
        for _ in range(times(10, least=3)):
            assert get(f"{server.url}/health/", format="json").json() == labelled(checks)
        assert_few_connections(postgres, server)


def test_hanging_checks__keep_one_connection_until_they_end(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """A check that hangs in the database has one connection however often it is asked for, and none afterwards."""
    names = ("HangingInDatabase", "HangingInDatabaseAsync")
    checks = {f"tests.support.site.database_checks.{name}": TIMED_OUT for name in names}
    site = site_on(postgres, tmp_path, checks, timeout=TIMEOUT)
    with site_under_gunicorn(site) as server, postgres.connected(database=DATABASE) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        assert get(f"{server.url}/health/", format="json").json() == labelled(checks)
        for _ in range(5):
            assert get(f"{server.url}/health/").status == 500
        assert [len(noted_runs(tmp_path, name)) for name in names] == [len(ALIASES)] * len(names)
        assert_few_connections(postgres, server, each=len(names))
        other.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        in_order = dict.fromkeys(labelled(checks), "OK")
        eventually(lambda: get(f"{server.url}/health/", format="json").json() == in_order, what="an end of hanging")
        assert_few_connections(postgres, server)
