"""The servers that watch a site, as ``python -m health_check_dashboards`` configures them, and a receiver of alerts."""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from health_check_dashboards.__main__ import write
from health_check_dashboards.options import options_of
from tests.support.client import get
from tests.support.scraping import LISTENING
from tests.support.servers import Server, await_answer, await_output, running
from tests.support.services import require


def written(folder: pathlib.Path, said: Mapping[str, str]) -> pathlib.Path:
    """Write the files of a site, and return their folder."""
    write(folder, options_of(said), force=False)
    return folder


@contextlib.contextmanager
def prometheus(folder: pathlib.Path, configuration: pathlib.Path, *, program: str | None = None) -> Iterator[Server]:
    """Run a Prometheus on a configuration, with the console templates beside that: Debian's, if none is named."""
    options = [
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.console.templates={configuration.parent / 'consoles'}",
        "--enable-feature=exemplar-storage",
        "--web.listen-address=127.0.0.1:0",
    ]
    with running([program or require("prometheus", package="prometheus"), *options], folder) as server:
        yield _ready(server, "/-/ready")


@contextlib.contextmanager
def alertmanager(folder: pathlib.Path, configuration: pathlib.Path) -> Iterator[Server]:
    """Run an Alertmanager on a configuration, alone."""
    program = require("prometheus-alertmanager", package="prometheus-alertmanager")
    options = [f"--config.file={configuration}", f"--storage.path={folder / 'data'}", "--cluster.listen-address="]
    with running([program, *options, "--web.listen-address=127.0.0.1:0"], folder) as server:
        yield _ready(server, "/-/ready")


@contextlib.contextmanager
def blackbox_exporter(folder: pathlib.Path, configuration: pathlib.Path) -> Iterator[Server]:
    """Run a blackbox exporter on a configuration."""
    program = require("prometheus-blackbox-exporter", package="prometheus-blackbox-exporter")
    options = [f"--config.file={configuration}", "--web.listen-address=127.0.0.1:0"]
    with running([program, *options], folder) as server:
        yield _ready(server, "/-/healthy")


def _ready(server: Server, path: str) -> Server:
    server.url = "http://" + await_output(server, LISTENING)[1]
    await_answer(server, path)
    return server


def alerts(prometheus: Server) -> dict[str, list[dict[str, Any]]]:
    """Return the alerts of a Prometheus that fire, by name."""
    found: dict[str, list[dict[str, Any]]] = {}
    for alert in get(f"{prometheus.url}/api/v1/alerts").json()["data"]["alerts"]:
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

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.tell(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
            """Print nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Receiver(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


def replaced(file: pathlib.Path, replacements: Iterable[tuple[str, str]]) -> None:
    """Replace texts in a file, all of which have to be there."""
    text = file.read_text()
    for old, new in replacements:
        assert old in text, f"{old!r} is not in {file}"
        text = text.replace(old, new)
    file.write_text(text)
