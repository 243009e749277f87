"""Sites on PostgreSQL: their settings, and what tests know of their connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.support.client import eventually
from tests.support.postgres import DATABASE, USER, Postgres
from tests.support.site.configuration import Site

PREFIX = "site-"
"""How the names begin by which the server knows a site's connections; then comes the alias."""

KINDS: Mapping[str, Mapping[str, object]] = {
    "default": {},
    "kept": {"CONN_MAX_AGE": None},
    "checked": {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True},
}
"""Ways to keep connections, by the alias of a database that has them."""

POOLS: Mapping[str, Mapping[str, object]] = {
    "pooled": {"OPTIONS": {"pool": {"min_size": 1, "max_size": 2}}},
    "pooled_checked": {"OPTIONS": {"pool": {"min_size": 1, "max_size": 2}}, "CONN_HEALTH_CHECKS": True},
}
"""Ways to pool them."""

SECONDS_TO_GO = 10.0
"""How long it may take after the last answer until all connections are closed or given back, and the server knows."""


LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"health_check": {"handlers": ["console"], "level": "INFO"}},
}


def database_site(
    *, databases: Mapping[str, Mapping[str, object]], routers: Sequence[str] = (), **options: Any
) -> Site:
    """Return a site on databases of the test's, with views that use them.

    Args:
        databases: ``DATABASES``.
        routers: ``DATABASE_ROUTERS``.
        options: Whatever else there is to say of a site.
    """
    settings = {"DATABASES": databases, "DATABASE_ROUTERS": list(routers), "LOGGING": LOGGING}
    return Site(**options, settings={**settings, "ROOT_URLCONF": "tests.support.site.database_urls"})


def database(postgres: Postgres, alias: str, **more: Any) -> dict[str, object]:
    """Return what stands for a database in ``DATABASES``: its connections tell its alias."""
    options = {"application_name": PREFIX + alias, **more.pop("OPTIONS", {})}
    return postgres.configuration(OPTIONS=options, **more)


def make_table(postgres: Postgres) -> None:
    """Make the table of the model that the site's checks use, with some rows."""
    columns = "id bigint PRIMARY KEY, app text, name text, applied timestamptz"
    postgres.query(f"CREATE TABLE django_migrations ({columns})", database=DATABASE)
    postgres.query(f"ALTER TABLE django_migrations OWNER TO {USER}", database=DATABASE)
    rows = "SELECT n, 'app', 'name', now() FROM generate_series(1, 300) AS n"
    postgres.query(f"INSERT INTO django_migrations {rows}", database=DATABASE)


def await_sessions(postgres: Postgres, aliases: Iterable[str]) -> None:
    """Wait until the site has these sessions, and no others."""
    expected = sorted(PREFIX + alias for alias in aliases)
    eventually(lambda: postgres.sessions(PREFIX) == expected, what=f"the sessions {expected}", seconds=SECONDS_TO_GO)
