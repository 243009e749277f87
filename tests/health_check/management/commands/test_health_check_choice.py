"""``manage.py health_check``: some checks of all, here and from a server, and the list of them."""

from __future__ import annotations

import json

import pytest
from django.urls import include, path

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Alias, Fine, TwiceBroken
from tests.support.commands import Ran, Run, Terminal, on
from tests.support.small_servers import serving_site


class Database(Fine):
    """Has the name of another."""


class Counting(HealthCheck):
    """Counts its runs."""

    runs = 0

    def check_status(self) -> None:
        Counting.runs += 1


class CustomHealthCheck(HealthCheck):
    """Fails."""

    def check_status(self) -> None:
        raise ServiceUnavailable("Something went wrong!")


@pytest.fixture
def _site(mount: Mount) -> None:
    """A site with an endpoint that fails and one that does not; one check has a former label, one is not critical."""
    renamed, optional = (Alias, {"name": "Orders", "aliases": ["Alias(alias='default')"]}), {"critical_service": False}
    mount(
        path(
            "health/",
            HealthCheckView.as_view(checks=[Database, CustomHealthCheck, (TwiceBroken, optional)]),
            name="health",
        ),
        path("ready/", HealthCheckView.as_view(checks=[Database, renamed]), name="ready"),
        path("live/", HealthCheckView.as_view(checks=[]), name="live"),
    )


site = pytest.mark.usefixtures("_site")


@site
@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize(
    ("endpoint", "labels", "code", "lines"),
    [
        ("health", ["Database"], 0, ["Database                 ... OK"]),
        ("health", ["CustomHealthCheck", "Database"], 1, ["Database", "CustomHealthCheck"]),
        ("health", ["Database", "TwiceBroken"], 0, ["Database", "TwiceBroken"]),
        ("health", ["TwiceBroken"], 1, ["TwiceBroken"]),  # alone it is what the exit code tells of
        ("ready", ["Alias(alias='default')"], 0, ["Orders                   ... OK"]),
        ("ready", ["Orders", "Alias(alias='default')"], 0, ["Orders"]),
    ],
)
def test_check__of_an_endpoint(
    endpoint: str, labels: list[str], code: int, lines: list[str], over_http: bool, run: Run
) -> None:
    """``--check`` means the same here and over HTTP: these checks, by their labels or former ones, and no others."""
    options = [f"--check={label}" for label in labels]
    with serving_site() as address:
        ran = run(endpoint, *([address] if over_http else ["--no-http"]), *options)
    assert (ran.code, ran.err) == (code, "")
    found = ran.out.splitlines()
    assert len(found) == len(lines)
    assert sorted(line[: len(start)] for line, start in zip(sorted(found), sorted(lines), strict=True)) == sorted(lines)


@site
def test_check__unknown_to_the_server(run: Run) -> None:
    """A check that the server does not have is wrong usage, in its own words; no other path is tried."""
    with serving_site() as address:
        ran = run("health", address, "--check", "Databse")
    assert (ran.code, ran.out) == (2, "")
    assert "There is no check 'Databse' at this endpoint. Did you mean 'Database'?" in ran.err


@site
def test_check__of_all_endpoints(run: Run) -> None:
    """Without an endpoint, each check that is asked for is run once, wherever it is declared."""
    ran = run("--check", "Database", "--check", "Alias(alias='default')")
    assert ran == Ran(0, "Database                 ... OK\nOrders                   ... OK\n", "")
    assert run("--check", "CustomHealthCheck").code == 1


def test_check__runs_no_other(run: Run, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that was not asked for does not run; with ``--list`` none does."""
    mount(path("health/", HealthCheckView.as_view(checks=[Counting, Fine]), name="health"))
    monkeypatch.setattr(Counting, "runs", 0)
    assert run("--check", "Fine").code == 0
    assert run("--list").code == 0
    assert Counting.runs == 0


@site
def test_list__labels_and_endpoints(run: Run, terminal: Terminal) -> None:
    """``--list`` is a label a line for scripts, and on a terminal a table that says what pins each."""
    assert run("--list").out.splitlines() == ["Database", "CustomHealthCheck", "TwiceBroken", "Orders"]
    assert json.loads(run("ready", "--list", "--format", "json").out) == ["Database", "Orders"]
    assert on(terminal, "--list") == [
        "CHECK              PINNED  TIMEOUT  MAX AGE  ENDPOINTS",
        "Database           no      5 s      0 s      health, ready",
        "CustomHealthCheck  no      5 s      0 s      health",
        "TwiceBroken        no      5 s      0 s      health (not critical)",
        "Orders             yes     5 s      0 s      ready",
        "",
        "A label that is not pinned comes from the class and the options, and may change",
        "when a check is added before it. The option `name` pins it. -v 2 shows how.",
    ]


def test_list__breaks_no_name(mount: Mount, terminal: Terminal) -> None:
    """The name of an endpoint that is longer than its column is whole all the same, to be copied."""
    mount(path("", include("health_check.urls.all")))
    database = on(terminal, "--list")[2:4]
    assert [line.split()[-1] for line in database] == [
        "health_check:health_check_home,",
        "health_check:health_check_ready",
    ]


@site
def test_list__how_to_pin(run: Run) -> None:
    """``-v 2`` and ``json-full`` show the entry that pins each label."""
    entry = f"('{__name__}.Database', {{'name': 'Database'}})"
    assert f"  pin it: {entry}" in run("--list", "-v", "2").out.splitlines()
    database, orders = json.loads(run("ready", "--list", "--format", "json-full").out)
    assert (database["label"], database["pinned"], database["entry"]) == ("Database", False, entry)
    assert (orders["pinned"], orders["aliases"]) == (True, ["Alias(alias='default')"])
    assert (orders["endpoints"], orders["optional_on"]) == (["ready"], [])
    assert (orders["timeout"], orders["max_age"]) == (5.0, 0.0)
