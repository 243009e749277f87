"""Pushing to a Pushgateway, and what is said where that fails."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator

import pytest
from pytest_django import Settings

from health_check.monitor import runtime
from tests.conftest import Mount
from tests.support.checks import Broken, Fine
from tests.support.commands import executed
from tests.support.parsing import families_in
from tests.support.small_servers import Send, Server, free_address, says, serving, silent_address, stalls_after_headers

SECRET = "tr0ub4dor17"
STATUS = "django_health_check_status"

TIMEOUT_SECONDS = 0.3
MARGIN_SECONDS = 5.0
"""How much longer than its timeout a push may take on a busy machine."""


@pytest.fixture(autouse=True)
def _site(mount_checks: Mount) -> None:
    """A site in order."""
    mount_checks(Fine)


@pytest.fixture
def gateway() -> Iterator[Server]:
    """A gateway that takes everything."""
    with serving(says(200, b"")) as server:
        yield server


def push(url: str, *arguments: str) -> int:
    """Run the command, and return its exit code; what is wrong goes to standard error."""
    return executed("health_check", "--pushgateway", url, *arguments)


def test_push__body_and_place(gateway: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The metrics of the health checks alone are put as the job, in the group of this host."""
    assert push(f"http://{gateway.address}/") == 0
    [(path, headers)], [body] = gateway.requests, gateway.bodies
    assert path == f"/metrics/job/health_check/instance/{socket.gethostname()}"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert headers["Authorization"] is None
    found = families_in(body.decode())
    assert all(name.startswith("django_health_check") for name in found)
    assert [sample.value for sample in found[STATUS].samples] == [1]
    printed = capsys.readouterr()
    assert f"pushed to http://{gateway.address} as job health_check, instance" in printed.err
    assert "pushed" not in printed.out


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["--job", "nightly"], f"/metrics/job/nightly/instance/{socket.gethostname()}"),
        (["--grouping", "shop=north", "--grouping", "env=prod"], "/metrics/job/health_check/env/prod/shop/north"),
        (["--job", "a/b", "--grouping", "x=ü/ö"], "/metrics/job@base64/YS9i/x@base64/w7wvw7Y="),
    ],
)
def test_push__job_and_grouping(arguments: list[str], path: str, gateway: Server) -> None:
    """Job and group may be said, with any characters."""
    assert push(gateway.address, *arguments) == 0
    assert [path for path, _ in gateway.requests] == [path]


