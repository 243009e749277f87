"""Checks that ask a health endpoint of their own site: they wait for themselves, and are told so.

Checks that hang for other reasons, which are told nothing of that kind, are in test_hanging.
"""

from __future__ import annotations

import pathlib
import sys

import pytest

from tests.support.client import eventually, get
from tests.support.servers import await_answer, free_port, running
from tests.support.services import require
from tests.support.site.configuration import Site
from tests.support.web import CONFIGURATION

pytestmark = pytest.mark.server

CLIENTS = ["urllib", "requests", "httpx"]
HINT = "a check that asks a health endpoint of its own site waits for itself"


def test_check_of_its_own_endpoint__is_told(tmp_path: pathlib.Path) -> None:
    """Whatever its client is, and whichever worker is asked, its failure says what it may be waiting for."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/health/"
    asking = [["tests.support.site.checks.AskingWeb", {"url": url, "client": name, "name": name}] for name in CLIENTS]
    checks = [*asking, ["health_check.contrib.http.HTTP", {"url": url, "name": "ours"}]]
    site = Site(folder=tmp_path, checks=checks, health_check={"TIMEOUT": 2}, others=["tests.support.site.checks.Slow"])
    options = ["--no-control-socket", f"--bind=0.0.0.0:{port}", "--workers=3", "--threads=4"]
    command = [sys.executable, "-m", "gunicorn", *options, "tests.support.plain.wsgi"]
    with running(command, site.folder, site.environment()) as server:
        server.url = f"http://127.0.0.1:{port}"
        await_answer(server, "/health/live/")
        found = get(url, format="json").json()
        assert found.keys() == {*CLIENTS, "ours"}
        for text in found.values():
            assert f"connected to its own server at 127.0.0.1:{port}: {HINT}" in text
        assert "urllib is error: unavailable: timed out after 2 s; meanwhile" in server.output()
        assert get(f"{server.url}/others/", format="json").json() == {"Slow": "OK"}


PROXY = """
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://unix:{socket}; }}
    }}
"""


def test_check_of_its_own_endpoint__behind_a_proxy(tmp_path: pathlib.Path) -> None:
    """What asks a proxy in front of the site is told the same, also where the workers listen at a unix socket."""
    port, web = free_port(), tmp_path / "web"
    web.mkdir()
    url = f"http://127.0.0.1:{port}/health/"
    asked = f"{url}?token=planted"
    asking = [["tests.support.site.checks.AskingWeb", {"url": asked, "client": name, "name": name}] for name in CLIENTS]
    checks = [*asking, ["health_check.contrib.http.HTTP", {"url": asked, "name": "ours"}]]
    site = Site(folder=tmp_path, checks=checks, health_check={"TIMEOUT": 2})
    server_socket = tmp_path / "site.sock"
    servers = PROXY.format(port=port, socket=server_socket)
    (web / "nginx.conf").write_text(CONFIGURATION.format(folder=web, servers=servers))
    nginx = [require("nginx", package="nginx", folders=[pathlib.Path("/usr/sbin")]), "-c", str(web / "nginx.conf")]
    command = [
        *(sys.executable, "-m", "gunicorn", "--no-control-socket", f"--bind=unix:{server_socket}"),
        *("--workers=3", "--threads=4", "tests.support.plain.wsgi"),
    ]
    with running(command, site.folder, site.environment()), running([*nginx, "-p", str(web)], web):
        eventually(lambda: get(f"http://127.0.0.1:{port}/health/live/").status == 200, what="an answer of nginx")
        found = get(url, format="json").json()
        assert found.keys() == {*CLIENTS, "ours"}
        for text in found.values():
            assert f"meanwhile it asked {url}, which seems to be of this site: {HINT}" in text
            assert "planted" not in text
