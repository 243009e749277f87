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
    """``Database`` is right at each run, while pages use up the pool."""
    pytest.importorskip("django_db_geventpool")
    configured = database(postgres, "default", ENGINE=ENGINE, CONN_MAX_AGE=0, OPTIONS={"MAX_CONNS": 1})
    site = DatabaseSite(folder=tmp_path, checks=["health_check.Database"], max_age=0, databases={"default": configured})
    with site_under_gunicorn(site, "--worker-class=gevent") as server:
        pages, health = [f"{server.url}{path}" for path in ("/orm/", "/health/")]
        for _ in range(12):
            answers = get_at_once([*[pages] * 4, *[f"{health}?format=json"] * 2])
            assert [answer.status for answer in answers[:4]] == [200] * 4
            assert [answer.json() for answer in answers[4:]] == [{"Database": "OK"}] * 2
