"""What ``manage.py check`` says about readiness and liveness endpoints."""

from __future__ import annotations

import dataclasses

import pytest
from django.urls import include, path, re_path

from health_check.checks.database import Database
from health_check.contrib.psutil import Disk, Memory
from health_check.management.system_checks.endpoints import check_purposes
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine
from tests.support.messages import assert_said, ids, view

FLEET = (Fine, {"scope": "fleet"})

W006 = ["health_check.W006"]
W007 = ["health_check.W007"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("ready", {}, W006),
        ("kubernetes-readyz", {}, W006),
        ("readiness", {}, W006),
        ("shop:READY", {}, W006),
        ("ready", {"critical_service": False}, []),
        ("ready", {"scope": "host"}, []),
        ("health", {}, []),
        ("already", {}, []),
    ],
)
def test_w006__fleet_check_of_readiness(
    name: str, options: dict[str, object], expected: list[str], mount: Mount
) -> None:
    """A check that fails on all hosts at once is not to decide whether they get requests."""
    mount(path("probe/", view((Fine, {"scope": "fleet", **options})), name=name))
    assert ids(check_purposes()) == expected


class Ready(HealthCheckView):
    """Is marked as one for readiness."""

    readiness = True
    checks = (FLEET, (Broken, {"scope": "fleet"}), Memory)


def test_w006__marked(mount: Mount) -> None:
    """An endpoint that is marked, also by its class, is one for readiness; each of its checks is named."""
    mount(
        path("probe/", view(FLEET, readiness=True), name="probe"),
        path("other/", view(FLEET), name="other"),
        path("a/", Ready.as_view(), name="a"),
        path("b/", Ready.as_view(readiness=False), name="b"),
    )
    assert_said(check_purposes(), ("W006", "'probe': Fine "), ("W006", "'a': Fine "), ("W006", "'a': Broken "))


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (path("probe/", view(Database), name="live"), W007),
        (path("probe/", view(Database), name="livez"), W007),
        (path("probe/", view(Database), name="app-liveness"), W007),
        (path("probe/", view(Database), name="is_alive"), W007),
        (path("health/live/", view(Database), name="health-2"), W007),
        (path("health/live", view(Database)), W007),
        (re_path(r"^health/live/$", view(Database)), W007),
        (re_path(r"^health/live/?$", view(Database)), W007),
        (path("probe/", view(Database, liveness=True), name="probe"), W007),
        (path("", include(([path("", view(Database), name="livez")], "probes"))), W007),
        (path("probe/", view(Database), name="probe"), []),
        (path("delivery/", view(Database), name="delivery"), []),
        (path("olive/", view(Database), name="olive"), []),
        (path("lively/", view(Database), name="lively"), []),
        (path("live/status/", view(Database), name="status"), []),
        (path("health/", include("health_check.urls")), []),
    ],
)
def test_w007__what_counts_as_liveness(pattern: object, expected: list[str], mount: Mount) -> None:
    """An endpoint is one for liveness by its mark, its name or the last part of its path; ours needs nothing."""
    mount(pattern)
    assert ids(check_purposes()) == expected


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (["health_check.Mail", "health_check.Storage", "health_check.Disk"], "Mail, Storage, Disk"),
        ([("health_check.contrib.atlassian.PyPI", {"scope": "host"})], "PyPI"),
        ([("health_check.Disk", {"critical_service": False}), "health_check.Database", "health_check.Cache"], ""),
    ],
)
def test_w023__what_a_host_can_do_without(checks: list[object], expected: str, mount: Mount) -> None:
    """A readiness endpoint had better not depend on what most requests need not; on others that is no matter."""
    mount(path("ready/", view(*checks), name="ready"), path("health/", view(*checks), name="health"))
    words = [("W023", f"'ready' is for readiness, but depends on {expected}:")] if expected else []
    assert_said(check_purposes(), *words)


class OwnDatabase(Database):
    """Looks at a database in a way of its own."""


@dataclasses.dataclass
class OwnMemory(Memory):
    """Looks at memory in a way of its own."""


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (["health_check.Database", "health_check.Cache", "health_check.Mail"], "Database, Cache, Mail"),
        (["health_check.Storage", Disk, OwnDatabase], "Storage, Disk, OwnDatabase"),
        ([(Database, {"name": "Orders"}), Fine, "health_check.Memory", OwnMemory], "Orders"),
        ([Fine, "health_check.Memory", (Database, {"critical_service": False}), "no.such.Check"], ""),
    ],
)
def test_w007__what_a_restart_does_not_fix(checks: list[object], expected: str, mount: Mount) -> None:
    """Our own checks of what the site depends on, and those derived from them, are named together, by their labels."""
    mount(path("live/", view(*checks), name="live"))
    words = [("W007", f"'live' is for liveness, but depends on {expected}: ", "checks=[]")] if expected else []
    assert_said(check_purposes(), *words)


def test_w007__default_checks(mount: Mount) -> None:
    """A liveness endpoint whose checks were forgotten has the six of the package."""
    mount(path("live/", HealthCheckView.as_view(liveness=True), name="live"))
    assert_said(check_purposes(), ("W007", "Cache, Database, Disk, Mail, Storage:"))
