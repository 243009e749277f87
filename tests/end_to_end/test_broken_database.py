"""With the database gone, the page is what still works."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.client import get
from tests.support.servers import site_under_gunicorn
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server


def test_atomic_requests__do_not_take_the_page_down_with_the_database(tmp_path: pathlib.Path) -> None:
    """Where every request is a transaction, health, liveness and metrics answer without a database."""
    site = Site(folder=tmp_path, checks=["health_check.Database", "health_check.Cache"], atomic_requests=True)
    with site_under_gunicorn(site) as server:
        (tmp_path / "db").rename(tmp_path / "elsewhere")
        assert get(f"{server.url}/").status == 500, "another page gets its transaction: this test tests nothing"

        answer = get(f"{server.url}/health/", format="json")
        assert answer.status == 500
        assert answer.json()["Cache"] == "OK"
        assert answer.json()["Database"].startswith("unavailable: cannot connect to the database")
        assert "cannot connect to the database" in get(f"{server.url}/health/").body
        assert get(f"{server.url}/health/live/").status == 200
        assert 'django_health_check_status{check="Database"} 0.0' in get(f"{server.url}/metrics").body
