"""``manage.py health_check``."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import include, path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Blown, Fine
from tests.support.commands import Run, Terminal, on
from tests.support.small_servers import free_address, says, serving, serving_site, silent_address

site = pytest.mark.usefixtures("site")

COMMANDS = ["health_check", "health_drain", "health_exporter"]
BROKEN = "Broken                   ... unavailable: Something went wrong!"
TWICE = "TwiceBroken              ... unavailable: Something went wrong!; unexpected result: Something else, too."
SHAKY = "Shaky                    ... warning: Not for long!"


@site
def test_command__every_check_once(run: Run) -> None:
    """Without arguments each check of each endpoint is a line, and a failing endpoint is exit code 1."""
    ran = run()
    fine = "Fine                     ... OK", "Orders                   ... OK", "AsyncFine                ... OK"
    assert ran.out.splitlines() == [fine[0], BROKEN, TWICE, fine[1], SHAKY, fine[2]]
    assert (ran.code, ran.err) == (1, "")


@site
@pytest.mark.parametrize(
    ("endpoint", "code", "labels"),
    [
        ("health", 1, ["Fine", "Broken", "TwiceBroken"]),
        ("ready", 0, ["Fine", "Orders"]),
        ("warn", 0, ["Shaky"]),
        ("/ready/", 0, ["Fine", "Orders"]),
        ("shop", 0, ["AsyncFine"]),
        ("/of/books/", 0, ["AsyncFine"]),
    ],
)
def test_no_http__one_endpoint(endpoint: str, code: int, labels: list[str], run: Run) -> None:
    """``--no-http`` runs the checks of one endpoint here, under its rules."""
    ran = run(endpoint, "--no-http")
    assert [line.partition(" ")[0] for line in ran.out.splitlines()] == labels
    assert (ran.code, ran.err) == (code, "")


def test_endpoint__of_the_usual_urls(run: Run, mount: Mount) -> None:
    """The endpoints of ``health_check.urls`` may be called by the last part of their names; a wrong one is told."""
    mount(path("", include("health_check.urls.all")))
    with serving_site() as address:
        for name in ("{}", "health_check_{}", "health_check:health_check_{}", "/health/{}/"):
            assert run(name.format("ready"), "--list").out.splitlines() == ["Database"]
            assert run(name.format("live"), address).out == "The server answers; the endpoint has no checks.\n"
    assert "no endpoint 'redy'. Did you mean 'ready'?" in run("redy", "--no-http").err


def test_verbosity__traceback_each_time(run: Run, mount: Mount, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever asks learns what is wrong, also where that was known, and so no news for the log, before."""
    mount(path("health/", HealthCheckView.as_view(checks=[Blown, Fine]), name="health"))
    said = []
    for verbosity in ("1", "1", "2", "2", "1"):
        caplog.clear()
        assert run("-v", verbosity, "--fresh").code == 1
        said.append("ZeroDivisionError" in caplog.text)
    assert said == [True, False, True, True, False]


@site
def test_verbosity__only_problems(run: Run) -> None:
    """``--verbosity 0`` prints only what is not ok, also on a terminal; formats for programs stay as they are."""
    ran = run("-v", "0")
    assert (ran.code, ran.out.splitlines()) == (1, [BROKEN, TWICE, SHAKY])
    assert on(Terminal(), "-v", "0") == [BROKEN, TWICE, SHAKY]
    well = run("ready", "--no-http", "--verbosity", "0")
    assert (well.code, well.out, well.err) == (0, "", "")
    assert list(json.loads(run("ready", "--no-http", "-v", "0", "--format", "json").out)) == ["Fine", "Orders"]


def test_fresh__runs_now(run: Run, mount: Mount, settings: Settings, counting: Any) -> None:
    """``--fresh`` runs a check whose result is still fresh; without it, that result is shown."""
    mount(path("health/", HealthCheckView.as_view(checks=[counting]), name="health"))
    settings.HEALTH_CHECK = {"MAX_AGE": 60}
    counts = []
    for args in ([], [], ["--fresh"], ["health", "--no-http", "--fresh"], ["health", "--no-http"]):
        assert run(*args).code == 0
        counts.append(counting.runs)
    assert counts == [1, 1, 2, 3, 3]


