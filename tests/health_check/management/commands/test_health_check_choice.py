"""``manage.py health_check``: some checks of all, here and from a server, and the list of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.urls import include, path

from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.commands import Ran, Run, Terminal, on
from tests.support.small_servers import serving_site

site = pytest.mark.usefixtures("site")


@site
@pytest.mark.parametrize("over_http", [False, True])
@pytest.mark.parametrize(
    ("endpoint", "labels", "code", "shown"),
    [
        ("health", ["Fine"], 0, {"Fine"}),
        ("health", ["Broken", "Fine"], 1, {"Broken", "Fine"}),
        ("health", ["Fine", "TwiceBroken"], 0, {"Fine", "TwiceBroken"}),
        ("health", ["TwiceBroken"], 1, {"TwiceBroken"}),  # alone it is what the exit code tells of
        ("ready", ["Alias(alias='default')"], 0, {"Orders"}),
        ("ready", ["Orders", "Alias(alias='default')"], 0, {"Orders"}),
    ],
)
def test_check__of_an_endpoint(
    endpoint: str, labels: list[str], code: int, shown: set[str], over_http: bool, run: Run
) -> None:
    """``--check`` means the same here and over HTTP: these checks, by their labels or former ones, and no others."""
    options = [f"--check={label}" for label in labels]
    with serving_site() as address:
        ran = run(endpoint, *([address] if over_http else ["--no-http"]), *options)
    assert (ran.code, ran.err) == (code, "")
    assert sorted(line.partition(" ")[0] for line in ran.out.splitlines()) == sorted(shown)


@site
def test_check__unknown_to_the_server(run: Run) -> None:
    """A check that the server does not have is wrong usage, in its own words; no other path is tried."""
    with serving_site() as address:
        ran = run("health", address, "--check", "Brokn")
    assert (ran.code, ran.out) == (2, "")
    assert "There is no check 'Brokn' at this endpoint. Did you mean 'Broken'?" in ran.err


@site
def test_check__of_all_endpoints(run: Run) -> None:
    """Without an endpoint, each check that is asked for is run once, wherever it is declared."""
    ran = run("--check", "Fine", "--check", "Alias(alias='default')")
    assert ran == Ran(0, "Fine                     ... OK\nOrders                   ... OK\n", "")
    assert run("--check", "Broken").code == 1


def test_check__runs_no_other(run: Run, mount: Mount, counting: Any) -> None:
    """A check that was not asked for does not run; with ``--list`` none does."""
    mount(path("health/", HealthCheckView.as_view(checks=[counting, Fine]), name="health"))
    assert run("--check", "Fine").code == 0
    assert run("--list").code == 0
    assert counting.runs == 0


@site
def test_list__labels_and_endpoints(run: Run, terminal: Terminal) -> None:
    """``--list`` is a label a line for scripts, and on a terminal a table that says what pins each."""
    labels = ["Fine", "Broken", "TwiceBroken", "Orders", "Shaky", "AsyncFine"]
    assert run("--list").out.splitlines() == labels
    assert json.loads(run("ready", "--list", "--format", "json").out) == ["Fine", "Orders"]
    assert on(terminal, "--list") == [
        "CHECK        PINNED  TIMEOUT  MAX AGE  ENDPOINTS",
        "Fine         no      5 s      0 s      health, ready",
        "Broken       no      5 s      0 s      health",
        "TwiceBroken  no      5 s      0 s      health (not critical)",
        "Orders       yes     5 s      0 s      ready",
        "Shaky        no      5 s      0 s      warn",
        "AsyncFine    no      5 s      0 s      shop",
        "",
        "A label that is not pinned comes from the class and the options, and may change",
        "when a check is added before it. The option `name` pins it. -v 2 shows how.",
    ]


def test_list__breaks_no_name(mount: Mount, terminal: Terminal) -> None:
    """The name of an endpoint that is longer than its column is whole all the same, to be copied."""
    mount(path("", include("health_check.urls.all")))
    assert [line.split()[-1] for line in on(terminal, "--list")[2:4]] == [
        "health_check:health_check_home,",
        "health_check:health_check_ready",
    ]


@site
def test_list__how_to_pin(run: Run) -> None:
    """``-v 2`` and ``json-full`` show the entry that pins each label."""
    entry = "('tests.support.checks.Fine', {'name': 'Fine'})"
    assert f"  pin it: {entry}" in run("--list", "-v", "2").out.splitlines()
    fine, orders = json.loads(run("ready", "--list", "--format", "json-full").out)
    assert (fine["label"], fine["pinned"], fine["entry"]) == ("Fine", False, entry)
    assert (orders["pinned"], orders["aliases"]) == (True, ["Alias(alias='default')"])
    assert (orders["endpoints"], orders["optional_on"]) == (["ready"], [])
    assert (orders["timeout"], orders["max_age"]) == (5.0, 0.0)
