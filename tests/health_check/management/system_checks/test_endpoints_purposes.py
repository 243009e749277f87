"""What ``manage.py check`` says about readiness and liveness endpoints."""

from __future__ import annotations

import dataclasses

import pytest
from django.urls import include, path, re_path

from health_check.checks.database import Database
from health_check.contrib.psutil import Disk, Memory
from health_check.management.system_checks import check_purposes
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Broken, Fine
from tests.support.messages import ids, view

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


def test_w006__marked(mount: Mount) -> None:
    """An endpoint that is marked is one for readiness, whatever its name; its check is named."""
    mount(path("probe/", view(FLEET, readiness=True), name="probe"), path("other/", view(FLEET), name="other"))
    messages = check_purposes()
    assert ids(messages) == W006
    assert "Health endpoint 'probe': Fine " in messages[0].msg


def test_w006__marked_by_its_class(mount: Mount) -> None:
    """The mark of a class is as good as that of ``as_view``, which goes before it."""

    class Ready(HealthCheckView):
        readiness = True
        checks = (FLEET,)

    mount(path("a/", Ready.as_view(), name="a"), path("b/", Ready.as_view(readiness=False), name="b"))
    assert [message.msg.partition(":")[0] for message in check_purposes()] == ["Health endpoint 'a'"]


def test_w006__each_check(mount: Mount) -> None:
    """Each such check of an endpoint is told of."""
    mount(path("ready/", view(FLEET, (Broken, {"scope": "fleet"}), Memory)))
    assert ids(check_purposes()) == W006 * 2


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
    ],
)
def test_w007__what_counts_as_liveness(pattern: object, expected: list[str], mount: Mount) -> None:
    """An endpoint is one for liveness by its mark, its name or the last part of its path."""
    mount(pattern)
    assert ids(check_purposes()) == expected


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        (["health_check.Mail", "health_check.Storage", "health_check.Disk"], "depends on Mail, Storage, Disk:"),
        ([("health_check.contrib.atlassian.PyPI", {"scope": "host"})], "depends on PyPI:"),
        ([("health_check.Disk", {"critical_service": False}), "health_check.Database", "health_check.Cache"], ""),
    ],
)
def test_w023__what_a_host_can_do_without(checks: list[object], expected: str, mount: Mount) -> None:
    """A readiness endpoint had better not depend on what most requests need not; on others that is no matter."""
    mount(path("ready/", view(*checks), name="ready"), path("health/", view(*checks), name="health"))
    messages = check_purposes()
    assert ids(messages) == (["health_check.W023"] if expected else [])
    assert all(f"'ready' is for readiness, but {expected}" in message.msg for message in messages)


class OwnDatabase(Database):
    """Looks at a database in a way of its own."""


@dataclasses.dataclass
class OwnMemory(Memory):
    """Looks at memory in a way of its own."""


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ("health_check.Database", W007),
        ("health_check.Cache", W007),
        ("health_check.Mail", W007),
        ("health_check.Storage", W007),
        ("health_check.Disk", W007),
        (OwnDatabase, W007),
        ((Database, {"name": "Quite something else"}), W007),
        ("health_check.Memory", []),
        (OwnMemory, []),
        (Fine, []),
        ((Database, {"critical_service": False}), []),
        ("no.such.Check", []),
    ],
)
def test_w007__what_a_restart_does_not_mend(check: object, expected: list[str], mount: Mount) -> None:
    """Our own checks of what the site depends on are told of where they count, and those derived from them."""
    mount(path("live/", view(check), name="live"))
    assert ids(check_purposes()) == expected


def test_w007__one_message_an_endpoint(mount: Mount) -> None:
    """The checks of an endpoint are named together, by their labels, with those that are in order left out."""
    mount(path("live/", view((Database, {"name": "Orders"}), Fine, Disk), name="live"))
    messages = check_purposes()
    assert ids(messages) == W007
    assert "'live' is for liveness, but depends on Orders, Disk: " in messages[0].msg
    assert "checks=[]" in str(messages[0].hint)


def test_w007__default_checks(mount: Mount) -> None:
    """A liveness endpoint whose checks were forgotten has the six of the package."""
    mount(path("live/", HealthCheckView.as_view(liveness=True), name="live"))
    messages = check_purposes()
    assert ids(messages) == W007
    assert "Cache, Database, Disk, Mail, Storage:" in messages[0].msg


def test_w007__not_for_our_own_urls(mount: Mount) -> None:
    """The liveness endpoint that the package mounts is as it should be."""
    mount(path("health/", include("health_check.urls")))
    assert check_purposes() == []
