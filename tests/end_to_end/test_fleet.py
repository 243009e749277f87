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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import pytest

from tests.support.caches import CacheServer, memcached_server, redis_server
from tests.support.client import Answer, eventually, get
from tests.support.faces import moment
from tests.support.repetitions import long
from tests.support.servers import Server, gunicorn_of_host
from tests.support.site.checks import Noted, gaps, noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 1.0

NAMES = ("web-east", "web-west")

CHECKS = ["tests.support.site.checks.FleetFlip", "tests.support.site.checks.Counting", "health_check.Database"]
LABELS = {"FleetFlip", "Counting", "Database"}

CACHES: dict[str, Callable[[pathlib.Path], AbstractContextManager[CacheServer]]] = {
    "redis": redis_server,
    "memcached": memcached_server,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shown:
    """What a host shows of a check."""

    run: str
    """When the last run ended, as health+json has it."""
    good: bool
    """Whether the check was in order."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Host:
    """A host of the fleet."""

    name: str
    """Its name."""
    site: Site
    """Its part of the site, with its own database."""
    server: Server
    """Its web server."""

    def health(self, kind: str) -> Answer:
        """Ask for ``/health/``."""
        return get(f"{self.server.url}/health/", format=kind)

    def on_health(self) -> dict[str, Shown]:
        """Return what health+json shows."""
        checks = self.health("health+json").json()["checks"]
        return {label: Shown(run=check["time"], good=check["state"] == "ok") for label, (check,) in checks.items()}

    def on_metrics(self) -> dict[str, Shown]:
        """Return what the metrics show, having checked that there is one series of a kind for each check."""
        body = get(f"{self.server.url}/metrics").body
        assert "django_health_check_store_up 1.0" in body
        named = [line.partition("{")[0] for line in body.splitlines() if any(name in line for name in NAMES)]
        assert named == ["django_health_check_build_info"]
        statuses, runs = samples(body, "status"), samples(body, "last_run_timestamp_seconds")
        assert sorted(label for label, _ in statuses) == sorted(label for label, _ in runs) == sorted(LABELS)
        times = dict(runs)
        return {label: Shown(run=moment(times[label]), good=value == 1.0) for label, value in statuses}

    def on_json(self) -> dict[str, bool]:
        """Return what JSON shows, which has no times."""
        return {label: text == "OK" for label, text in self.health("json").json().items()}

    def other_hosts(self) -> str:
        """Return what the page shows of other hosts, without markup; empty where there are none."""
        _, _, section = self.health("html").body.partition('id="hosts"')
        _, _, others = section.partition("this host</span>")
        return html.unescape(re.sub("<[^>]*>", " ", others.partition("</table>")[0]))

    def runs(self, name: str) -> list[Noted]:
        """Return the runs of a check that took place here."""
        return noted_runs(self.site.folder, name)


def samples(body: str, metric: str) -> list[tuple[str, float]]:
    """Return the samples of a metric that has no label but the check's."""
    found = re.findall(rf'(?m)^django_health_check_{metric}{{check="(\w+)"}} (\S+)$', body)
    return [(label, float(value)) for label, value in found]


def prefix_of(name: str) -> list[str] | None:
    """Return what makes a program believe that the host has this name; None where that is not permitted."""
    if shutil.which("unshare") is None or shutil.which("hostname") is None:
        return None
    prefix = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]
    return prefix if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0 else None


@contextlib.contextmanager
def host(name: str, folder: pathlib.Path, cache: CacheServer, *, renamed: bool) -> Iterator[Host]:
    """Run a host of the fleet: one that has this name, or one that the store is told has it."""
    prefix: Sequence[str] | None = prefix_of(name) if renamed else []
    if prefix is None:
        pytest.skip("only root may give a program a host name of its own")
    store = "health_check.stores.cache.DjangoCacheStore"
    site = Site(
        folder=folder / name,
        checks=CHECKS,
        max_age=MAX_AGE,
        caches={"default": cache.configuration()},
        health_check={"SITE": "shop", "STORE": {"BACKEND": store, "OPTIONS": {} if renamed else {"host": name}}},
    )
    with gunicorn_of_host(prefix, site, "--workers=2", "--threads=1") as server:
        yield Host(name=name, site=site, server=server)


