"""Sites on PostgreSQL: checks leave no connection behind, use up none of the site's, and open no transaction."""

from __future__ import annotations

import concurrent.futures
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest

from tests.support.client import Lag, eventually, get, get_at_once
from tests.support.databases import (
    KINDS,
    POOLS,
    PREFIX,
    SECONDS_TO_GO,
    await_sessions,
    database,
    database_site,
    make_table,
)
from tests.support.postgres import DATABASE, USER, Postgres, postgres_server
from tests.support.repetitions import long, times
from tests.support.servers import Server, manage, site_under_gunicorn, uvicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site
from tests.support.site.database_checks import LOCK, TIDY
from tests.support.site.database_views import HELD

pytestmark = pytest.mark.server

LEAST_RUNS = {"gunicorn": times(2000), "uvicorn": times(300)}
"""How many runs the connections are looked at after."""

STARTERS = {"gunicorn": site_under_gunicorn, "uvicorn": lambda site: uvicorn(site.folder, site.environment())}

ALIASES = {**KINDS, **POOLS}

OWN = "tests.support.site.database_checks"
SAID = {**{f"{OWN}.{check.__name__}": text for check, text in TIDY.items()}, "health_check.Database": "OK"}
"""What checks say, by their dotted paths; all of them use a database, some of them badly."""

TIMEOUT = 1

TIMED_OUT = f"unavailable: timed out after {TIMEOUT} s"

KEPT: Mapping[str, Any] = {"CONN_MAX_AGE": None}
POOLED: Mapping[str, Any] = {"OPTIONS": {"pool": {"min_size": 1, "max_size": 1}}}

OURS = [
    "/health/",
    *(f"/health/?format={name}" for name in ("html", "json", "text", "health%2Bjson", "rss", "atom")),
    "/health/live/",
    "/metrics",
]
"""What answers without a database, unless a check wants one."""

STATEMENT = re.compile(rf"(?m)^\[{PREFIX}(\w+) \d+\] LOG:  (?:statement|execute [^:]+): (\w+)")
"""A statement in the log of the server: the alias it came by, and its first word."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server with a table, which logs all statements; it asks for no password, which would take most of the time."""
    with postgres_server(authentication="trust", log_min_messages="log", log_statement="all") as server:
        make_table(server)
        yield server


