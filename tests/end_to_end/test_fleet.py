"""A fleet: hosts that share a cache run once for all what is the same for all, and each the rest for itself."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import pathlib
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest

from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.client import eventually, get
from tests.support.faces import moment
from tests.support.repetitions import long
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import gaps, noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 1.0

NAMES = ("web-east", "web-west")
CHECKS = ["tests.support.site.checks.FleetFlip", "tests.support.site.checks.Counting", "health_check.Database"]
LABELS = {"FleetFlip", "Counting", "Database"}
CACHES = {"redis": redis_server, "memcached": memcached_server}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the fleet."""

    name: str
    """Its name."""
    site: Site
    """Its part of the site, with its own database."""
    server: Server
    """Its web server."""

    def health(self) -> tuple[int, dict[str, tuple[str, bool]]]:
        """Return the status, when the last run of each check ended, and whether it was ok."""
        answer = get(f"{self.server.url}/health/", format="health+json")
        checks = {label: check for label, (check,) in answer.json()["checks"].items()}
        return answer.status, {label: (check["time"], check["state"] == "ok") for label, check in checks.items()}

    def metrics(self) -> dict[str, tuple[str, bool]]:
        """Return the same of the metrics, having checked that there is one series of a kind for each check."""
        body = get(f"{self.server.url}/metrics").body
        assert "django_health_check_store_up 1.0" in body
        named = [line.partition("{")[0] for line in body.splitlines() if any(name in line for name in NAMES)]
        assert named == ["django_health_check_build_info"]
        statuses, runs = samples(body, "status"), samples(body, "last_run_timestamp_seconds")
        assert sorted(label for label, _ in statuses) == sorted(label for label, _ in runs) == sorted(LABELS)
        times = dict(runs)
        return {label: (moment(times[label]), value == 1.0) for label, value in statuses}

    def other_hosts(self) -> str:
        """Return what the page shows of other hosts, without markup; empty where there are none."""
        _, _, section = get(f"{self.server.url}/health/", format="html").body.partition('id="hosts"')
        _, _, others = section.partition("this host</span>")
        return html.unescape(re.sub("<[^>]*>", " ", others.partition("</table>")[0]))

    def counts_its_own_runs(self) -> bool:
        """Tell whether it counts as many runs of its own check as there were on it."""
        body = get(f"{self.server.url}/metrics").body
        found = re.search(r'runs_total{check="Counting",outcome="ok"} (\S+)', body)
        return found is not None and float(found[1]) == len(noted_runs(self.site.folder, "Counting"))


def samples(body: str, metric: str) -> list[tuple[str, float]]:
    """Return the samples of a metric that has no label but the check's."""
    found = re.findall(rf'(?m)^django_health_check_{metric}{{check="(\w+)"}} (\S+)$', body)
    return [(label, float(value)) for label, value in found]


def prefix_of(name: str) -> Sequence[str]:
    """Return what makes a program believe that the host has this name."""
    prefix = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("only root may give a program a host name of its own")
    return prefix


@contextlib.contextmanager
def host(name: str, folder: pathlib.Path, cache: CacheServer, *, renamed: bool) -> Iterator[Host]:
    """Run a host of the fleet: one that has this name, or one that the store is told has it."""
    options = {} if renamed else {"host": name}
    store = {"BACKEND": "health_check.stores.cache.DjangoCacheStore", "OPTIONS": options}
    site = Site(
        folder=folder / name,
        checks=CHECKS,
        max_age=MAX_AGE,
        caches={"default": cache.configuration()},
        health_check={"SITE": "shop", "STORE": store},
    )
    prefix = prefix_of(name) if renamed else []
    with site_under_gunicorn(site, "--workers=2", "--threads=1", wrapper=prefix) as server:
        yield Host(name=name, site=site, server=server)


Sights = dict[tuple[str, str], dict[str, set[bool]]]
"""Whether a check was ok, by label and run, and by the host that showed it."""


def look(fleet: Sequence[Host], sights: Sights) -> bool:
    """Look at each host once, and assert that no run was shown otherwise before; return True."""
    for one in fleet:
        for shown in (one.health()[1], one.metrics()):
            assert shown.keys() == LABELS
            for label, (run, good) in shown.items():
                sights[label, run][one.name].add(good)
                assert len(set().union(*sights[label, run].values())) == 1, (label, run, sights[label, run])
    return True


def shared(label: str, sights: Sights) -> int:
    """Return how many runs of a check were shown by more than one host."""
    return sum(len(seen) > 1 for (name, _), seen in sights.items() if name == label)


@pytest.mark.parametrize(("kind", "renamed"), [("redis", True), long("memcached", False)])
def test_fleet__shares_what_is_the_same_and_nothing_else(tmp_path: pathlib.Path, kind: str, renamed: bool) -> None:
    """A fleet check runs once for all and shows the same everywhere; a host that is sick says so, and only that one."""
    sights: Sights = defaultdict(lambda: defaultdict(set))
    with (
        CACHES[kind](tmp_path / kind) as cache,
        host(NAMES[0], tmp_path, cache, renamed=renamed) as east,
        host(NAMES[1], tmp_path, cache, renamed=renamed) as west,
    ):
        fleet = (east, west)
        eventually(lambda: look(fleet, sights) and shared("FleetFlip", sights) >= 3, what="runs that both have shown")
        assert [one.health()[0] for one in fleet] == [200, 200]

        (east.site.folder / "db").rename(east.site.folder / "elsewhere")
        eventually(lambda: look(fleet, sights) and east.health()[0] == 500, what="the sick host to say so")
        text = "Database: error there, unavailable"
        eventually(lambda: text in west.other_hosts(), what="the other host to show the sick one")
        assert east.name in west.other_hosts()
        assert west.name not in west.other_hosts()
        assert west.name in east.other_hosts()
        assert "unavailable" not in east.other_hosts()
        look(fleet, sights)
        assert not east.metrics()["Database"][1]
        assert (west.health()[0], west.metrics()["Database"][1]) == (200, True)

        (east.site.folder / "elsewhere").rename(east.site.folder / "db")
        eventually(lambda: look(fleet, sights) and east.health()[0] == 200, what="the host to be well again")
        assert shared("Counting", sights) == shared("Database", sights) == 0
        folders = [one.site.folder for one in fleet]
        for label, several in (("FleetFlip", folders), ("Counting", folders[:1]), ("Counting", folders[1:])):
            runs = sorted((r for folder in several for r in noted_runs(folder, label)), key=lambda run: run.started)
            assert 0 < len(runs) <= (time.monotonic() - runs[0].started) / MAX_AGE + 1
            assert min(gaps(runs)) >= MAX_AGE
        for one in fleet:
            eventually(one.counts_its_own_runs, what="the host to count its own runs")
