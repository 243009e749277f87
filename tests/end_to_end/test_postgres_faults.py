"""PostgreSQL in trouble: the site says so in time and in words that give nothing away, and when it is over."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import time
from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.support.client import Lag, eventually, get
from tests.support.databases import await_sessions, database, database_site
from tests.support.postgres import DATABASE, PASSWORD, USER, Postgres, postgres_server
from tests.support.servers import Server, manage, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 0.5

TIMEOUT = 3
"""The budget of each check, of which its client uses whole seconds: two."""

PROMISED_SECONDS = TIMEOUT + 1
"""How long an answer may take."""

RECOVERY_SECONDS = TIMEOUT + 3 * MAX_AGE
"""After how long the site says that all is in order again; one run may just be under way."""

SCRAPE_SECONDS = 2.5
"""How long a scrape may take."""

LABELS = ["Database", "Database(alias='pooled')"]
FORMATS = ["html", "json", "text", "health+json", "rss", "atom"]

Fault = Callable[[Postgres], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def killed(postgres: Postgres) -> Iterator[None]:
    """Have the server gone without warning."""
    postgres.kill()
    yield
    postgres.start()


@contextlib.contextmanager
def paused(postgres: Postgres) -> Iterator[None]:
    """Have a server that takes connections, and says nothing."""
    postgres.pause()
    yield
    postgres.resume()


@contextlib.contextmanager
def out_of_connections(postgres: Postgres) -> Iterator[None]:
    """Have others use all connections."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(postgres.connected(user=USER, database=DATABASE))
        yield


@contextlib.contextmanager
def dropped(postgres: Postgres) -> Iterator[None]:
    """Have no such database."""
    postgres.query(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    yield
    postgres.query(f"CREATE DATABASE {DATABASE} OWNER {USER}")


FAULTS: dict[Fault, str] = {
    killed: "OperationalError",
    paused: "ConnectionTimeout",
    out_of_connections: "OperationalError",
    dropped: "OperationalError",
}
"""What may happen, and what the driver calls it."""


@dataclasses.dataclass(kw_only=True)
class Scene:
    """A server of databases, and a site on it."""

    postgres: Postgres
    """The former."""
    site: Site
    """The latter."""
    server: Server
    """Serves it."""
    lag: Lag
    """How late this machine is."""

    def health(self) -> dict[str, str]:
        """Return what the checks say, after a time that is not too long."""
        answer = get(f"{self.server.url}/health/", format="json")
        assert answer.seconds < PROMISED_SECONDS + self.lag.slack
        found: dict[str, str] = answer.json()
        assert answer.status == (200 if set(found.values()) == {"OK"} else 500)
        return found

    def await_health(self, text: str) -> float:
        """Wait until the checks of the database say this, and return after how many seconds they did."""
        start, expected = time.monotonic(), {**dict.fromkeys(LABELS, text), "Counting": "OK"}
        eventually(lambda: self.health() == expected, what=text)
        return time.monotonic() - start

    def await_more_runs(self) -> None:
        """Wait until all is checked again, and again."""
        before = len(noted_runs(self.site.folder, "Counting"))
        eventually(lambda: self.health() and len(noted_runs(self.site.folder, "Counting")) > before + 2, what="runs")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A server with few connections, and a site that pools some of them."""
    with postgres_server(max_connections="12") as postgres:
        pooled = database(postgres, "pooled", OPTIONS={"pool": {"min_size": 1, "max_size": 1}})
        options = {"timeout": TIMEOUT}
        site = database_site(
            folder=tmp_path_factory.mktemp("site"),
            checks=[
                ["health_check.Database", options],
                ["health_check.Database", {"alias": "pooled", **options}],
                "tests.support.site.checks.Counting",
            ],
            max_age=MAX_AGE,
            databases={"default": database(postgres, "default", CONN_MAX_AGE=None), "pooled": pooled},
        )
        lag = Lag()
        with site_under_gunicorn(site) as server, lag.measured():
            yield Scene(postgres=postgres, site=site, server=server, lag=lag)


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.__name__ for fault in FAULTS])
def test_fault__is_told_in_time_and_without_secrets(scene: Scene, fault: Fault) -> None:
    """All faces say that the database is in error, nothing else suffers, and it is over when it is over."""
    scene.await_health("OK")
    get(f"{scene.server.url}/backend/pooled/")  # opens the pool, or finds it stale
    logged = len(scene.server.output())
    with fault(scene.postgres):
        error = f"cannot connect to the database ({FAULTS[fault]})"
        known_after = scene.await_health(f"unavailable: {error}")
        assert_told_without_secrets(scene, error)
        scene.await_more_runs()
    over_after = scene.await_health("OK")
    print(f"{fault.__name__}: known after {known_after:.2f} s, over after {over_after:.2f} s")
    assert known_after < MAX_AGE + PROMISED_SECONDS + scene.lag.slack
    assert over_after < RECOVERY_SECONDS + scene.lag.slack
    assert_logged_once(scene.server, logged)


def assert_told_without_secrets(scene: Scene, error: str) -> None:
    """Assert that all faces tell of an error, and not of where the database is; and that all else is well."""
    bodies = [get(f"{scene.server.url}/health/", format=name).body for name in FORMATS]
    assert all(error in body for body in bodies)
    scrape = get(f"{scene.server.url}/metrics")
    assert scrape.seconds < SCRAPE_SECONDS + scene.lag.slack
    for label in LABELS:
        assert f'django_health_check_status{{check="{label}"}} 0.0' in scrape.body
    assert 'django_health_check_status{check="Counting"} 1.0' in scrape.body
    secrets = (PASSWORD, USER, f":{scene.postgres.port}", f"port {scene.postgres.port}")
    for body in (*bodies, scrape.body):
        assert not [secret for secret in secrets if secret in body]
    assert {get(scene.server.url + path).status for path in ("/plain/", "/health/live/")} == {200}


def assert_logged_once(server: Server, start: int) -> None:
    """Assert that what was logged since then tells once that each check fails, and once that it does no more."""

    def lines(label: str, state: str) -> int:
        return len(re.findall(rf"(?m)^{re.escape(label)} is {state}\b", server.output()[start:]))

    for label in LABELS:
        eventually(lambda label=label: lines(label, "ok"), what=f"{label} in the log")  # type: ignore[misc]
        assert (lines(label, "error"), lines(label, "ok")) == (1, 1)
    assert PASSWORD not in server.output()


CACHE = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_table"}


def test_cache_in_a_database__is_shared_again_after_a_restart(tmp_path: pathlib.Path) -> None:
    """A store in such a cache keeps no connection, so that it finds its way back to a server that was restarted."""
    with postgres_server() as postgres:
        site = database_site(
            folder=tmp_path,
            checks=["tests.support.site.checks.Counting"],
            max_age=MAX_AGE,
            caches={"default": CACHE},
            health_check={"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}},
            databases={"default": database(postgres, "default")},
        )
        made = manage(site, "createcachetable")
        assert made.returncode == 0, made.stderr
        with site_under_gunicorn(site) as server:

            def store_is(up: str) -> bool:
                assert get(f"{server.url}/health/").status == 200
                return f"django_health_check_store_up {up}" in get(f"{server.url}/metrics").body

            eventually(lambda: store_is("1.0"), what="a store")
            await_sessions(postgres, [])
            postgres.stop()
            eventually(lambda: store_is("0.0"), what="no store")
            postgres.start()
            eventually(lambda: store_is("1.0"), what="a store again")
            await_sessions(postgres, [])
