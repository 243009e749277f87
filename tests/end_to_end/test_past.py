"""Uptime and incidents: of the runs of all hosts, whichever worker of whichever host is asked."""

from __future__ import annotations

import contextlib
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.caches import redis_server
from tests.support.client import eventually
from tests.support.readiness import answers_of_all, kill_worker
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 0.4
LABELS = ("Counting", "FailingWhile")
OUTCOMES = ("ok", "warning", "error", "timeout")
SLACK_SECONDS = 2.0
"""How long it may take until each worker has shown what it began to show."""


def told(servers: Sequence[Server]) -> list[dict[str, Any]]:
    """Return what each worker of each server tells of the past."""
    return [answers[-1].json() for server in servers for answers in answers_of_all(server, "/past/").values()]


def await_runs(sites: Sequence[Site], number: int) -> float:
    """Wait until each check has run some more times on each host, and return the time."""
    before = {site.folder: len(noted_runs(site.folder, "FailingWhile")) for site in sites}
    eventually(
        lambda: all(len(noted_runs(folder, "FailingWhile")) >= runs + number for folder, runs in before.items()),
        what=f"{number} more runs",
    )
    return time.time()


def test_past__of_hosts(tmp_path: pathlib.Path) -> None:
    """Each worker of each host tells of the runs of all hosts, also of one killed; what all were in is one incident."""
    with redis_server(tmp_path / "redis") as redis, contextlib.ExitStack() as stack:
        store = "health_check.stores.cache.DjangoCacheStore"
        sites = [
            Site(
                folder=tmp_path / name,
                checks=[f"tests.support.site.checks.{label}" for label in LABELS],
                max_age=MAX_AGE,
                caches={"default": redis.configuration()},
                health_check={
                    "SITE": "shop",
                    "SCHEDULER": True,
                    "STORE": {"BACKEND": store, "OPTIONS": {"host": name}},
                },
            )
            for name in ("east", "west")
        ]
        servers = [stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=1")) for site in sites]
        for server in servers:
            answers_of_all(server, "/health/")
        await_runs(sites, 3)
        broken = time.time()
        for site in sites:
            (site.folder / "broken").touch()
        await_runs(sites, 3)
        kill_worker(servers[0])
        answers_of_all(servers[0], "/health/")
        await_runs(sites, 3)
        fixed = time.time()
        for site in sites:
            (site.folder / "broken").unlink()
        await_runs(sites, 3)
        past: dict[str, Any] = {}

        def all_agree() -> bool:
            first, *others = told(servers)
            past.update(first)
            noted = {label: sum(len(noted_runs(site.folder, label)) for site in sites) for label in LABELS}
            counted = {label: sum(first["day"][label][outcome] for outcome in OUTCOMES) for label in LABELS}
            lost = {label: noted[label] - counted[label] for label in LABELS}
            is_counted = all(0 <= number <= 3 for number in lost.values())  # cut off, or under way on a host
            return is_counted and all(other["incidents"] == first["incidents"] for other in others)

        eventually(all_agree, what="all workers to tell of all runs")
    assert past["day"].keys() == past["days"].keys() == set(LABELS)
    (incident,) = past["incidents"]
    assert incident["hosts"] == ["east", "west"]
    assert (incident["worst"], incident["message"]) == ("error", "unavailable: the file is there")
    assert broken <= incident["began"] <= broken + MAX_AGE + SLACK_SECONDS
    assert fixed <= incident["ended"] <= fixed + MAX_AGE + SLACK_SECONDS
    assert past["uptime"]["Counting"] == 1.0
    assert 0 < past["uptime"]["FailingWhile"] < 1
