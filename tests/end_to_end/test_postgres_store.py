"""Records in a Django cache that is kept in PostgreSQL."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.client import eventually, get
from tests.support.databases import DatabaseSite, await_sessions, database
from tests.support.postgres import postgres_server
from tests.support.servers import manage, site_under_gunicorn

pytestmark = pytest.mark.server

CACHE = {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_table"}


def test_cache_in_a_database__is_shared_again_after_a_restart(tmp_path: pathlib.Path) -> None:
    """The store keeps no connection, so that it finds its way back to a server that was restarted."""
    with postgres_server() as postgres:
        site = DatabaseSite(
            folder=tmp_path,
            checks=["tests.support.site.checks.Counting"],
            max_age=0.5,
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
