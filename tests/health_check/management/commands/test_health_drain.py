"""``manage.py health_drain``."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Iterator

import pytest
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.management.commands import health_drain
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.commands import Ran, Run
from tests.support.draining import DRAINED, Host

COMMAND = "health_drain"

SQLITE = "health_check.stores.sqlite.SQLiteStore"
CACHE = "health_check.stores.cache.DjangoCacheStore"


@pytest.fixture
def _site(mount: Mount) -> None:
    """A site with two readiness endpoints."""
    view = HealthCheckView.as_view
    mount(
        path("ready/", view(checks=[Fine], readiness=True), name="ready"),
        path("up/", view(checks=[], readiness=True)),
        path("live/", view(checks=[], liveness=True), name="live"),
    )


@pytest.fixture
def file(tmp_path: pathlib.Path, settings: Settings) -> pathlib.Path:
    """The file that a site's processes share, as outside a test suite."""
    path_ = tmp_path / "health.sqlite3"
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": SQLITE, "OPTIONS": {"path": path_}}, "MAX_AGE": 10}
    return path_


@pytest.fixture
def host(file: pathlib.Path) -> Iterator[Host]:
    """The other processes of the host."""
    host = Host(file)
    yield host
    host.close()


site = pytest.mark.usefixtures("_site")


@site
def test_drain__and_undo(run: Run, host: Host) -> None:
    """Each says what it did, and where the records are, unless less is wanted; what it did is in them."""
    assert run("--status").code == 0
    assert host.in_file() is None
    where = f"Records: {host.file}\n"
    drained = "This host is drained: ready, unnamed-1 will answer 503 within a second.\n"
    assert Client().get("/ready/").status_code == 200
    assert run() == Ran(0, drained, where)
    assert host.in_file() == 1
    assert Client().get("/ready/").status_code == 503
    assert run("-v", "2") == Ran(0, drained, where)
    assert run("-v", "0") == Ran(0, drained, "")
    assert run("--status") == Ran(1, "This host is drained.\n", where)
    assert run("--undo") == Ran(0, "This host is no longer drained.\n", where)
    assert host.in_file() == 0
    assert run("--status") == Ran(0, "This host is not drained.\n", where)
    assert Client().get("/ready/").status_code == 200


@site
def test_records__that_no_server_uses(
    run: Run, file: pathlib.Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It warns, as a server that does run has other records: those of another user, or of a moment long ago."""
    assert Client().get("/ready/").status_code == 200
    assert [run(option).err.count("Warning: ") for option in ("--status", "--wait=0", "--undo")] == [0, 0, 0]
    monkeypatch.setattr("health_check.stores.client.StoreClient.now", lambda store_client: time.time() + 61)
    assert "Warning: no server has run a check with these records for a minute" in run().err
    monkeypatch.undo()
    others = {"BACKEND": SQLITE, "OPTIONS": {"path": file.with_name("other.sqlite3")}}
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "STORE": others}
    warned = run()
    assert (warned.code, health_drain.UNUSED in warned.err.splitlines()) == (0, True)
    assert health_drain.UNUSED in run("--status", "-v", "0").err
    assert health_drain.UNUSED not in run("--undo").err


@site
@pytest.mark.usefixtures("host")
def test_wait__after_it_was_said(run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The command drains at once, says so, and only then waits for as long as it is told."""
    slept: list[tuple[float, list[str]]] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: slept.append((seconds, list(caplog.messages))))
    assert run("--wait", "2.5").code == 0
    assert slept == [(2.5, [DRAINED])]


@site
@pytest.mark.parametrize(
    "arguments",
    [
        *(["--wait", value] for value in ("-1", "soon", "inf", "nan")),
        *(["--wait"], ["--undo", "--status"], ["--undo", "--wait", "3"], ["--status", "--wait", "3"], ["ready"]),
    ],
)
def test_arguments__that_cannot_be_used(arguments: list[str], run: Run, host: Host) -> None:
    """Wrong usage is exit code 2, and drains nothing."""
    ran = run(*arguments)
    assert ran.code == 2
    assert "usage: " in ran.err
    assert not host.file.exists()


@pytest.mark.parametrize("checks", [[Fine], []])
def test_drain__nothing_to_drain(checks: list[object], run: Run, host: Host, mount: Mount) -> None:
    """Without a readiness endpoint nothing is drained, that one to be mounted later might find itself so."""
    mount(
        path("health/", HealthCheckView.as_view(checks=checks), name="health"),
        path("ready/", HealthCheckView.as_view(checks=checks, readiness=False), name="ready"),
    )
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert "HealthCheckView.as_view(readiness=True)" in ran.err
    assert host.in_file() is None
    assert run("--undo").code == 0
    assert run("--status").code == 0


def test_drain__by_name(run: Run, mount: Mount) -> None:
    """An endpoint whose name or path says that it is for readiness is drained, too."""
    mount(path("app/ready/", HealthCheckView.as_view(checks=[Fine]), name="app"))
    assert run().out == "This host is drained: app will answer 503 within a second.\n"
    assert Client().get("/app/ready/").status_code == 503


@pytest.mark.parametrize("urlconf", ["tests.support.site.broken_urls", "no.such.urls"])
def test_drain__site_that_is_broken(urlconf: str, run: Run, host: Host, settings: Settings) -> None:
    """A URLconf that cannot be imported does not keep its host in service."""
    settings.ROOT_URLCONF = urlconf
    ran = run()
    assert (ran.code, host.in_file()) == (0, 1)
    assert ran.out.startswith("This host is drained: its readiness endpoints will answer 503")
    assert run("--status").code == 1
    assert run("--undo").code == 0


@site
@pytest.mark.parametrize("what", [[], ["--undo"], ["--status"]])
def test_store__that_cannot_be_used(
    what: list[str], run: Run, host: Host, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the servers cannot be told, or asked, that is exit code 2, with the reason."""
    monkeypatch.setattr(health_drain, "TRY_SECONDS", 0.5)
    host.file.mkdir()
    ran = run(*what)
    assert (ran.code, ran.out) == (2, "")
    kind = "It cannot be known whether this host is drained" if what == ["--status"] else "The servers of this host"
    problem = ran.err.splitlines()[-1]
    assert problem.startswith(f"CommandError: {kind}")
    assert f"{host.file} is a folder" in problem
    assert "Traceback" not in ran.err
    assert DRAINED not in caplog.messages


@site
def test_store__that_answers_in_the_end(run: Run, host: Host) -> None:
    """A store that is locked for longer than answers wait for it is told all the same."""
    with host.locked_file(1.0):
        ran = run()
    assert (ran.code, host.in_file()) == (0, 1)


@site
@pytest.mark.parametrize("store", [{"BACKEND": "health_check.stores.memory.MemoryStore"}, {"BACKEND": CACHE}])
def test_store__that_no_server_sees(
    store: object, run: Run, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where each process has records of its own, the command cannot do anything, and says so."""
    monkeypatch.setattr(health_drain, "in_test_environment", lambda: False)
    settings.HEALTH_CHECK = {"STORE": store}
    for what in ([], ["--undo"], ["--status"]):
        ran = run(*what)
        assert (ran.code, ran.out) == (2, "")
        assert "The servers of this host cannot be notified" in ran.err


@site
def test_drain__in_a_test_suite(run: Run) -> None:
    """Users may test that their endpoints do what they should."""
    assert Client().get("/ready/").status_code == 200
    assert run().code == 0
    assert Client().get("/ready/").status_code == 503
    assert run("--status").code == 1
