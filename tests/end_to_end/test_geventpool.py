"""django-db-geventpool on PostgreSQL under gevent: its pool is for greenlets, and checks run on threads."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import pytest

from tests.support.client import get_at_once
from tests.support.databases import DatabaseSite, database, make_table
from tests.support.postgres import Postgres, postgres_server
from tests.support.repetitions import long
from tests.support.servers import site_under_gunicorn

pytestmark = pytest.mark.server

ENGINE = "django_db_geventpool.backends.postgresql_psycopg3"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL with a table for the site."""
    with postgres_server() as server:
        make_table(server)
        yield server


def pool_of(kind: str) -> dict[str, object]:
    """Return what makes a database a pool of one connection."""
    if kind == "django":
        return {"OPTIONS": {"pool": {"min_size": 1, "max_size": 1, "timeout": 20}}}
    pytest.importorskip("django_db_geventpool")
    return {"ENGINE": ENGINE, "CONN_MAX_AGE": 0, "OPTIONS": {"MAX_CONNS": 1}}


OWN = ["Asking", "AskingAsync", "AskingAtConstruction", "RaisingWithCursor", "LeavingTransaction"]
"""Checks of a user's own that use the ORM, and what they do."""


@pytest.mark.parametrize("kind", ["geventpool", long("django")])
def test_pool_of_greenlets__is_left_to_them(kind: str, postgres: Postgres, tmp_path: pathlib.Path) -> None:
    """``Database``, and checks of the site's own, are right at each run, while pages use up the pool; no page hangs."""
    site = DatabaseSite(
        folder=tmp_path,
        checks=["health_check.Database", *(f"tests.support.site.database_checks.{name}" for name in OWN)],
        max_age=0,
        databases={"default": database(postgres, "default", **pool_of(kind))},
    )
    with site_under_gunicorn(site, "--worker-class=gevent") as server:
        pages, health = [f"{server.url}{path}" for path in ("/orm/", "/health/")]
        for _ in range(12):
            answers = get_at_once([*[pages] * 4, *[f"{health}?format=json"] * 2])
            assert [answer.status for answer in answers[:4]] == [200] * 4
            for answer in answers[4:]:
                assert {label.partition("(")[0]: text for label, text in answer.json().items()} == {
                    "Database": "OK",
                    **dict.fromkeys(OWN, "OK"),
                    "RaisingWithCursor": "unavailable: raised with an open cursor",
                }
        assert "gevent" not in server.output().partition("Booting worker")[2]
