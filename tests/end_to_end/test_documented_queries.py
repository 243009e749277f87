"""The queries of the documentation, asked of a real Prometheus that scrapes a real site."""

from __future__ import annotations

import pathlib
import re

import pytest

from tests.support.client import eventually
from tests.support.scraping import prometheus, query
from tests.support.servers import ROOT, site_under_gunicorn
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

EMPTY_IN_ORDER = ("absent(", "(django_health_check_store_up)", "3 * max by", "> 0.8", "min_over_time", "{scope=")
"""What the queries have that find nothing unless something else is wrong."""


def documented() -> list[str]:
    """Return the queries: each begins on a line of its own, and goes on where the next is indented."""
    page = (ROOT / "docs" / "reference" / "prometheus.md").read_text()
    lines = [line for block in re.findall(r"```promql\n(.*?)```", page, re.DOTALL) for line in block.splitlines()]
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return re.sub(r"\n\s+", " ", text).splitlines()


def test_queries__are_understood_and_find_what_they_say(tmp_path: pathlib.Path) -> None:
    """Prometheus takes every query, and those that tell of failures and times find those of a failing check."""
    site = Site(
        folder=tmp_path / "site", checks=["tests.support.checks.Broken", "tests.support.checks.Fine"], max_age=0.5
    )
    with site_under_gunicorn(site) as server, prometheus(tmp_path / "prometheus", server) as scraper:
        runs = 'rate(django_health_check_runs_total{check="Broken",outcome="error"}[1m]) > 0'
        eventually(lambda: query(scraper, runs), what="the runs to be counted")
        found = {text: query(scraper, text) for text in documented()}
    assert len(found) > 10
    empty = {text for text, result in found.items() if not result}
    assert empty == {text for text in found if any(part in text for part in EMPTY_IN_ORDER)}
