"""The plain site on an event-loop server."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.client import get
from tests.support.servers import uvicorn

pytestmark = pytest.mark.server


def test_uvicorn__serves_the_plain_site(tmp_path: pathlib.Path) -> None:
    """Under ASGI the page and the metrics show the same checks in the same states."""
    folder = tmp_path / "site"
    environment = {"TEST_SITE_FOLDER": str(folder), "TEST_SITE_SECRET_KEY": "tests"}
    with uvicorn(tmp_path, environment) as server:
        (folder / "prices.csv").unlink()
        health = get(f"{server.url}/health/", format="json")
        metrics = get(f"{server.url}/metrics").body
        assert health.json()["PriceList"] == "unavailable: the price list is missing: the shop cannot sell anything"
        assert health.status == 500
        for label, text in health.json().items():
            assert f'django_health_check_status{{check="{label}"}} {float(text == "OK")}' in metrics
        assert health.json()["Database"] == "OK"
        assert get(f"{server.url}/health/").body.startswith("<!doctype html>")
        assert get(f"{server.url}/health/live/").status == 200
