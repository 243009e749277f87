"""django-db-geventpool on PostgreSQL under gevent: its pool is for greenlets, and checks run on threads."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.support.client import get_at_once
from tests.support.databases import DatabaseSite, database, make_table
from tests.support.postgres import Postgres, postgres_server
from tests.support.servers import site_under_gunicorn

pytestmark = pytest.mark.server

ENGINE = "django_db_geventpool.backends.postgresql_psycopg3"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL with a table for the site."""
    with postgres_server() as server:
        make_table(server)
        yield server


def test_geventpool__database_takes_no_pool(postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """``Database`` is right at each run, while pages use up the pool; a check that uses the pool is told what to do."""
    pytest.importorskip("django_db_geventpool")
    configured = database(postgres, "default", ENGINE=ENGINE, CONN_MAX_AGE=0, OPTIONS={"MAX_CONNS": 1})
    asking = "tests.support.site.database_checks.Asking"
    site = DatabaseSite(
        folder=tmp_path, checks=["health_check.Database"], others=[asking], max_age=0, databases={"default": configured}
    )
    with site_under_gunicorn(site, "--worker-class=gevent") as server:
        pages, health, others = [f"{server.url}{path}" for path in ("/orm/", "/health/", "/others/")]
        told: set[str] = set()
        for _ in range(12):
            answers = get_at_once([*[pages] * 4, *[f"{health}?format=json"] * 2, *[f"{others}?format=json"] * 2])
            assert [answer.status for answer in answers[:4]] == [200] * 4
            assert [answer.json() for answer in answers[4:6]] == [{"Database": "OK"}] * 2
            told |= {str(text) for answer in answers[6:] for text in answer.json().values()}
        assert "unknown error" not in told  # it may also time out, where a greenlet never tells its thread
        assert any(text.startswith("misconfigured: the check waits for greenlets") for text in told), told
