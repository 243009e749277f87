"""The demo site, as its visitor starts and stops it."""

from __future__ import annotations

import pathlib
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.client import eventually, get, send
from tests.support.servers import Server, await_output, clean_environment, running

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
        [*DEMO, *arguments], env=clean_environment(), capture_output=True, text=True, timeout=60, check=False
    )


def test_demo__serves_every_address_it_prints(demo: Server) -> None:
    """Each address in the welcome text answers 200, and no check but those of the machine can fail."""
    addresses = re.findall(r"http://\S+", demo.output())
    assert [address.removeprefix(demo.url) for address in addresses] == ["/", "/health/", "/health/live/", "/metrics"]
    statuses = get(f"{demo.url}/health/", format="json").json()
    assert {label for label, text in statuses.items() if text != "OK"} <= {"Disk", "Memory"}
    assert "PriceList" in statuses
    assert {get(address).status for address in addresses if not address.endswith("/health/")} == {200}
    assert '<th scope="row">PriceList' in get(f"{demo.url}/health/").body


def test_demo__breaks_and_mends_with_a_click(demo: Server) -> None:
    """What the visitor's button does shows within seconds, and needs the form's token."""
    page = get(f"{demo.url}/")
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.body)
    assert token is not None
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "Cookie": page.headers["Set-Cookie"].partition(";")[0],
    }
    assert send("POST", f"{demo.url}/", headers=headers, body="do=break").status == 403
    for button, expected in (("break", "unavailable: the price list is missing"), ("mend", "OK")):
        body = f"csrfmiddlewaretoken={token[1]}&do={button}"
        assert send("POST", f"{demo.url}/", headers=headers, body=body).status == 302
        eventually(
            lambda expected=expected: (  # type: ignore[misc]
                get(f"{demo.url}/health/", format="json").json()["PriceList"].startswith(expected)
            ),
            what=f"the page to say {expected!r}",
        )


def test_demo__ends_cleanly(demo: Server, temporary: pathlib.Path) -> None:
    """Ctrl-C ends it with exit code 0, without traceback or temporary files."""
    get(f"{demo.url}/health/")
    assert list(temporary.iterdir()) != []
    code, _ = demo.stop(signal.SIGINT)
    assert code == 0
    assert "Traceback" not in demo.output()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("demo", [["--spans"], []], ids=["asked", "not asked"], indirect=True)
def test_demo__prints_spans_when_asked(demo: Server, request: pytest.FixtureRequest) -> None:
    """``--spans`` prints a root span for the round and a child for each check; without it there are none."""
    get(f"{demo.url}/health/")
    if request.node.callspec.id == "not asked":
        get(f"{demo.url}/health/")
        assert '"trace_id"' not in demo.output()
        return
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
    """``--help`` tells of every option, with its default."""
    done = run("--help")
    assert done.returncode == 0
    for word in ("--port", "8000", "--host", "127.0.0.1", "--spans", "/metrics"):
        assert word in done.stdout
