"""The tutorial, followed to the letter: each block is run as it stands there, on free ports."""

from __future__ import annotations

import contextlib
import pathlib
import re
import socket
import subprocess
from collections.abc import Iterator, Mapping

import pytest

from tests.support.client import eventually
from tests.support.servers import ROOT, Server, free_port, running
from tests.support.services import require
from tests.support.wheel import build_wheel, environment_of_a_user, python_with

pytestmark = [pytest.mark.server, pytest.mark.packaging, pytest.mark.long]

BLOCK = re.compile(r"^```(shell|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PORTS = ("8000", "9090", "9093", "9099")
RESTART = "# restart the server\n"
SHIMS = {"gunicorn": "gunicorn", "django-admin": "django"}
"""Commands that pip would install, by the module that they run."""


class Reader:
    """Somebody who follows the tutorial in a folder."""

    def __init__(self, folder: pathlib.Path, stack: contextlib.ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.ports = {port: str(free_port()) for port in PORTS}
        self.environment: Mapping[str, str] = environment_of_a_user() | {
            "TMPDIR": str(folder),
            "GUNICORN_CMD_ARGS": "--no-control-socket",
        }
        self.servers: list[tuple[Server, contextlib.ExitStack, str]] = []
        self.urls = ""
        self.seen = ""
        """What the commands printed."""

    def follow(self, language: str, block: str) -> None:
        """Do what a block says."""
        for port, free in self.ports.items():
            block = re.sub(rf"\b{port}\b", free, block)
        if language == "python":
            self.write(block)
        elif block.startswith("# server\n"):
            self.serve(block)
        else:
            before, restarted, after = block.partition(RESTART)
            self.run(before)
            if restarted:
                self.restart()
                self.run(after)

    def write(self, block: str) -> None:
        """Add to a file of the project, or write one beside ``manage.py``."""
        name = block.partition("\n")[0].removeprefix("# ")
        if name not in ("settings.py", "urls.py"):
            self.folder.joinpath(name).write_text(block)
            return
        file = self.folder / "shop" / name
        if name == "urls.py":  # the second one is written in the place of the first
            self.urls = self.urls or file.read_text()
            file.write_text(f"{self.urls}\n{block}")
        else:
            file.write_text(f"{file.read_text()}\n{block}")

    def run(self, commands: str) -> None:
        """Run commands, but those that fetch packages."""
        commands = re.sub(r"^(python3 -m venv|pip install) .*$", "true", commands, flags=re.MULTILINE)
        done = subprocess.run(
            ["bash", "-ec", f". venv/bin/activate\n{commands}"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=110,
            check=False,
        )
        print(done.stdout)
        self.seen += done.stdout
        assert done.returncode == 0, f"{commands}\n{done.stdout}"

    def serve(self, block: str) -> None:
        """Start a server, and wait until it listens."""
        command = block.removeprefix("# server\n").replace("\\\n", " ").strip()
        folder = self.folder / f"terminal-{len(self.servers)}"
        folder.mkdir(exist_ok=True)
        stack = self.stack.enter_context(contextlib.ExitStack())
        line = f"cd {self.folder} && . venv/bin/activate && exec {command}"
        server = stack.enter_context(running(["bash", "-ec", line], folder, self.environment))
        self.servers.append((server, stack, block))
        port = re.search(r"127\.0\.0\.1:(\d+)", command)
        number = int(port[1] if port else self.ports["9099"])
        eventually(lambda: listens(number), what=f"{command} to listen")

    def restart(self) -> None:
        """Restart the server that was started first: the site's."""
        _, stack, block = self.servers.pop(0)
        stack.close()
        self.serve(block)
        self.servers.insert(0, self.servers.pop())


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture
def reader(tmp_path: pathlib.Path) -> Iterator[Reader]:
    """Somebody in an empty folder, with an environment that has the wheel."""
    require("prometheus", package="prometheus")
    require("prometheus-alertmanager", package="prometheus-alertmanager")
    folder = tmp_path / "shop"
    folder.mkdir()
    python = python_with(build_wheel(tmp_path / "dist"), folder / "venv")
    for name, module in SHIMS.items():
        shim = python.with_name(name)
        shim.write_text(f'#!/bin/sh\nexec python -m {module} "$@"\n')
        shim.chmod(0o755)
    with contextlib.ExitStack() as stack:
        yield Reader(folder, stack)


def test_tutorial__leads_to_a_page(reader: Reader) -> None:
    """Whoever follows the tutorial sees what it says, and is told when the price list is gone and when it is back."""
    blocks = BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text())
    breaks = blocks.index(("shell", "rm prices.csv\n"))
    for language, block in blocks[:breaks]:
        reader.follow(language, block)
    assert "PriceList: OK\n" in reader.seen
    assert re.search(r"^HTTP/1\.1 500 .*^PriceList: unavailable: the price list is missing$", reader.seen, re.M | re.S)
    assert re.search(r"^HTTP/1\.1 200 .*^Database: OK$", reader.seen.rpartition("HTTP/1.1 500")[2], re.M | re.S)
    pager = reader.servers[1][0]
    target = f"http://127.0.0.1:{reader.ports['9090']}/api/v1/query?query=django_health_check_status"
    eventually(lambda: '"PriceList"' in text_of(target), what="the first scrape")
    for (language, block), told in zip(blocks[breaks:], ("firing", "resolved"), strict=True):
        reader.follow(language, block)
        wanted = f"{told} HealthCheckFailing "
        eventually(lambda wanted=wanted: wanted in pager.output(), what=wanted)  # type: ignore[misc]


def text_of(url: str) -> str:
    """Return what a URL says."""
    return subprocess.run(["curl", "--silent", url], capture_output=True, text=True, check=False, timeout=60).stdout
