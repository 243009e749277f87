"""Prometheus and what stands beside it, for tests: each on a free loopback port."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

from tests.support.client import get
from tests.support.servers import ROOT, Server, listening
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


def watcher(program: str, folder: pathlib.Path, *options: str, path: str) -> contextlib.AbstractContextManager[Server]:
    """Run one of Prometheus' family; once it is ready, it answers at this path, if any."""
    return listening([program, *options, "--web.listen-address=127.0.0.1:0"], folder, address=LISTENING, path=path)


def prometheus_on(
    configuration: pathlib.Path, program: str, folder: pathlib.Path, *options: str
) -> contextlib.AbstractContextManager[Server]:
    """Run a Prometheus that keeps exemplars on a configuration, with its data in a folder."""
    fixed = [f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'data'}"]
    return watcher(program, folder, *fixed, "--enable-feature=exemplar-storage", *options, path="/-/ready")


def scraping(
    program: str, folder: pathlib.Path, jobs: Sequence[dict[str, Any]], *, seconds: float
) -> contextlib.AbstractContextManager[Server]:
    """Run a Prometheus.

    Args:
        program: Which one.
        folder: Where its data goes; in it, ``targets.json`` says whom to scrape.
        jobs: What to scrape, as ``scrape_configs`` has it, but for whom.
        seconds: How often, and for how long to wait for an answer.
    """
    folder.mkdir(parents=True, exist_ok=True)
    interval = {"scrape_interval": f"{seconds * 1000:.0f}ms", "scrape_timeout": f"{seconds * 1000:.0f}ms"}
    discovery = {"file_sd_configs": [{"files": [str(folder / "targets.json")]}]}
    configuration = folder / "prometheus.yml"
    configuration.write_text(json.dumps({"global": interval, "scrape_configs": [{**discovery, **job} for job in jobs]}))
    return prometheus_on(configuration, program, folder)


def prometheus(folder: pathlib.Path, target: Server) -> contextlib.AbstractContextManager[Server]:
    """Run a Prometheus that scrapes a site every second."""
    folder.mkdir()
    scrape(folder, target)
    return scraping(require("prometheus", package="prometheus"), folder, [{"job_name": "site"}], seconds=1.0)


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
    assert answer.status == 200, f"{query}: {answer.body}"
    return answer.json()["data"]


def query(prometheus: Server, expression: str) -> list[tuple[dict[str, str], float]]:
    """Return the label sets and values of an instant vector, as Prometheus has it now."""
    return [(each["metric"], float(each["value"][1])) for each in ask(prometheus, "query", query=expression)["result"]]


def node_exporter(folder: pathlib.Path, textfiles: pathlib.Path) -> contextlib.AbstractContextManager[Server]:
    """Run a node_exporter that shows the files of a folder, and nothing of this machine."""
    program = require("prometheus-node-exporter", package="prometheus-node-exporter")
    options = ["--collector.disable-defaults", "--collector.textfile", f"--collector.textfile.directory={textfiles}"]
    return watcher(program, folder, *options, path="/metrics")


def pushgateway(folder: pathlib.Path, *options: str) -> contextlib.AbstractContextManager[Server]:
    """Run a Pushgateway that keeps nothing on disk."""
    program = require("prometheus-pushgateway", package="prometheus-pushgateway")
    return watcher(program, folder, "--persistence.file=", *options, path="")