@site
@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nonsense", "--no-http"], "no endpoint 'nonsense'. Known endpoints: health, ready, warn, live, shop."),
        (["nonsense"], "Known endpoints: health, ready, warn, live, shop."),
        (["/nonsense/", "--no-http"], "Known endpoints: health, ready, warn, live, shop."),
        (["live", "--no-http"], "'live' has no checks"),
        (["shop"], "arguments"),
        (["http://web:8000/ready/"], "as in manage.py health_check /ready/ web:8000\n"),
        (["--no-http"], "--no-http needs an ENDPOINT"),
        (["--watch", "--wait-until", "ok"], "leave --wait-until out"),
        (["--wait-until", "later"], "invalid choice: 'later'"),
        (["--wait-until", "ok", "--for", "0"], "'0' is not a number of seconds above 0"),
        (["health", "--insecure", "--no-http"], "leave out the options"),
        (["--insecure"], "No server is asked"),
        (["health", "--timeout", "soon"], "'soon' is not a number of seconds above 0"),
        (["health", "--timeout", "inf"], "'inf' is not a number of seconds above 0"),
        (["health", "--format", "xml"], "invalid choice: 'xml'"),
        (["health", "--forwarded-proto", "gopher"], "invalid choice: 'gopher'"),
        (["health", "--nonsense"], "--nonsense"),
        (["health", "web:80", "more"], "more"),
        (["health", "web:80/health/"], "'web:80/health/' is not an address"),
        (["--check", "fien"], "no check 'fien'. Did you mean 'Fine'? Known checks: Fine, Broken"),
        (["live", "--no-http", "--check", "Fine"], "no check 'Fine'. Known checks: none."),
        (["--watch=0"], "'0' is not a number of seconds above 0"),
        (["live", "--list"], "'live' has no checks"),
    ],
)
def test_command__usage_errors(args: list[str], words: str, run: Run) -> None:
    """Wrong usage is exit code 2, with words that help and nothing that looks like a result."""
    ran = run(*args)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("patterns", "words"),
    [
        ([], 'add path("health/", include("health_check.urls")) to urls.py'),
        ([path("live/", HealthCheckView.as_view(checks=[]), name="live")], "No endpoint has any checks"),
    ],
)
def test_command__nothing_to_check(patterns: list[object], words: str, run: Run, mount: Mount) -> None:
    """A site in which there is nothing to check is not in order: exit code 2."""
    mount(*patterns)
    ran = run()
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


