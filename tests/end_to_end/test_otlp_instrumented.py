"""Sites whose database and cache are real and instrumented: what arrives of the calls of checks, and when nothing."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Iterator

import pytest

from tests.support.caches import CacheServer, redis_server
from tests.support.client import eventually, get
from tests.support.databases import database, database_site, make_table
from tests.support.otlp import CHECK, ROUND, Receiver, Span, receiver
from tests.support.postgres import Postgres, postgres_server
from tests.support.repetitions import long
from tests.support.sending import instrument, sending
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs

pytestmark = pytest.mark.server

CHECKS = [
    "health_check.Database",
    "health_check.Cache",
    ["tests.support.site.database_checks.AskingAsync", {"name": "AskingAsync"}],
    "tests.support.site.checks.Counting",
]
LABELS = ("Database", "Cache", "AskingAsync", "Counting")

EXCLUDED = r"^https?://[^/]+/(health/(live/)?|metrics)\??$"
"""Which requests have no span."""

STORE = {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}

SAMPLERS = ("parentbased_always_on", "always_on")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CacheServer]:
    """A Redis."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL with the table that checks ask for."""
    with postgres_server() as server:
        make_table(server)
        yield server


@contextlib.contextmanager
def serving(
    folder: pathlib.Path, postgres: Postgres, redis: CacheServer, *, traces: str, sampler: str = SAMPLERS[0]
) -> Iterator[tuple[Server, Receiver]]:
    """Serve an instrumented site, whose records are in its cache, and receive what it sends."""
    site = database_site(
        folder=folder,
        checks=CHECKS,
        max_age=0.4,
        caches={"default": redis.configuration()},
        health_check={"TRACES": traces, "STORE": STORE},
        databases={"default": database(postgres, "default")},
    )
    with receiver() as arrived:
        variables = sending(arrived.url, OTEL_TRACES_SAMPLER=sampler, OTEL_PYTHON_DJANGO_EXCLUDED_URLS=EXCLUDED)
        wrapper = [instrument()]
        with site_under_gunicorn(site, "--threads=4", wrapper=wrapper, environment=variables) as server:
            yield server, arrived


def health(server: Server) -> dict[str, str]:
    """Ask, and return what is said of each check."""
    found: dict[str, str] = get(f"{server.url}/health/", format="json").json()
    return found


def await_runs(server: Server, folder: pathlib.Path, more: int) -> None:
    """Ask until there were some more runs."""
    wanted = len(noted_runs(folder, "Counting")) + more

    def there_were() -> bool:
        health(server)
        return len(noted_runs(folder, "Counting")) >= wanted

    eventually(there_were, what=f"{more} more runs")


def await_sentinel(server: Server, arrived: Receiver) -> None:
    """Wait until all spans that have ended by now have arrived: a request that is no probe is the last of them."""
    before = len(arrived.named("GET plain/"))
    assert get(f"{server.url}/plain/").status == 200
    eventually(lambda: len(arrived.named("GET plain/")) > before, what="the span of a request")


def others(arrived: Receiver) -> list[str]:
    """Return the names of the spans that are not of the sentinel."""
    return [span.name for span in arrived.spans if span.name != "GET plain/"]


def below(arrived: Receiver, parent: Span) -> set[str]:
    """Return which systems the calls are to that are below a span."""
    return {str(span.attributes.get("db.system")) for span in arrived.children(parent)}


def test_all__calls_are_below_their_checks(tmp_path: pathlib.Path, postgres: Postgres, redis: CacheServer) -> None:
    """SQL and Redis commands are children of the check they are of; the store's own, and probes, have no spans."""
    with serving(tmp_path, postgres, redis, traces="all") as (server, arrived):
        assert health(server) == dict.fromkeys(LABELS, "OK")
        await_runs(server, tmp_path, 2)
        root = arrived.await_round(*LABELS)
        await_sentinel(server, arrived)
        arrived.await_no_orphans()
        expected = {"Database": {"postgresql"}, "Cache": {"redis"}, "AskingAsync": {"postgresql"}, "Counting": set()}
        assert {label: below(arrived, arrived.child(root, label)) for label in LABELS} == expected
        roots = {span.name for span in arrived.spans if span.parent is None}
        assert roots == {ROUND, "GET plain/"}


@pytest.mark.parametrize("sampler", [long(SAMPLERS[0]), SAMPLERS[1]])
def test_failures__a_database_that_goes_and_comes(
    tmp_path: pathlib.Path, postgres: Postgres, redis: CacheServer, sampler: str
) -> None:
    """While all is ok no span arrives, of rounds, calls, the store or probes; metrics do.

    The first failure leaves our spans, what follows is traced in full, down to the SQL that works again.
    """
    with serving(tmp_path, postgres, redis, traces="failures", sampler=sampler) as (server, arrived):
        assert health(server) == dict.fromkeys(LABELS, "OK")
        await_runs(server, tmp_path, 4)
        eventually(lambda: arrived.of("health_check.endpoint.status"), what="metrics")
        await_sentinel(server, arrived)
        assert others(arrived) == []
        postgres.stop()
        try:
            eventually(lambda: health(server)["Database"] != "OK", what="the failure")
            first = arrived.await_round("Database")
            assert arrived.child(first, "Database").is_error
            await_runs(server, tmp_path, 2)
            later = arrived.await_round("Database", "Cache", more_than=1)
            assert below(arrived, arrived.child(later, "Cache")) == {"redis"}
        finally:
            postgres.start()
        await_recovery(server, arrived, tmp_path)
        await_sentinel(server, arrived)
        arrived.await_no_orphans()
        known = len(others(arrived))
        await_runs(server, tmp_path, 3)
        await_sentinel(server, arrived)
        assert others(arrived)[known:] == []


def await_recovery(server: Server, arrived: Receiver, folder: pathlib.Path) -> None:
    """Wait for the round in which all is in order again, and check that it has the SQL."""

    def recovered() -> Span | None:
        health(server)
        spans = [span for span in arrived.named(f"{CHECK} Database") if not span.is_error]
        return spans[-1] if spans else None

    span = eventually(recovered, what="a round that is in order")
    eventually(lambda: below(arrived, span) == {"postgresql"}, what="the SQL of that round")
    await_runs(server, folder, 2)
