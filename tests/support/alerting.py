"""The servers that watch a site, as ``python -m health_check_dashboards`` configures them, and a receiver of alerts."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import queue
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from health_check_dashboards.__main__ import write
from health_check_dashboards.options import options_of
from tests.support.scraping import ask, prometheus_on, watcher
from tests.support.servers import Server
from tests.support.services import require
from tests.support.small_servers import says, serving


def written(folder: pathlib.Path, said: Mapping[str, str]) -> pathlib.Path:
    """Write the files of a site, and return their folder."""
    write(folder, options_of(said), force=False)
    return folder


def prometheus(
    folder: pathlib.Path, configuration: pathlib.Path, *, program: str | None = None
) -> contextlib.AbstractContextManager[Server]:
    """Run a Prometheus on a configuration, with the console templates beside that: Debian's, if none is named."""
    consoles = f"--web.console.templates={configuration.parent / 'consoles'}"
    return prometheus_on(configuration, program or require("prometheus", package="prometheus"), folder, consoles)


def alertmanager(folder: pathlib.Path, configuration: pathlib.Path) -> contextlib.AbstractContextManager[Server]:
    """Run an Alertmanager on a configuration, alone."""
    program = require("prometheus-alertmanager", package="prometheus-alertmanager")
    options = [f"--config.file={configuration}", f"--storage.path={folder / 'data'}", "--cluster.listen-address="]
    return watcher(program, folder, *options, path="/-/ready")


def blackbox_exporter(folder: pathlib.Path, configuration: pathlib.Path) -> contextlib.AbstractContextManager[Server]:
    """Run a blackbox exporter on a configuration."""
    program = require("prometheus-blackbox-exporter", package="prometheus-blackbox-exporter")
    return watcher(program, folder, f"--config.file={configuration}", path="/-/healthy")


def alerts(prometheus: Server) -> dict[str, list[dict[str, Any]]]:
    """Return the alerts of a Prometheus that fire, by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for alert in ask(prometheus, "alerts")["alerts"]:
        if alert["state"] == "firing":
            found.setdefault(alert["labels"]["alertname"], []).append(alert)
    return found


class Receiver:
    """What a webhook was told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._notifications: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.told: list[tuple[str, str]] = []
        """The names and statuses of alerts, in the order in which they came, repetitions included."""
        self.alerts: list[dict[str, Any]] = []
        """These alerts."""
        self.notifications: list[tuple[str, str]] = []
        """Who was notified, and whether of something that fires or is resolved, each time."""

    def tell(self, notification: dict[str, Any]) -> None:
        """Take a notification of Alertmanager's."""
        self._notifications.put(notification)

    def read(self) -> list[tuple[str, str]]:
        """Return what was told so far."""
        with contextlib.suppress(queue.Empty):
            while True:
                notification = self._notifications.get_nowait()
                self.notifications.append((notification["receiver"], notification["status"]))
                for alert in notification["alerts"]:
                    self.told.append((alert["labels"]["alertname"], alert["status"]))
                    self.alerts.append(alert)
        return self.told


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a webhook."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        found.tell(json.loads(server.bodies[-1]))
        says(200, b"")(handler)

    with serving(answer) as server:
        found = Receiver(f"http://{server.address}/")
        yield found


def replaced(file: pathlib.Path, replacements: Iterable[tuple[str, str]]) -> None:
    """Replace texts in a file, all of which have to be there."""
    text = file.read_text()
    for old, new in replacements:
        assert old in text, f"{old!r} is not in {file}"
        text = text.replace(old, new)
    file.write_text(text)
