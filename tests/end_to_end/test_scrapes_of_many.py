"""Scrapes of a thousand checks: the store stays up, and no counter is missing."""

from __future__ import annotations

import contextlib
import pathlib
import re
import time
from typing import Any

import pytest

from tests.support.caches import redis_server
from tests.support.client import get
from tests.support.repetitions import long, times
from tests.support.servers import site_under_gunicorn
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

NUMBER = 1000
MAX_AGE = 4.0

CACHE_STORE = {"BACKEND": "health_check.stores.cache.DjangoCacheStore", "OPTIONS": {"host": "web-1", "site": "shop"}}


PATIENT = {"WAIT": 60.0, "SCRAPE_WAIT": 60.0}
"""Settings with which a scrape waits for the store and for runs, on however slow a machine."""

BUDGET = {"timeout": 60}
"""And the policy of the checks, as no reader waits longer than they may take."""


@pytest.mark.parametrize("is_patient", [True, long(False)])
@pytest.mark.parametrize("store", ["sqlite", long("redis")])
def test_scrapes__of_a_thousand_checks__have_all_counters(tmp_path: pathlib.Path, store: str, is_patient: bool) -> None:
    """Each scrape, by whichever worker, finds the store up; no counter goes back, and all are there."""
    with contextlib.ExitStack() as stack:
        health_check: dict[str, Any] = {**PATIENT} if is_patient else {}
        caches = {}
        if store == "redis":
            cache = stack.enter_context(redis_server(tmp_path / "redis"))
            caches = {"default": cache.configuration()}
            health_check["STORE"] = CACHE_STORE
        budget = BUDGET if is_patient else {}
        checks = [["tests.support.site.checks.OneOfMany", {"number": number, **budget}] for number in range(NUMBER)]
        site = Site(folder=tmp_path / "site", checks=checks, max_age=MAX_AGE, caches=caches, health_check=health_check)
        server = stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=4"))
        most: dict[str, float] = {}
        scrapes = complete = 0
        while scrapes < times(16, least=5) or not complete:  # a machine without time to spare may leave some out
            start = time.monotonic()
            page = get(f"{server.url}/metrics", scope="health").body
            seconds = time.monotonic() - start
            assert re.search(r"^django_health_check_store_up 1\.0$", page, re.MULTILINE)
            found = re.findall(r"^django_health_check_runs_total\{(.*)\} (\S+)$", page, re.MULTILINE)
            counters = {labels: float(value) for labels, value in found}
            print(f"{store}: {len(counters)} counters in {len(page)} bytes, after {seconds:.2f} s")
            scrapes += 1
            complete += len(counters) == 4 * NUMBER
            assert [labels for labels, value in counters.items() if value < most.get(labels, 0)] == []
            most |= counters
            time.sleep(MAX_AGE / 4)  # some scrapes find fresh results, and others have to wait for runs
        assert sum(most.values()) > NUMBER