@site
@pytest.mark.parametrize(
    ("value", "commands", "words"),
    [
        ({"URLCONF": "no.urls"}, COMMANDS[::2], "HEALTH_CHECK['URLCONF'] is 'no.urls', which cannot be imported"),
        ({"STORE": {"BACKEND": "no.Store"}}, COMMANDS, "HEALTH_CHECK['STORE'] cannot be used: no.Store"),
        ({"STORE": "memory"}, COMMANDS, "HEALTH_CHECK['STORE'] is 'memory': use a dict"),
    ],
)
def test_command__bad_settings(value: object, commands: list[str], words: str, run: Run, settings: Settings) -> None:
    """A setting that cannot be used is exit code 2 and a sentence, not a traceback; draining needs the store alone."""
    settings.HEALTH_CHECK = value
    for command in commands:
        ran = run(command=command)
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err
        assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("health_check", ["2  wrong usage", "--no-http", "--fresh", "--forwarded-host", "127.0.0.1:8000"]),
        ("health_drain", ["--undo", "--status", "--wait SECONDS", "manage.py health_drain --wait 15"]),
        ("health_exporter", ["--host", "--port", "--once", "\n  2  the port cannot be had"]),
        ("health_init", ["--write", "--target"]),
    ],
)
def test_help__explains(command: str, words: list[str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--help`` tells the options, the exit codes and examples, and fits a terminal of 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    ran = run("--help", command=command)
    assert ran.code == 0
    assert [word for word in [*words, "\nexit codes:\n  0  ", "\nexamples:\n  "] if word not in ran.out] == []
    assert [line for line in ran.out.splitlines() if len(line) > 80] == []


@site
@pytest.mark.parametrize(
    ("status", "statuses", "code"),
    [(200, {"Database": "OK"}, 0), (500, {"Database": "unavailable: gone"}, 1), (503, {"Database": "x\ny"}, 1)],
)
def test_http__what_the_server_says(status: int, statuses: dict[str, str], code: int, run: Run) -> None:
    """The status of the server decides, and its answer is printed; nothing runs here."""
    with serving(says(status, statuses)) as server:
        ran = run("health", server.address)
        as_json = run("health", server.address, "--format", "json")
    (text,) = statuses.values()
    assert ran.out == f"Database                 ... {text.replace(chr(10), '; ')}\n"
    assert json.loads(as_json.out) == statuses
    assert (ran.code, as_json.code) == (code, code)
    assert [(path, headers["Accept"]) for path, headers in server.requests] == [("/health/", "application/json")] * 2


@site
def test_http__address_of_the_environment(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address, $HOST and $PORT say where the server is; a path may name the endpoint."""
    with serving(says(200, {"Fine": "OK"})) as server:
        host, port = server.address.split(":")
        monkeypatch.setenv("HOST", host)
        monkeypatch.setenv("PORT", port)
        assert run("health").code == 0
        assert run("/of/x/").code == 0
    assert [path for path, _ in server.requests] == ["/health/", "/of/x/"]


@site
def test_http__no_answer(run: Run) -> None:
    """A server that does not run, or does not answer within ``--timeout``, is exit code 2."""
    with silent_address() as address:
        silent = run("health", address, "--timeout", "0.2")
    dead = run("health", free_address())
    for ran, words in ((silent, "did not answer within 0.2 s"), (dead, "Is the server running there?")):
        assert (ran.code, ran.out) == (2, "")
        assert words in ran.err


@site
@pytest.mark.parametrize(
    ("args", "own", "headers"),
    [
        ([], {}, {"X-Forwarded-Host": None, "X-Forwarded-Proto": None}),
        (["--forwarded-host", "shop.example"], {}, {"Host": "shop.example", "X-Forwarded-Host": "shop.example"}),
        ([], {"ALLOWED_HOSTS": [".shop.example"]}, {"Host": "shop.example", "X-Forwarded-Host": "shop.example"}),
        ([], {"ALLOWED_HOSTS": ["*"]}, {"X-Forwarded-Host": None}),
        ([], {"ALLOWED_HOSTS": [], "DEBUG": True}, {"X-Forwarded-Host": None}),
        (["--forwarded-proto", "https"], {}, {"X-Forwarded-Proto": "https"}),
        (
            ["--forwarded-proto", "https"],
            {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_TLS", "on")},
            {"X-Tls": "on", "X-Forwarded-Proto": "https"},
        ),
        ([], {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_TLS", "on"), "SECURE_SSL_REDIRECT": True}, {"X-Tls": "on"}),
        ([], {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_TLS", "on")}, {"X-Tls": None}),
        (["--forwarded-proto", "http"], {"SECURE_PROXY_SSL_HEADER": ("HTTP_X_TLS", "on")}, {"X-Tls": None}),
    ],
)
def test_http__headers_for_sites_behind_a_proxy(
    args: list[str], own: dict[str, object], headers: dict[str, str | None], run: Run, settings: Settings
) -> None:
    """The request looks as the site's proxy would make it, by option or by the site's own settings."""
    for name, value in own.items():
        setattr(settings, name, value)
    with serving(says(200, {"Fine": "OK"})) as server:
        assert run("health", server.address, *args).code == 0
    ((_, sent),) = server.requests
    assert {name: sent.get(name) for name in headers} == headers


@site
def test_terminal__of_a_server(terminal: Terminal) -> None:
    """A server is asked for all that it knows; one that knows texts alone is shown, too."""
    checks = {"Search": [{"status": "fail", "state": "error", "critical": False, "output": "unavailable: gone"}]}
    with serving(says(200, {"status": "warn", "checks": checks})) as server:
        assert on(terminal, "health", server.address) == [
            "STATE  CHECK   CRITICAL",
            "error  Search  no",
            "       unavailable: gone",
            "1 of 1 fails: 200 on health",
        ]
    ((_, headers),) = server.requests
    assert headers["Accept"] == "application/health+json, application/json;q=0.9"
    with serving(says(500, {"Search": "unavailable: gone"})) as server:
        assert on(terminal, "health", server.address)[-1] == "1 of 1 fails: 500 on health"


@site
def test_format__json(run: Run) -> None:
    """``json`` is what the endpoint's JSON says; ``json-full`` has all that is known."""
    ran = run("ready", "--no-http", "--format", "json")
    assert (ran.code, json.loads(ran.out)) == (0, {"Fine": "OK", "Orders": "OK"})
    ran = run("health", "--no-http", "--format", "json-full")
    found = json.loads(ran.out)
    check = found["checks"]["Broken"]
    assert (ran.code, found["state"]) == (1, "error")
    assert found["endpoints"] == {"health": {"status_code": 500, "healthy": False}}
    assert check["time_taken"] >= 0
    assert check["since"] <= check["finished"]
    assert (check["state"], check["critical"]) == ("error", True)
    assert check["message"] == "unavailable: Something went wrong!"
    assert found["checks"]["Fine"]["message"] is None


class Flapping(HealthCheck):
    """Fails at its second run; at its fourth, somebody ends the process."""

    runs = 0
    ends_by = signal.SIGINT

    def check_status(self) -> None:
        Flapping.runs += 1
        if Flapping.runs == 2:
            raise ServiceUnavailable("gone")
        if Flapping.runs == 4:
            os.kill(os.getpid(), self.ends_by)


@pytest.fixture
def _same_signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_same_signals")
@pytest.mark.parametrize("ends_by", [signal.SIGINT, signal.SIGTERM])
def test_watch__logs_what_changes(
    ends_by: signal.Signals, run: Run, terminal: Terminal, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--watch`` logs each change with its time; on a terminal it draws again; a signal ends it."""
    mount(path("health/", HealthCheckView.as_view(checks=[Flapping, Fine]), name="health"))
    monkeypatch.setattr(Flapping, "runs", 0)
    monkeypatch.setattr(Flapping, "ends_by", ends_by)
    ran = run("--watch=0.01")
    assert (ran.code, ran.err) == (0, "")
    assert [line[20:] for line in ran.out.splitlines()] == [
        "Flapping                 ... OK",
        "Fine                     ... OK",
        "Flapping                 ... unavailable: gone",
        "Flapping                 ... OK",
    ]
    monkeypatch.setattr(Flapping, "runs", 0)
    lines = on(terminal, "--watch=0.01")
    assert sum(line.startswith("\x1b[H\x1b[2JSTATE") for line in lines) == 4
    assert "1 of 2 fails: 500 on health" in lines
    assert lines[-1] == "Every 0.01 s. Ctrl-C ends."


@site
@pytest.mark.usefixtures("_same_signals")
@pytest.mark.parametrize("output_format", ["text", "json"])
def test_watch__no_health_endpoint(output_format: str, run: Run) -> None:
    """While there is no answer of a health endpoint that is said, and the watch goes on; its exit code is 1."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        if len(server.requests) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        says(404, b"")(handler)

    with serving(answer) as server:
        ran = run("health", server.address, "--watch=0.01", "--format", output_format)
    said = ran.out if output_format == "text" else ran.err  # as text, once
    assert (ran.code, len(said.splitlines())) == (1, 1 if output_format == "text" else 3)
    assert "answers HTTP 404: no health endpoint answers there" in said


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--textfile", "/no/such/folder/shop.prom", "/no/such/folder/shop.prom cannot be written (No such file"),
        ("--pushgateway", "ftp://gateway", "is not the URL of a Pushgateway"),
    ],
)
def test_outputs__told_before_checks_run(
    option: str, value: str, words: str, run: Run, mount: Mount, counting: Any
) -> None:
    """Where the metrics cannot be written or pushed for sure, that is said before any check runs."""
    mount(path("health/", HealthCheckView.as_view(checks=[counting]), name="health"))
    ran = run(option, value)
    assert (ran.code, ran.out, counting.runs) == (2, "", 0)
    assert words in ran.err


@site
def test_records__said_where_that_matters(run: Run, settings: Settings, tmp_path: pathlib.Path) -> None:
    """Where the records are is said with ``-v 2``, and where they cannot be used."""

    def keep(place: pathlib.Path) -> None:
        options = {"path": str(place)}
        settings.HEALTH_CHECK = {"STORE": {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": options}}

    file = tmp_path / "records.sqlite3"
    keep(file)
    assert (run("ready", "--no-http").code, run("ready", "--no-http").err) == (0, "")
    assert run("ready", "--no-http", "-v", "2").err == f"Records: {file}\n"
    keep(file / "below-a-file.sqlite3")
    assert "cannot be used (" in run("ready", "--no-http").err


HOSTILE = "\x1b[2J\x9b1m\u202egood\r\nOK ... forged"


def no_control(text: str) -> bool:
    return not set(text) & set("\x1b\x9b\u202e\r")


@pytest.mark.parametrize(
    "answer", [{HOSTILE: HOSTILE}, {"status": "fail", "output": HOSTILE, "checks": {HOSTILE: HOSTILE}}]
)
def test_ask__answer_with_control_characters(run: Run, answer: dict[str, object]) -> None:
    """What a server says does not get to the terminal as a command to it, in JSON neither."""
    with serving(says(500, answer)) as server:
        ran = run("/health/", server.address)
        assert ran.code == 1
        assert no_control(ran.out)
        assert r"\x1b[2J\x9b1m\u202egood" in ran.out
        assert not any(line.startswith("OK") for line in ran.out.splitlines())
        for output_format in ("json", "json-full"):
            found = run("/health/", server.address, "--format", output_format)
            assert no_control(found.out)
            assert repr(HOSTILE) in str(json.loads(found.out))
    with serving(says(302, b"", Location="/\x9b1m\x1b[2J")) as server:
        ran = run("/health/", server.address)
        assert ran.code == 2
        assert no_control(ran.err)


def test_run__control_characters(run: Run, mount: Mount, caplog: pytest.LogCaptureFixture) -> None:
    """A label or a message of a check forges no line, neither on the terminal nor in the log nor in a list."""

    class Talking(HealthCheck):
        def check_status(self) -> None:
            raise ServiceUnavailable(HOSTILE)

    class Crashing(HealthCheck):
        def check_status(self) -> None:
            raise ValueError(HOSTILE)

    checks = [(Talking, {"name": HOSTILE}), Crashing]
    mount(path("health/", HealthCheckView.as_view(checks=checks), name="health"))
    ran = run()
    assert no_control(ran.out)
    assert not any(line.startswith("OK") for line in (ran.out + caplog.text).splitlines())
    assert no_control(caplog.text)
    for arguments in ([], ["-v", "2"], ["--format", "json"], ["-v", "2", "--format", "json"]):
        ran = run("--list", *arguments)
        assert (ran.code, "good" in ran.out, no_control(ran.out)) == (0, True, True)


class Queueing(HealthCheck):
    """Takes most of its budget; the last one fails."""

    timeout = 1.0

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def check_status(self) -> None:
        threading.Event().wait(0.5)
        if self.number == 3:
            raise ServiceUnavailable("the last one")


@pytest.mark.parametrize("arguments", [[], ["--fresh"]])
def test_command__waits_for_checks_that_queue(run: Run, mount: Mount, settings: Settings, arguments: list[str]) -> None:
    """However many checks there are for however few threads, the exit code is that of all of them."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 1, "MAX_AGE": 60}
    checks = [(Queueing, {"number": number, "name": str(number)}) for number in range(4)]
    mount(path("health/", HealthCheckView.as_view(checks=checks), name="health"))
    ran = run(*arguments)
    assert [" ".join(line.split()) for line in ran.out.splitlines()] == [
        *("0 ... OK", "1 ... OK", "2 ... OK", "3 ... unavailable: the last one"),
    ]
    assert ran.code == 1