@pytest.fixture(params=["redis, hosts of different names", long("memcached, hosts named by the store's option")])
def fleet(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[tuple[Host, Host]]:
    """Two hosts that share a cache."""
    kind = request.param.partition(",")[0]
    renamed = "option" not in request.param
    with (
        CACHES[kind](tmp_path / kind) as cache,
        host(NAMES[0], tmp_path, cache, renamed=renamed) as east,
        host(NAMES[1], tmp_path, cache, renamed=renamed) as west,
    ):
        yield east, west


def test_fleet__shares_what_is_the_same_and_nothing_else(fleet: tuple[Host, Host]) -> None:
    """A fleet check runs once for all and shows the same everywhere; a host that is sick says so, and only that one."""
    east, west = fleet

    sights = Sights(fleet)
    eventually(lambda: sights.add() and sights.runs_shown_by_all() >= 3, what="three runs that all faces have shown")
    for one in fleet:
        assert (one.health("json").status, one.on_json()["Database"]) == (200, True)

    (east.site.folder / "db").rename(east.site.folder / "elsewhere")
    eventually(lambda: sights.add() and east.health("json").status == 500, what="the sick host to say so")
    eventually(
        lambda: "Database: error there, unavailable" in west.other_hosts(), what="the other host to show the sick one"
    )
    said = west.other_hosts()
    assert east.name in said
    assert west.name not in said
    assert west.name in east.other_hosts()
    assert "unavailable" not in east.other_hosts()
    runs = len(west.runs("Counting"))
    eventually(lambda: sights.add() and len(west.runs("Counting")) >= runs + 2, what="two more runs")
    assert not east.on_health()["Database"].good
    assert not east.on_metrics()["Database"].good
    assert (west.health("json").status, set(sights.good_of(west, "Database"))) == (200, {True})

    (east.site.folder / "elsewhere").rename(east.site.folder / "db")
    eventually(lambda: sights.add() and east.health("json").status == 200, what="the host to be well again")

    assert_once_for_all(fleet)
    assert sights.disagreements() == []
    assert sights.shared("FleetFlip")
    assert not sights.shared("Counting")
    assert not sights.shared("Database")
    for one in fleet:
        await_own_count(one)


def await_own_count(one: Host) -> None:
    """Wait until a host counts as many runs of a check as there were on it."""
    eventually(lambda: counted(one) == len(one.runs("Counting")), what="the host to count its own runs")


def counted(one: Host) -> float:
    """Return how many runs of its own check a host counts."""
    found = re.search(r'runs_total{check="Counting",outcome="ok"} (\S+)', get(f"{one.server.url}/metrics").body)
    return float(found[1]) if found is not None else -1.0


def assert_once_for_all(fleet: tuple[Host, Host]) -> None:
    """Check how often the checks were run: the fleet's once per max_age for all hosts, others so on each."""
    for several in [
        [*fleet[0].runs("FleetFlip"), *fleet[1].runs("FleetFlip")],
        *(one.runs("Counting") for one in fleet),
    ]:
        runs = sorted(several, key=lambda run: run.started)
        assert len(runs) <= (time.monotonic() - runs[0].started) / MAX_AGE + 1
        assert min(gaps(runs)) >= MAX_AGE
    assert all(one.runs("Counting") for one in fleet)


class Sights:
    """What the faces of all hosts showed of the runs."""

    def __init__(self, fleet: tuple[Host, Host]) -> None:
        self._fleet = fleet
        self._seen: dict[tuple[str, str], dict[str, set[bool]]] = {}
        """Whether the check was in order, by label and run, and by host and face."""

    def add(self) -> bool:
        """Look at every face of each host once; return True."""
        for one in self._fleet:
            before = one.on_health()
            said = one.on_json()
            after = one.on_health()
            self._note(one, "health+json", before)
            self._note(one, "health+json", after)
            self._note(one, "metrics", one.on_metrics())
            sure = {label: Shown(run=before[label].run, good=said[label]) for label in said}
            self._note(one, "json", {label: shown for label, shown in sure.items() if after[label].run == shown.run})
        return True

    def _note(self, one: Host, face: str, checks: dict[str, Shown]) -> None:
        assert set(checks) <= LABELS
        for label, shown in checks.items():
            self._seen.setdefault((label, shown.run), {}).setdefault(f"{one.name} {face}", set()).add(shown.good)

    def runs_shown_by_all(self) -> int:
        """Return how many runs of the fleet's check there were that every face of each host has shown."""
        return sum(len(seen) == 3 * len(self._fleet) for (label, _), seen in self._seen.items() if label == "FleetFlip")

    def disagreements(self) -> list[str]:
        """Return a line for each run of which faces or hosts show different things."""
        return [f"{key}: {seen}" for key, seen in self._seen.items() if len(set().union(*seen.values())) > 1]

    def shared(self, label: str) -> bool:
        """Tell whether any run of a check was shown by more than one host."""
        runs = [seen for (name, _), seen in self._seen.items() if name == label]
        return any(len({face.partition(" ")[0] for face in seen}) > 1 for seen in runs)

    def good_of(self, one: Host, label: str) -> list[bool]:
        """Return how a check of a host was found by its faces."""
        return [
            good
            for (name, _), seen in self._seen.items()
            for face, found in seen.items()
            for good in found
            if name == label and face.startswith(f"{one.name} ")
        ]
