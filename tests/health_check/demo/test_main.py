"""The demo site, as its visitor starts and stops it."""

from __future__ import annotations

import contextlib
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


@contextlib.contextmanager
def started(folder: pathlib.Path, *arguments: str) -> Iterator[Server]:
    """Run the demo on a free port, its temporary files in ``folder/temporary``."""
    temporary = folder / "temporary"
    temporary.mkdir()
    with running([*DEMO, "--port", "0", *arguments], folder, {"TMPDIR": str(temporary)}) as server:
        server.url = await_output(server, r"(http://127\.0\.0\.1:\d+)/health/ ")[1]
        await_output(server, "Ctrl-C")
        yield server


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo; what a test breaks it fixes."""
    with started(tmp_path_factory.mktemp("demo")) as server:
        yield server


def run(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the demo where it ends by itself, with the programs of a path."""
    environment = {**clean_environment(), **({"PATH": path} if path else {})}
    return subprocess.run(
        [*DEMO, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
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


def others(demo: Server) -> list[psutil.Process]:
    """Return the processes that play web-2."""
    return [one for one in psutil.Process(demo.process.pid).children() if "--second-host" in one.cmdline()]


def test_levers__break_and_fix(demo: Server) -> None:
    """What a lever breaks shows in its check, and as a line on the terminal, until it is fixed, and it alone.

    The process that plays web-2 is killed, and started again, which fixes nothing that is broken.
    """
    for label, _ in BROKEN.values():
        shows(demo, label, "OK")
    eventually(lambda: len(others(demo)) == 1, what="web-2 to run")
    (first,) = others(demo)
    moved(demo, "web-2", "break")
    eventually(lambda: not first.is_running(), what="web-2 to be gone")
    assert get(f"{demo.url}/health/").status == 200
    for lever in BROKEN:
        moved(demo, lever, "break")
    for label, text in BROKEN.values():
        shows(demo, label, text)
        await_output(demo, rf"\d\d:\d\d:\d\d  web-\d  {label} +ok -> (error|warning)")
    for lever in ("web-2", *(lever for lever in BROKEN if lever != "orders")):
        moved(demo, lever, "fix")
    await_output(demo, r"web-2  Orders +(unknown|ok) -> error")
    for lever, (label, text) in BROKEN.items():
        shows(demo, label, text if lever == "orders" else "OK")
    moved(demo, "orders", "fix")
    shows(demo, "Orders", "OK")
    for label, _ in BROKEN.values():
        await_output(demo, rf"web-\d  {label} +(error|warning) -> ok")


def test_lever__drain(demo: Server) -> None:
    """A drained host is not ready, and well."""
    moved(demo, "drain", "break")
    eventually(lambda: get(f"{demo.url}/health/ready/").status == 503, what="readiness to end")
    assert get(f"{demo.url}/health/").status == 200
    moved(demo, "drain", "fix")
    eventually(lambda: get(f"{demo.url}/health/ready/").status == 200, what="readiness to begin again")


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


def test_stack__tells_what_was_broken(tmp_path: pathlib.Path) -> None:
    """Prometheus and Alertmanager of the demo find what a lever breaks, and the page shows their notifications."""
    with started(tmp_path, "--stack") as demo:
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


def test_demo__prints_spans_and_ends_cleanly(tmp_path: pathlib.Path) -> None:
    """``--spans`` prints a root span for the round and a child for each check; Ctrl-C ends all, and leaves no files."""
    with started(tmp_path, "--spans") as demo:
        labels = get(f"{demo.url}/health/", format="json").json()
        await_output(demo, '"name": "health_check.run"')
        for label in labels:
            assert f'"name": "health_check.check {label}"' in demo.output()
        assert list((tmp_path / "temporary").iterdir()) != []
        code, _ = demo.stop(signal.SIGINT)
        assert code == 0
        assert "Traceback" not in demo.output()
        assert list((tmp_path / "temporary").iterdir()) == []


def test_make__ends_with_code_0(tmp_path: pathlib.Path) -> None:
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
    environment = {**clean_environment(), "TMPDIR": str(tmp_path)}
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


def test_demo__says_why_it_cannot_start(tmp_path: pathlib.Path) -> None:
    """On a port that somebody has, or without a program that it needs, it ends with code 2, and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, path, words in (
            (["--port", str(port)], None, (f"127.0.0.1:{port}", "--port")),
            (["--port", "0", "--stack"], str(tmp_path), ("prometheus is not installed", "make demo-stack")),
        ):
            done = run(*arguments, path=path)
            assert done.returncode == 2
            assert [word for word in words if word not in done.stderr] == []
            assert "Traceback" not in done.stderr


def test_demo__explains_its_options() -> None:
    """``--help`` names every option, with its default."""
    done = run("--help")
    assert done.returncode == 0
    for word in ("--port", "8000", "--host", "127.0.0.1", "--spans", "--stack"):
        assert word in done.stdout
