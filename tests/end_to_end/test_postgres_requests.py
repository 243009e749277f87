"""Neither ATOMIC_REQUESTS nor routers come between a probe and PostgreSQL."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Iterator

import pytest

from tests.support.client import get
from tests.support.databases import PREFIX, DatabaseSite, await_sessions, database
from tests.support.postgres import USER, Postgres, postgres_server
from tests.support.servers import manage, site_under_gunicorn, uvicorn

pytestmark = pytest.mark.server

STARTERS = {"gunicorn": site_under_gunicorn, "uvicorn": lambda site: uvicorn(site.folder, site.environment())}

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
def shared_postgres() -> Iterator[Postgres]:
    """A server that logs all statements."""
    with postgres_server(log_statement="all") as server:
        yield server


@dataclasses.dataclass(kw_only=True)
class Watched:
    """A server, watched from now on."""

    postgres: Postgres
    """The server."""
    start: int
    """Where its log was then."""

    def database(self, alias: str, **more: object) -> dict[str, object]:
        """Return what stands for it in ``DATABASES``."""
        return database(self.postgres, alias, **more)

    def statements(self) -> set[tuple[str, str]]:
        """Return the kinds of statements that the site has executed."""
        return set(STATEMENT.findall(self.postgres.server.output()[self.start :]))


@pytest.fixture
def watched(shared_postgres: Postgres) -> Watched:
    """The server, while no site is connected to it."""
    await_sessions(shared_postgres, [])
    return Watched(postgres=shared_postgres, start=len(shared_postgres.server.output()))


@pytest.mark.parametrize("name", STARTERS)
def test_atomic_requests__our_pages_open_no_transaction(watched: Watched, tmp_path: pathlib.Path, name: str) -> None:
    """No page of ours connects to a database, where all others connect to two for transactions, and fail without."""
    aliases = ("default", "shop")
    site = DatabaseSite(
        folder=tmp_path,
        checks=["tests.support.site.checks.Counting"],
        max_age=0,
        databases={alias: watched.database(alias, ATOMIC_REQUESTS=True, CONN_MAX_AGE=None) for alias in aliases},
    )
    with STARTERS[name](site) as server:
        assert {get(server.url + path).status for path in OURS} == {200}
        assert watched.statements() == set()
        assert watched.postgres.sessions(PREFIX) == []

        assert get(f"{server.url}/backend/shop/").status == 200
        assert ("shop", "BEGIN") in watched.statements(), "there are no transactions: this test tests nothing"
        assert ("default", "SELECT") in watched.statements(), "nor here"

        watched.postgres.stop()
        try:
            assert get(f"{server.url}/backend/shop/").status == 500
            assert {get(server.url + path).status for path in OURS} == {200}
        finally:
            watched.postgres.start()


def test_atomic_requests__checks_open_no_transaction(watched: Watched, tmp_path: pathlib.Path) -> None:
    """The check of a database asks outside of any transaction, on a connection that is gone afterwards."""
    site = DatabaseSite(
        folder=tmp_path,
        checks=["health_check.Database"],
        max_age=0,
        databases={"default": watched.database("default", ATOMIC_REQUESTS=True, CONN_MAX_AGE=None)},
    )
    with site_under_gunicorn(site) as server:
        assert {get(server.url + path).status for path in OURS} == {200}
        assert watched.statements() == {("default", "SELECT")}
        await_sessions(watched.postgres, [])


@pytest.mark.parametrize("router", ["Elsewhere", "Raising"])
def test_routers__each_alias_is_checked_for_itself(watched: Watched, tmp_path: pathlib.Path, router: str) -> None:
    """A replica that is gone is in error, one that is there is in order, wherever routers send the site's queries."""
    gone = {**watched.database("gone"), "PORT": "1"}
    databases = {alias: watched.database(alias) for alias in ("default", "replica")}
    site = DatabaseSite(
        folder=tmp_path,
        checks=[["health_check.Database", {"alias": alias}] for alias in ("default", "replica", "gone", "nowhere")],
        max_age=0,
        databases={**databases, "gone": gone},
        routers=[f"tests.support.site.routers.{router}"],
    )
    with site_under_gunicorn(site) as server:
        assert get(f"{server.url}/health/", format="json").json() == {
            "Database": "OK",
            "Database(alias='replica')": "OK",
            "Database(alias='gone')": "unavailable: cannot connect to the database (OperationalError)",
            "Database(alias='nowhere')": "unavailable: the database 'nowhere' is not in DATABASES",
        }
        assert watched.statements() == {("default", "SELECT"), ("replica", "SELECT")}


def test_mirror__suite_of_a_site_with_a_replica(watched: Watched, tmp_path: pathlib.Path) -> None:
    """In a site's own tests, the replica mirrors the primary, and no check breaks the transaction of a test."""
    watched.postgres.query(f"ALTER ROLE {USER} CREATEDB")
    replica = watched.database("replica", TEST={"MIRROR": "default"})
    broken = ["RefusedInTransaction", "Refused"]
    site = DatabaseSite(
        folder=tmp_path,
        checks=[["health_check.Database", {"alias": alias}] for alias in ("default", "replica")],
        others=[f"tests.support.site.database_checks.{name}" for name in broken],
        databases={"default": watched.database("default"), "replica": replica},
    )
    ran = manage(site, "test", "tests.support.site.suite")
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"(?m)^Ran 3 tests", ran.stderr)