def test_push__job_is_no_group(gateway: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The job has an option of its own: a group with that label would be pushed as another job than is said."""
    assert push(gateway.address, "--grouping", "job=nightly") == 2
    assert "give it as --job NAME" in capsys.readouterr().err
    assert gateway.requests == []


@pytest.mark.parametrize("userinfo", [f"robot:{SECRET}", f"robot:{SECRET}%40%2F"])
def test_userinfo__logs_in(userinfo: str, gateway: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The user and password of the URL log in, and are printed nowhere."""
    assert push(f"http://{userinfo}@{gateway.address}") == 0
    [(_, headers)] = gateway.requests
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == (
        userinfo.replace("%40", "@").replace("%2F", "/")
    )
    printed = capsys.readouterr()
    assert SECRET not in printed.out + printed.err
    assert f"pushed to http://{gateway.address} " in printed.err


def test_exit_code__of_a_failing_endpoint(mount_checks: Mount, gateway: Server) -> None:
    """What fails is pushed, too, and the exit code is that of a failing endpoint."""
    mount_checks(Fine, Broken)
    assert push(gateway.address) == 1
    [body] = gateway.bodies
    assert f'{STATUS}{{check="Broken"}} 0.0' in body.decode()


def test_verbosity__nothing_to_say(gateway: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """With ``--verbosity 0`` standard error stays empty, so that cron sends no mail; the gateway is below a path."""
    assert push(f"http://{gateway.address}/push/", "--verbosity", "0") == 0
    assert capsys.readouterr().err == ""
    assert gateway.requests[0][0].startswith("/push/metrics/job/health_check/")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says(400, b"pushed metrics are invalid or inconsistent\n"), "HTTP 400: pushed metrics are invalid"),
        (says(401, b"", WWW_Authenticate="Basic"), "HTTP 401: Unauthorized"),
        (says(403, f"no entry for robot, password={SECRET}".encode()), "HTTP 403: no entry for robot, password=***"),
        (says(404, b"\x1b[31mnot here\x00"), "HTTP 404: \N{REPLACEMENT CHARACTER}[31mnot here"),
        (says(302, b"", Location="http://127.0.0.1:1/"), "HTTP 302"),
        (says(502, b"<html>" + b"x" * 100_000), "HTTP 502: <html>xxx"),
        (stalls_after_headers(500), "HTTP 500: Internal Server Error"),
    ],
)
def test_refusal__is_told(answer: Send, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway that refuses is quoted, not at length and without secrets; the exit code is 2."""
    with serving(answer) as server:
        url = f"http://robot:{SECRET}@{server.address}"
        assert push(url, "--timeout", str(TIMEOUT_SECONDS)) == 2
        printed = capsys.readouterr().err
    assert f"The Pushgateway http://{server.address} answers {said}" in printed
    assert SECRET not in printed
    assert len(printed) < 1000


def test_unreachable__is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway that is down is named, without the password, and the exit code is 2."""
    address = free_address()
    assert push(f"http://robot:{SECRET}@{address}") == 2
    printed = capsys.readouterr()
    assert f"The Pushgateway http://{address} cannot be reached: " in printed.err
    assert "Is it running there?" in printed.err
    assert SECRET not in printed.out + printed.err
    assert push("http://no-such-host.invalid:9091") == 2
    assert "http://no-such-host.invalid:9091 cannot be reached: " in capsys.readouterr().err


def test_slow__times_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A gateway that takes connections and says nothing is given up after ``--timeout`` seconds."""
    with silent_address() as address:
        start = time.monotonic()
        assert push(address, "--timeout", str(TIMEOUT_SECONDS)) == 2
        assert time.monotonic() - start < TIMEOUT_SECONDS + MARGIN_SECONDS
    assert "timed out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "ftp://host:9091",
        "not a url",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "//host",
        f"http://robot:{SECRET[:5]}/{SECRET[5:]}@host:9091",
        f"http://robot:{SECRET[:5]}#{SECRET[5:]}@host:9091",
        f"robot:{SECRET}?@host:9091",
        f"ftp://robot:{SECRET}@host",
        f"http://robot:{SECRET}@host:port",
        f"http://robot:{SECRET}@",
    ],
)
def test_url__unusable(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not the URL of a gateway is refused with the remedy, and no part of a password is printed."""
    assert push(url) == 2
    printed = capsys.readouterr().err
    assert "is not the URL of a Pushgateway: use http://HOST:9091 or https://…" in printed
    assert not any(part in printed for part in (SECRET, SECRET[:5], SECRET[5:]))


def test_store_down__no_counters(gateway: Server, settings: Settings) -> None:
    """Where the records cannot be shared, what is pushed has no counters, rather than ones that start anew."""
    settings.HEALTH_CHECK = {
        "MAX_CONCURRENCY": 4,
        "STORE": {
            "BACKEND": "health_check.stores.sqlite.SQLiteStore",
            "OPTIONS": {"path": "/dev/null/health.sqlite3"},
        },
    }
    runtime.reset()
    assert push(gateway.address) == 0
    found = families_in(gateway.bodies[0].decode())
    assert found["django_health_check_runs"].samples == []
    assert found["django_health_check_duration_seconds"].samples == []
    assert [sample.value for sample in found["django_health_check_store_up"].samples] == [0]
    assert [sample.value for sample in found[STATUS].samples] == [1]
