"""Prometheus and what stands beside it, for tests: each on a free loopback port."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

from tests.support.client import get
from tests.support.servers import ROOT, Server, await_answer, await_output, running
from tests.support.services import require

LISTENING = r'(?i)msg="?listening on"?.*address=(127\.0\.0\.1:\d+)'

PROMETHEUS_3 = "prometheus-3"
"""What the program of Prometheus 3 is called, which stable Debian does not have: see ``make prometheus-3``."""


PROMTOOL_3 = "promtool-3"


def prometheus_programs() -> list[str]:
    """Return the programs of Debian's Prometheus and, where it is there, of Prometheus 3."""
    return [require("prometheus", package="prometheus"), *_newer(PROMETHEUS_3)]


def promtool_programs() -> list[str]:
    """Return the promtool of Debian and, where it is there, of Prometheus 3."""
    return [require("promtool", package="prometheus"), *_newer(PROMTOOL_3)]


def _newer(program: str) -> list[str]:
    folders = os.pathsep.join([str(ROOT / "build" / PROMETHEUS_3), os.environ.get("PATH", "")])
    found = shutil.which(program, path=folders)
    return [found] if found else []


@contextlib.contextmanager
def scraping(program: str, folder: pathlib.Path, jobs: Sequence[dict[str, Any]], *, seconds: float) -> Iterator[Server]:
    """Run a Prometheus that keeps exemplars.

    Args:
        program: Which one.
        folder: Where its data goes; in it, ``targets.json`` says whom to scrape.
        jobs: What to scrape, as ``scrape_configs`` has it, but for whom.
        seconds: How often, and for how long to wait for an answer.
    """
    folder.mkdir(parents=True)
    interval = {"scrape_interval": f"{seconds * 1000:.0f}ms", "scrape_timeout": f"{seconds * 1000:.0f}ms"}
    discovery = {"file_sd_configs": [{"files": [str(folder / "targets.json")]}]}
    configuration = folder / "prometheus.yml"
    configuration.write_text(json.dumps({"global": interval, "scrape_configs": [{**discovery, **job} for job in jobs]}))
    options = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--enable-feature=exemplar-storage",
        "--web.listen-address=127.0.0.1:0",
    ]
    with running([program, *options], folder) as server:
        server.url = f"http://{await_output(server, LISTENING)[1]}"
        await_answer(server, "/-/ready")
        yield server


def scrape(folder: pathlib.Path, *targets: Server) -> None:
    """Have the Prometheus of this folder scrape servers from now on, as the instances that it scraped before."""
    replacement = folder / "targets.new"
    names = ["site", *(f"site-{number}" for number in range(2, len(targets) + 1))]
    replacement.write_text(
        json.dumps(
            [
                {"targets": [each.address], "labels": {"instance": name}}
                for name, each in zip(names, targets, strict=False)
            ]
        )
    )
    replacement.replace(folder / "targets.json")


def ask(prometheus: Server, path: str, **query: str) -> Any:
    """Return what Prometheus answers to a request of its API."""
    answer = get(f"{prometheus.url}/api/v1/{path}", **query)
    assert answer.status == 200, answer.body
    return answer.json()["data"]


@contextlib.contextmanager
def node_exporter(folder: pathlib.Path, textfiles: pathlib.Path) -> Iterator[Server]:
    """Run a node_exporter that shows the files of a folder, and nothing of this machine."""
    program = require("prometheus-node-exporter", package="prometheus-node-exporter")
    options = [
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={textfiles}",
        "--web.listen-address=127.0.0.1:0",
    ]
    with running([program, *options], folder) as server:
        server.url = f"http://{await_output(server, LISTENING)[1]}"
        await_answer(server, "/metrics")
        yield server


@contextlib.contextmanager
def pushgateway(folder: pathlib.Path, *options: str) -> Iterator[Server]:
    """Run a Pushgateway that keeps nothing on disk."""
    program = require("prometheus-pushgateway", package="prometheus-pushgateway")
    fixed = ["--web.listen-address=127.0.0.1:0", "--persistence.file="]
    with running([program, *fixed, *options], folder) as server:
        server.url = f"http://{await_output(server, LISTENING)[1]}"
        yield server