def site_on(postgres: Postgres, folder: pathlib.Path, checks: Iterable[str], **more: object) -> Site:
    """Return a site whose checks use databases of all kinds, at every reading.

    Args:
        postgres: The server of the databases.
        folder: Where the site keeps its data.
        checks: The dotted paths of the checks.
        more: More options of each check.
    """
    return database_site(
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
def test_runs__leave_no_connection(postgres: Postgres, tmp_path: pathlib.Path, name: str) -> None:
    """After all kinds of checks no connection is left but those in the pools, which are whole and idle.

    Nor does the command leave one, which runs all checks in its own process.
    """
    site = site_on(postgres, tmp_path, SAID, timeout=30)
    before, runs = postgres.sessions_ever(), 0
    with STARTERS[name](site) as server:
        while runs < LEAST_RUNS[name]:
            assert get(f"{server.url}/health/", format="json").json() == labelled(SAID)
            runs += len(labelled(SAID))
        assert_few_connections(postgres, server)
        made = postgres.sessions_ever() - before
        print(f"{name}: {runs} runs, {made} connections; left: {postgres.sessions(PREFIX)}")
        assert made > runs / 2, "most runs made none: this test tests nothing"
    await_sessions(postgres, [])
    if name == "gunicorn":
        ran = manage(site, "health_check", "--fresh", "--format=json")
        assert json.loads(ran.stdout) == labelled(SAID), ran.stderr
        await_sessions(postgres, [])


def test_hanging_checks__keep_one_connection_until_they_end(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """A check that hangs in the database has one connection however often it is asked for, and none afterwards."""
    names = ("HangingInDatabase", "HangingInDatabaseAsync")
    checks = {f"{OWN}.{name}": TIMED_OUT for name in names}
    site = site_on(postgres, tmp_path, checks, timeout=TIMEOUT)
    with site_under_gunicorn(site) as server, postgres.connected(database=DATABASE) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        assert get(f"{server.url}/health/", format="json").json() == labelled(checks)
        for _ in range(5):
            assert get(f"{server.url}/health/").status == 500
        assert [len(noted_runs(tmp_path, name)) for name in names] == [len(ALIASES)] * len(names)
        assert_few_connections(postgres, server, each=len(names))
        other.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        ok = dict.fromkeys(labelled(checks), "OK")
        eventually(lambda: get(f"{server.url}/health/", format="json").json() == ok, what="an end of hanging")
        assert_few_connections(postgres, server)


def shop_on(postgres: Postgres, folder: pathlib.Path, settings: Mapping[str, Any]) -> Site:
    """Return a site on a database that it connects to so, with our check of it, and one of the site's own."""
    options = {"alias": "shop", "timeout": TIMEOUT}
    return database_site(
        folder=folder,
        checks=[["health_check.Database", options]],
        others=[[f"{OWN}.Asking", options]],
        max_age=0,
        databases={"default": database(postgres, "default"), "shop": database(postgres, "shop", **settings)},
    )


def said(server: Server) -> Mapping[str, str]:
    """Return what both checks say."""
    texts = (get(f"{server.url}{path}", format="json").json() for path in ("/health/", "/others/"))
    return {label.partition("(")[0]: text for found in texts for label, text in found.items()}


WELL = {"Database": "OK", "Asking": "OK"}


def backend(server: Server) -> int:
    """Return the process of the database server that serves the site."""
    pid: int = get(f"{server.url}/backend/shop/").json()["pid"]
    return pid


@pytest.mark.parametrize("settings", [KEPT, POOLED], ids=["kept", "pooled"])
def test_connections_of_the_site__are_left_alone(
    postgres: Postgres, tmp_path: pathlib.Path, settings: Mapping[str, Any]
) -> None:
    """A thread of the site's has the same connection before and after it answered for checks of that database.

    Connections that it kept while the server was restarted make no check fail, though they fail the site.
    """
    with site_under_gunicorn(shop_on(postgres, tmp_path, settings), "--threads=1") as server:
        before = backend(server)
        for _ in range(5):
            assert said(server) == WELL
            assert all(get(server.url + path).status == 200 for path in OURS)
        assert backend(server) == before
        eventually(lambda: postgres.sessions(PREFIX) == [f"{PREFIX}shop"], what="no other connection")
        postgres.restart()
        assert [get(f"{server.url}/health/").status for _ in range(10)] == [200] * 10
        assert get(f"{server.url}/backend/shop/").status == 500, "no stale connection: this test tests nothing"


def test_exhausted_pool__is_no_matter_of_the_database(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """While requests have all connections of a pool, the database is ok; who needs one of these times out."""
    lag = Lag()
    with (
        site_under_gunicorn(shop_on(postgres, tmp_path, POOLED)) as server,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
        lag.measured(),
    ):
        before = backend(server)
        holding = pool.submit(get, f"{server.url}/holding/shop/")
        eventually((tmp_path / HELD).exists, what="a request that keeps its connection")
        assert get(f"{server.url}/health/").status == 200
        waiting = get(f"{server.url}/others/", format="json")
        assert waiting.json() == {"Asking(alias='shop')": TIMED_OUT}
        assert waiting.seconds < TIMEOUT + 1 + lag.slack
        assert get(f"{server.url}/health/live/").status == 200
        (tmp_path / HELD).unlink()
        assert holding.result().json() == {"pid": before}
        eventually(lambda: said(server) == WELL, what="all ok")
        assert backend(server) == before


def statements(postgres: Postgres, start: int) -> set[tuple[str, str]]:
    """Return the kinds of statements that a site has executed since its server had logged so much."""
    return set(STATEMENT.findall(postgres.server.output()[start:]))


@pytest.mark.parametrize("name", STARTERS)
def test_atomic_requests__our_pages_open_no_transaction(postgres: Postgres, tmp_path: pathlib.Path, name: str) -> None:
    """No page of ours connects to a database, where all others connect to two for transactions, and fail without.

    The check of a database asks outside of any transaction, on a connection that is gone afterwards.
    """
    await_sessions(postgres, [])
    start, atomic = len(postgres.server.output()), {"ATOMIC_REQUESTS": True, "CONN_MAX_AGE": None}
    site = database_site(
        folder=tmp_path,
        checks=["tests.support.site.checks.Counting"],
        others=["health_check.Database"],
        max_age=0,
        databases={alias: database(postgres, alias, **atomic) for alias in ("default", "shop")},
    )
    with STARTERS[name](site) as server:
        assert {get(server.url + path).status for path in OURS if path != "/metrics"} == {200}
        assert statements(postgres, start) == set()
        assert postgres.sessions(PREFIX) == []
        assert {get(f"{server.url}{path}").status for path in ("/others/", "/metrics")} == {200}
        assert statements(postgres, start) == {("default", "SELECT")}
        await_sessions(postgres, [])

        assert get(f"{server.url}/backend/shop/").status == 200
        assert ("shop", "BEGIN") in statements(postgres, start), "there are no transactions: this test tests nothing"
        postgres.stop()
        try:
            assert get(f"{server.url}/backend/shop/").status == 500
            assert {get(server.url + path).status for path in OURS} == {200}
            assert get(f"{server.url}/others/").status == 500
        finally:
            postgres.start()


@pytest.mark.parametrize("router", [long("Elsewhere"), "Raising"])
def test_routers__each_alias_is_checked_for_itself(postgres: Postgres, tmp_path: pathlib.Path, router: str) -> None:
    """A replica that is gone is in error, one that is there is ok, wherever routers send the site's queries."""
    start, aliases = len(postgres.server.output()), ("default", "replica")
    site = database_site(
        folder=tmp_path,
        checks=[["health_check.Database", {"alias": alias}] for alias in (*aliases, "gone", "nowhere")],
        max_age=0,
        databases={
            **{alias: database(postgres, alias) for alias in aliases},
            "gone": {**database(postgres, "gone"), "PORT": "1"},
        },
        routers=[f"tests.support.site.routers.{router}"],
    )
    with site_under_gunicorn(site) as server:
        assert get(f"{server.url}/health/", format="json").json() == {
            "Database": "OK",
            "Database(alias='replica')": "OK",
            "Database(alias='gone')": "unavailable: cannot connect to the database (OperationalError)",
            "Database(alias='nowhere')": "unavailable: the database 'nowhere' is not in DATABASES",
        }
        assert statements(postgres, start) == {("default", "SELECT"), ("replica", "SELECT")}


def test_mirror__suite_of_a_site_with_a_replica(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """In a site's own tests, the replica mirrors the primary, and no check breaks the transaction of a test."""
    postgres.query(f"ALTER ROLE {USER} CREATEDB")
    replica = database(postgres, "replica", TEST={"MIRROR": "default"})
    site = database_site(
        folder=tmp_path,
        checks=[["health_check.Database", {"alias": alias}] for alias in ("default", "replica")],
        others=[f"{OWN}.RefusedInTransaction", f"{OWN}.Refused"],
        databases={"default": database(postgres, "default"), "replica": replica},
    )
    ran = manage(site, "test", "tests.support.site.suite")
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"(?m)^Ran 3 tests", ran.stderr)


CONNECTING = ["Asking", "AskingAsync", "AskingAtConstruction", "LeavingTransaction"]

ENGINE = "django_db_geventpool.backends.postgresql_psycopg3"


def test_geventpool__is_left_to_greenlets(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """Under gevent all checks are right at each run, on threads, while pages use up a pool for greenlets."""
    pytest.importorskip("django_db_geventpool")
    site = database_site(
        folder=tmp_path,
        checks=["health_check.Database", *(f"{OWN}.{name}" for name in CONNECTING)],
        max_age=0,
        databases={"default": database(postgres, "default", ENGINE=ENGINE, CONN_MAX_AGE=0, OPTIONS={"MAX_CONNS": 1})},
    )
    with site_under_gunicorn(site, "--worker-class=gevent") as server:
        for _ in range(12):
            answers = get_at_once([f"{server.url}/orm/"] * 4 + [f"{server.url}/health/?format=json"] * 2)
            assert [answer.status for answer in answers] == [200] * 6, answers
        assert "gevent" not in server.output().partition("Booting worker")[2]
