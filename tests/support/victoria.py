"""VictoriaMetrics and vmalert, which ``make victoria-metrics`` fetches, for tests: each on a free loopback port."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
from collections.abc import Iterator

import pytest

from tests.support.servers import ROOT, Server, await_answer, free_port, running

FOLDER = ROOT / "build" / "victoria-metrics"


def victoria_program(name: str) -> str:
    """Return one of the programs; without it the test is skipped."""
    found = shutil.which(name, path=str(FOLDER))
    if found is None:
        pytest.skip(f"{name} is not there: make victoria-metrics")
    return found


def victoria_metrics(folder: pathlib.Path, relabeling: pathlib.Path) -> contextlib.AbstractContextManager[Server]:
    """Run a VictoriaMetrics that takes OTLP, and shows at once what it has taken."""
    options = [
        f"-storageDataPath={folder / 'data'}",
        "-opentelemetry.usePrometheusNaming",
        f"-relabelConfig={relabeling}",
        "-search.latencyOffset=0s",
    ]
    return _serving(folder, "victoria-metrics", *options)


def vmalert(
    folder: pathlib.Path, rules: pathlib.Path, store: Server, alertmanager: Server | None
) -> contextlib.AbstractContextManager[Server]:
    """Run a vmalert that evaluates rules each second, and tells an Alertmanager, or nobody."""
    options = [
        f"-rule={rules}",
        f"-datasource.url={store.url}",
        f"-remoteWrite.url={store.url}",
        f"-remoteRead.url={store.url}",
        f"-notifier.url={alertmanager.url}" if alertmanager else "-notifier.blackhole",
        "-evaluationInterval=1s",
        "-rule.evalDelay=0s",
        "-remoteWrite.flushInterval=200ms",
    ]
    return _serving(folder, "vmalert", *options)


@contextlib.contextmanager
def _serving(folder: pathlib.Path, name: str, *options: str) -> Iterator[Server]:
    address = f"127.0.0.1:{free_port()}"
    with running([victoria_program(name), f"-httpListenAddr={address}", *options], folder) as server:
        server.url = f"http://{address}"
        await_answer(server, "/health")
        yield server
