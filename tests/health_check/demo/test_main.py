"""The demo site, as its visitor starts and stops it."""

from __future__ import annotations

import json
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from tests.support.browser import browsing
from tests.support.client import eventually, get, send
from tests.support.servers import ROOT, Server, await_output, clean_environment, running
from tests.support.services import require

pytestmark = pytest.mark.server

DEMO = [sys.executable, "-m", "health_check.demo"]


@pytest.fixture
def temporary(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where the demo's temporary folder goes."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def demo(request: pytest.FixtureRequest, tmp_path: pathlib.Path, temporary: pathlib.Path) -> Iterator[Server]:
    """The demo on a free port, with the arguments that the test gives."""
    arguments = getattr(request, "param", [])
    with running([*DEMO, "--port", "0", *arguments], tmp_path, {"TMPDIR": str(temporary)}) as server:
        server.url = await_output(server, r"(http://127\.0\.0\.1:\d+)/health/ ")[1]
        await_output(server, "Ctrl-C")
        yield server


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the demo where it ends by itself."""
    return subprocess.run(
        [*DEMO, *arguments], env=clean_environment(), capture_output=True, text=True, timeout=300, check=False
    )


def moved(demo: Server, lever: str, do: str) -> None:
    """Press a lever's button, as a browser does."""
    headers, token = with_token(demo)
    assert send("POST", f"{demo.url}/", headers=headers, body=f"lever={lever}&do={do}{token}").status == 302


def with_token(demo: Server) -> tuple[dict[str, str], str]:
    """Return the headers of a form that is sent, and what its body ends with."""
    page = get(f"{demo.url}/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
    assert token is not None
    cookie = page.headers["Set-Cookie"].partition(";")[0]
    return {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookie}, f"&csrfmiddlewaretoken={token[1]}"


def shows(demo: Server, label: str, text: str) -> None:
    """Wait until the status page says this of a check."""
    eventually(
        lambda: get(f"{demo.url}/health/", format="json").json()[label].startswith(text), what=f"{label}: {text}"
    )


def test_demo__serves_every_address_it_prints(demo: Server) -> None:
    """Each address in the welcome text answers 200, every check is well, and both hosts and the past are shown."""
    addresses = re.findall(r"http://\S+", demo.output())
    paths = ["/", "/health/", "/health/ready/", "/health/live/", "/metrics"]
    assert [address.removeprefix(demo.url) for address in addresses] == paths
    assert set(get(f"{demo.url}/health/", format="json").json().values()) == {"OK"}
    assert {get(address).status for address in addresses} == {200}
    eventually(lambda: "web-2" in get(f"{demo.url}/health/").body, what="the other host on the status page")
    eventually(lambda: "health_check.check" in get(f"{demo.url}/round/").body, what="the spans of a round")
    assert '"trace_id"' not in demo.output()  # spans are printed when asked for


BROKEN = {
    "orders": ("Orders", "unavailable: the table of orders cannot be read"),
    "payments": ("Payments", "warning: a charge took 1."),
    "mount": ("PriceList", "unavailable: timed out after 2 s"),
    "search": ("Search", "unavailable: the search engine has no master"),
    "uploads": ("Uploads", "unavailable: uploads take 12 MB of 10 MB"),
}
"""What each lever breaks, and what its check says then."""


def test_levers__break_and_fix(demo: Server) -> None:
    """What a lever breaks shows in its check, and as a line on the terminal; then it is fixed."""
    for lever, (label, text) in BROKEN.items():
        shows(demo, label, "OK")
        moved(demo, lever, "break")
        shows(demo, label, text)
        await_output(demo, rf"\d\d:\d\d:\d\d  web-\d  {label} +ok -> (error|warning)")
        moved(demo, lever, "fix")
        shows(demo, label, "OK")
        await_output(demo, rf"web-\d  {label} +(error|warning) -> ok")


def test_lever__drain(demo: Server) -> None:
    """A drained host is not ready, and well."""
    moved(demo, "drain", "break")
    eventually(lambda: get(f"{demo.url}/health/ready/").status == 503, what="readiness to end")
    assert get(f"{demo.url}/health/").status == 200
    moved(demo, "drain", "fix")
    eventually(lambda: get(f"{demo.url}/health/ready/").status == 200, what="readiness to begin again")


def test_lever__kills_the_other_host(demo: Server) -> None:
    """The process that plays web-2 is killed, and started again."""

    def others() -> list[psutil.Process]:
        return [one for one in psutil.Process(demo.process.pid).children() if "--second-host" in one.cmdline()]

    eventually(lambda: len(others()) == 1, what="web-2 to run")
    (first,) = others()
    moved(demo, "web-2", "break")
    eventually(lambda: not first.is_running(), what="web-2 to be gone")
    assert get(f"{demo.url}/health/").status == 200
    moved(demo, "web-2", "fix")
    eventually(lambda: len(others()) == 1, what="web-2 to run again")


def test_lever__leaves_the_others_alone(demo: Server) -> None:
    """What starts, or is fixed, meanwhile fixes nothing that is broken."""
    for lever in ("web-2", "orders", "mount"):
        moved(demo, lever, "break")
    shows(demo, "Orders", "unavailable: the table of orders cannot be read")
    for lever in ("mount", "web-2"):
        moved(demo, lever, "fix")
    await_output(demo, r"web-2  Orders +(unknown|ok) -> error")
    shows(demo, "PriceList", "OK")
    shows(demo, "Orders", "unavailable: the table of orders cannot be read")
    moved(demo, "orders", "fix")
    shows(demo, "Orders", "OK")


NONSENSE = [
    ("/", "lever=nonsense&do=break", "There is no such lever. Use one of orders, payments"),
    ("/alertmanager/", "nonsense", "This is no notification of Alertmanager"),
    ("/alertmanager/", "[]", "This is no notification of Alertmanager"),
    ("/alertmanager/", '{"alerts": 3}', "This is no notification of Alertmanager"),
]
"""Where what is sent, and what the answer says."""


def test_demo__refuses_nonsense(demo: Server) -> None:
    """What nobody can use is refused in words."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert send("POST", f"{demo.url}/", headers=form, body="lever=orders&do=break").status == 403, (
        "the form has a token"
    )
    headers, token = with_token(demo)
    for path, body, says in NONSENSE:
        answer = send("POST", f"{demo.url}{path}", headers=headers, body=f"{body}{token if path == '/' else ''}")
        assert answer.status == 400
        assert says in answer.body


def test_alert__is_shown_once(demo: Server) -> None:
    """Alertmanager repeats notifications: each is shown once, and again when it is resolved."""
    shown = []
    for status in ("firing", "firing", "resolved", "resolved", "firing"):
        alert = {"status": status, "labels": {"alertname": "Slow"}, "annotations": {"summary": "Payments is slow"}}
        body = json.dumps({"version": "4", "alerts": [alert, alert]})
        assert send("POST", f"{demo.url}/alertmanager/", body=body).status == 204
        shown.append(get(f"{demo.url}/round/").body.count("Slow: Payments is slow"))
    assert shown == [1, 1, 2, 2, 3]


def test_demo__on_a_phone(demo: Server, tmp_path: pathlib.Path) -> None:
    """On a phone all levers, and below them the status page, are on the first screen."""
    with browsing(tmp_path) as browser:
        browser.show(390)
        browser.open(f"{demo.url}/")
        box = "return [...document.querySelectorAll(arguments[0])].map(one => one.getBoundingClientRect().bottom)"
        buttons, (status,) = browser.run(box, "button"), browser.run(box, ".status")
        assert browser.overflow() == 0
        assert len(buttons) == 7
        assert max(buttons) < 300
        assert 600 < status <= 900


@pytest.mark.parametrize("demo", [["--stack"]], indirect=True)
def test_stack__tells_what_was_broken(demo: Server) -> None:
    """Prometheus and Alertmanager of the demo find what a lever breaks, and the page shows their notifications."""
    moved(demo, "orders", "break")
    told = r"HealthCheckFailing: Orders fails on shop, \d+ s after you broke it"
    eventually(lambda: re.search(told, get(f"{demo.url}/round/").body), what="the alert")
    moved(demo, "orders", "fix")
    resolved = r"HealthCheckFailing: Orders fails on shop \(resolved\), \d+ s after you fixed it"
    eventually(lambda: re.search(resolved, get(f"{demo.url}/round/").body), what="the alert to be resolved")
    children = psutil.Process(demo.process.pid).children(recursive=True)
    assert len(children) == 3
    assert demo.stop(signal.SIGINT)[0] == 0
    psutil.wait_procs(children, timeout=30)
    assert [child for child in children if child.is_running()] == []


def test_stack__says_what_is_missing(tmp_path: pathlib.Path) -> None:
    """Without the programs it ends with code 2, and says how to get them."""
    done = subprocess.run(
        [*DEMO, "--port", "0", "--stack"],
        env={**clean_environment(), "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2
    assert "prometheus is not installed" in done.stderr
    assert "make demo-stack" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo__ends_cleanly(demo: Server, temporary: pathlib.Path) -> None:
    """Ctrl-C ends it with exit code 0, without traceback or temporary files."""
    get(f"{demo.url}/health/")
    assert list(temporary.iterdir()) != []
    code, _ = demo.stop(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in demo.output()
    assert list(temporary.iterdir()) == []


def test_make__ends_with_code_0(temporary: pathlib.Path) -> None:
    """On a terminal Ctrl-C ends ``make demo`` as it ends the demo: with exit code 0."""
    command = ["make", "-o", ".venv/demo-installed", f"BIN={pathlib.Path(sys.executable).parent}", "PORT=0", "demo"]
    script = [
        require("script", package="bsdutils"),
        "--quiet",
        "--return",
        "--command",
        shlex.join(command),
        "/dev/null",
    ]
    terminal = ["env", "--default-signal=INT", *script]
    environment = {**clean_environment(), "TMPDIR": str(temporary)}
    pipe = subprocess.PIPE
    with subprocess.Popen(terminal, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            shown += line
            if "Ctrl-C" in line:
                process.stdin.write("\x03")
                process.stdin.flush()
    assert process.returncode == 0, shown
    assert "Stopped." in shown


@pytest.mark.parametrize("demo", [["--spans"]], indirect=True)
def test_demo__prints_spans_when_asked(demo: Server) -> None:
    """``--spans`` prints a root span for the round and a child for each check."""
    get(f"{demo.url}/health/")
    await_output(demo, '"name": "health_check.run"')
    for label in get(f"{demo.url}/health/", format="json").json():
        assert f'"name": "health_check.check {label}"' in demo.output()


def test_demo__says_which_port_is_taken() -> None:
    """On a port that somebody has it ends with code 2, the port and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port))
    assert done.returncode == 2
    assert f"127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_demo__explains_its_options() -> None:
    """``--help`` names every option, with its default."""
    done = run("--help")
    assert done.returncode == 0
    for word in ("--port", "8000", "--host", "127.0.0.1", "--spans", "--stack"):
        assert word in done.stdout
