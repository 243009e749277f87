"""Prometheus and Alertmanager beside the demo, with the files that ``python -m health_check_dashboards`` writes."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from health_check.demo import hosts

QUICK = (
    "--scrape-interval=1s",
    "--evaluation-interval=1s",
    "--gap=15s",
    "--failing-for=5s",
    "--warning-for=5s",
    "--optional-for=10s",
    "--endpoint-for=5s",
    "--keep-firing=1s",
    "--group-wait=1s",
    "--group-interval=2s",
)
"""Waits that suit a demo: what takes minutes at night takes seconds here."""

START_SECONDS = 10.0
"""How long to wait for a process to listen: for web-2, before Prometheus is configured for web-1 alone."""


class StackError(Exception):
    """Say what is missing, and how to get it."""


@contextlib.contextmanager
def running(folder: pathlib.Path, address: str) -> Iterator[dict[str, str]]:
    """Run both for the time of the context.

    Args:
        folder: Where their data and configuration go.
        address: ``host:port`` of web-1.

    Yields:
        Their addresses, by name.

    Raises:
        StackError: If one of them is not installed, or does not start.
    """
    programs = {
        "Prometheus": _program("prometheus"),
        "Alertmanager": _program("prometheus-alertmanager", "alertmanager"),
    }
    listen = {name: f"127.0.0.1:{_free_port()}" for name in programs}
    monitoring = folder / "monitoring"
    _write(monitoring, address, listen["Alertmanager"])
    arguments = {
        "Prometheus": [
            f"--config.file={monitoring / 'prometheus' / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.console.templates={monitoring / 'prometheus' / 'consoles'}",
            f"--web.listen-address={listen['Prometheus']}",
        ],
        "Alertmanager": [
            f"--config.file={monitoring / 'alertmanager' / 'alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            "--cluster.listen-address=",
            f"--web.listen-address={listen['Alertmanager']}",
        ],
    }
    with contextlib.ExitStack() as stack:
        for name, program in programs.items():
            log = folder / f"{name.lower()}.log"
            stack.enter_context(_process(name, [program, *arguments[name]], log, listen[name]))
        yield {name: f"http://{address}" for name, address in listen.items()}


def _program(*names: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise StackError(
        f"{names[0]} is not installed. On Debian and Ubuntu: make demo-stack, "
        "or apt-get install prometheus prometheus-alertmanager."
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _write(folder: pathlib.Path, address: str, alertmanager: str) -> None:
    said = [
        "--job=shop",
        f"--target={address}",
        f"--alertmanager={alertmanager}",
        f"--webhook=http://{address}/alertmanager/",
    ]
    command = [sys.executable, "-m", "health_check_dashboards", str(folder), *said, *QUICK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise StackError(f"The files of the monitoring could not be written: {done.stderr.strip()}")
    configuration = folder / "prometheus" / "prometheus.yml"
    text = configuration.read_text()
    text = text[: text.index("  # The alert HealthCheckProbeFailing")]  # there is no blackbox exporter here
    if other := _address_of_other_host():
        text = text.replace(f"- {address}", f"- {address}\n          - {other}")
    configuration.write_text(text)


def _address_of_other_host() -> str:
    file = hosts.address_file()
    return file.read_text() if _waited(lambda: file.exists() and file.stat().st_size > 0) else ""


def _waited(condition: Callable[[], bool]) -> bool:
    """Wait for something for some seconds, and return whether it came."""
    end = time.monotonic() + START_SECONDS
    while not (is_there := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return is_there


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
        return True
    return False


@contextlib.contextmanager
def _process(name: str, command: list[str], log: pathlib.Path, address: str) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - found on the PATH
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        _waited(lambda: process.poll() is not None or _listens(address))
        if process.poll() is not None:
            raise StackError(f"{name} ended at once: {log.read_text(errors='replace')[-500:]}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
