"""The connections and pools that a site keeps are its own: checks neither use them up nor depend on them."""

from __future__ import annotations

import concurrent.futures
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.support.client import Lag, eventually, get
from tests.support.databases import PREFIX, DatabaseSite, database, make_table
from tests.support.postgres import Postgres, postgres_server
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.database_views import HELD

pytestmark = pytest.mark.server

ALIAS = "shop"

OF_ONE = {"pool": {"min_size": 1, "max_size": 1}}
OF_TWO = {"pool": {"min_size": 2, "max_size": 2}}

KEPT: dict[str, Any] = {"CONN_MAX_AGE": None}
POOLED: dict[str, Any] = {"OPTIONS": OF_ONE}

TIMEOUT = 1

FORMATS = ["html", "json", "text", "health+json", "rss"]

DATABASE = f"Database(alias='{ALIAS}')"
ASKING = f"Asking(alias='{ALIAS}')"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server with a table."""
    with postgres_server() as server:
        make_table(server)
        yield server


def site_on(postgres: Postgres, folder: pathlib.Path, settings: Mapping[str, Any], **more: Any) -> DatabaseSite:
    """Return a site on a database, whose check runs at every reading.

    Args:
        postgres: The server of the database.
        folder: Where the site keeps its data.
        settings: How the site connects to it.
        more: More of the site.
    """
    options = {"alias": ALIAS, "timeout": TIMEOUT}
    return DatabaseSite(
        folder=folder,
        checks=[["health_check.Database", options]],
        others=[["tests.support.site.database_checks.Asking", options]],
        max_age=0,
        databases={"default": database(postgres, "default"), ALIAS: database(postgres, ALIAS, **settings)},
        **more,
    )


def backend(server: Server) -> int:
    """Return the process of the database server that serves the site."""
    pid: int = get(f"{server.url}/backend/{ALIAS}/").json()["pid"]
    return pid


def said(server: Server) -> Mapping[str, str]:
    """Return what the checks say that use the database, the site's own and ours."""
    found: dict[str, str] = {}
    for path in ("/health/", "/others/"):
        found |= get(f"{server.url}{path}", format="json").json()
    return found


@pytest.mark.parametrize("settings", [KEPT, POOLED], ids=["kept", "pooled"])
def test_connections_of_the_site__are_left_alone(
    postgres: Postgres, tmp_path: pathlib.Path, settings: Mapping[str, Any]
) -> None:
    """A thread of the site's has the same connection before and after it answered for checks of that database."""
    with site_under_gunicorn(site_on(postgres, tmp_path, settings), "--worker-class=gthread", "--threads=1") as server:
        before = backend(server)
        for _ in range(5):
            assert said(server) == {DATABASE: "OK", ASKING: "OK"}
            assert all(get(f"{server.url}/health/", format=name).status == 200 for name in FORMATS)
            assert 'django_health_check_status{check="Asking' in get(f"{server.url}/metrics").body
        assert backend(server) == before
        eventually(lambda: postgres.sessions(PREFIX) == [PREFIX + ALIAS], what="no other connection")


@pytest.mark.parametrize("settings", [KEPT, {"OPTIONS": OF_TWO}], ids=["kept", "pooled"])
def test_restarted_server__is_in_order_at_once(
    postgres: Postgres, tmp_path: pathlib.Path, settings: Mapping[str, Any]
) -> None:
    """Connections that the site kept while the server was restarted make no check fail, though they fail the site."""
    with site_under_gunicorn(site_on(postgres, tmp_path, settings), "--worker-class=gthread", "--threads=1") as server:
        assert backend(server)
        assert get(f"{server.url}/health/").status == 200
        postgres.restart()
        answers = [get(f"{server.url}/health/", format="json").json() for _ in range(10)]
        assert answers == [{DATABASE: "OK"}] * len(answers)
        assert get(f"{server.url}/backend/{ALIAS}/").status == 500, "no stale connection: this test tests nothing"


@pytest.mark.parametrize("settings", [KEPT, POOLED], ids=["kept", "pooled"])
def test_restarted_server__is_in_order_for_checks_in_the_thread_of_the_request(
    postgres: Postgres, tmp_path: pathlib.Path, settings: Mapping[str, Any]
) -> None:
    """Where checks run in the thread of the request, the connection that it kept is made anew if it is stale."""
    site = site_on(postgres, tmp_path, settings, health_check={"MAX_CONCURRENCY": 0})
    with site_under_gunicorn(site, "--worker-class=gthread", "--threads=1") as server:
        before = backend(server)
        assert get(f"{server.url}/health/").status == 200
        assert backend(server) == before
        postgres.restart()
        assert get(f"{server.url}/health/", format="json").json() == {DATABASE: "OK"}


def test_exhausted_pool__is_no_matter_of_the_database(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """While requests have all connections of a pool, the database is in order; who needs one of these times out."""
    lag = Lag()
    with (
        site_under_gunicorn(site_on(postgres, tmp_path, POOLED)) as server,
        concurrent.futures.ThreadPoolExecutor(1) as pool,
        lag.measured(),
    ):
        before = backend(server)
        holding = pool.submit(get, f"{server.url}/holding/{ALIAS}/")
        eventually((tmp_path / HELD).exists, what="a request that keeps its connection")
        assert get(f"{server.url}/health/", format="json").json() == {DATABASE: "OK"}

        waiting = get(f"{server.url}/others/", format="json")
        assert waiting.json() == {ASKING: f"unavailable: timed out after {TIMEOUT} s"}
        print(f"timed out after {waiting.seconds:.2f} s")
        assert waiting.seconds < TIMEOUT + 1 + lag.slack
        assert get(f"{server.url}/health/live/").status == 200

        (tmp_path / HELD).unlink()
        assert holding.result().json() == {"pid": before}
        eventually(lambda: said(server) == {DATABASE: "OK", ASKING: "OK"}, what="all in order")
        assert backend(server) == before
