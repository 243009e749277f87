"""Sites with a schema for each tenant, as with django-tenants: which schema checks see."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.db import connections
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceWarning
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.databases import database
from tests.support.postgres import Postgres, postgres_server

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A server."""
    with postgres_server(max_connections="12") as server:
        yield server


class Schema(HealthCheck):
    """Says which schema it sees."""

    def check_status(self) -> None:
        with connections["shop"].cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            [schema] = cursor.fetchone()
        raise ServiceWarning(schema)


@pytest.mark.parametrize(("threads", "schema"), [(4, "public"), (0, "berlin")])
def test_schema__of_checks(
    postgres: Postgres,
    add_database: Callable[..., None],
    mount: Mount,
    client: Client,
    settings: Settings,
    threads: int,
    schema: str,
) -> None:
    """Checks see the public schema, whichever tenant is asked; in the thread of the request that of its tenant."""
    pytest.importorskip("django_tenants")
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", *settings.INSTALLED_APPS]
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads}
    add_database("shop", **{**database(postgres, "shop"), "ENGINE": "django_tenants.postgresql_backend"})
    connections["shop"].cursor().execute("CREATE SCHEMA IF NOT EXISTS berlin")
    connections["shop"].set_schema("berlin")  # type: ignore[attr-defined]  # as its middleware does for a request
    mount(
        path(
            "health/",
            HealthCheckView.as_view(checks=[Schema, ("health_check.Database", {"alias": "shop"})]),
            name="health",
        )
    )
    assert client.get("/health/?format=json").json() == {"Schema": f"warning: {schema}", "Database(alias='shop')": "OK"}
