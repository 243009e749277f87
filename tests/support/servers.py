"""Servers for tests: each on a free loopback port, with its output in a file, and ended whatever happens."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Self

import psutil
import pytest

from tests.support.client import eventually, get
from tests.support.services import require
from tests.support.site.configuration import Site
from tests.support.site.views import THREADS

ROOT = pathlib.Path(__file__).parents[2]
"""The project."""

STOP_SECONDS = 60.0
"""How long a server may take to end after a signal before it is killed."""


@dataclasses.dataclass(kw_only=True)
class Server:
    """A process that was started, and what it printed."""

    process: subprocess.Popen[bytes]
    """The process."""
    log: pathlib.Path
    """Where its output goes."""
    url: str = ""
    """Its address, ``http://127.0.0.1:PORT``."""

    def output(self) -> str:
        """Return what it has printed."""
        return self.log.read_text(errors="replace")

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return self.url.removeprefix("http://")

    def pause(self) -> None:
        """Stop it from doing anything, and wait until it has; the system goes on accepting connections for it."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self) -> None:
        """Let it go on; no harm if it has ended."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without warning, and wait until it is gone."""
        self.process.kill()
        self.process.wait()

    def stop(self, signal_number: int = signal.SIGTERM) -> tuple[int, float]:
        """End it, and return its exit code and how many seconds that took.

        Raises:
            AssertionError: If it had to be killed.
        """
        start = time.monotonic()
        self.process.send_signal(signal_number)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"The server outlived signal {signal_number} by {STOP_SECONDS:g} s") from None
        return code, time.monotonic() - start


@dataclasses.dataclass(kw_only=True)
class Served:
    """A server of a test's own, which may be paused, let go on, killed and started again."""

    folder: pathlib.Path
    """Where its data and its output are."""
    server: Server = dataclasses.field(init=False, repr=False)
    """Its process, and what it printed."""
    _stack: contextlib.ExitStack = dataclasses.field(default_factory=contextlib.ExitStack, repr=False)

    def start(self) -> None:
        """Start it, and wait until it answers, at the same place whenever it is started again."""
        raise NotImplementedError

    def run(self, *command: str | pathlib.Path, environment: Mapping[str, str] | None = None) -> None:
        """Run its program, until ``started()`` ends."""
        self.server = self._stack.enter_context(running(command, self.folder, environment))

    @contextlib.contextmanager
    def started(self) -> Iterator[Self]:
        """Start it, and end it in whatever state it is."""
        with self._stack:
            self.start()
            try:
                yield self
            finally:
                self.close()

    def close(self) -> None:
        """End it in whatever state it is."""
        self.kill()

    def pause(self) -> None:
        """Stop it from doing anything, and wait until it has; the system goes on accepting connections for it."""
        self.server.pause()
        for child in self.children():
            child.suspend()

    def resume(self) -> None:
        """Let it go on; no harm if it has ended."""
        for child in self.children():
            child.resume()
        self.server.resume()

    def kill(self) -> None:
        """End all its processes without warning, and wait until they are gone; no harm if it has ended."""
        self.server.process.send_signal(signal.SIGSTOP)  # it starts no more of them
        children = self.children()
        self.server.kill()
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children, STOP_SECONDS)

    @property
    def is_running(self) -> bool:
        """Whether its process has not ended."""
        return self.server.process.poll() is None

    def children(self) -> list[psutil.Process]:
        """Return the processes that it has started."""
        return psutil.Process(self.server.process.pid).children(recursive=True) if self.is_running else []

    def await_answer(self, answers: Callable[[], object], *, seconds: float = 120.0) -> None:
        """Wait until it answers: a connection that is refused is none."""

        def does_answer() -> bool:
            if not self.is_running:
                raise AssertionError(f"It ended with code {self.server.process.returncode}:\n{self.server.output()}")
            return bool(answers())

        eventually(does_answer, what=f"an answer of {type(self).__name__}", seconds=seconds)


@contextlib.contextmanager
def short_folder(name: str, *, owner: str = "") -> Iterator[pathlib.Path]:
    """Yield a folder with a path short enough for a socket, which another user may own, unlike pytest's."""
    with tempfile.TemporaryDirectory(prefix=f"health-check-{name}-", ignore_cleanup_errors=True) as folder:
        if owner:
            shutil.chown(folder, owner)
        yield pathlib.Path(folder)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str | pathlib.Path], folder: pathlib.Path, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a program; at the end it and its children are ended, or killed where they are stuck.

    Its output is printed at the end, for pytest to show if the test fails.

    Args:
        command: The program and its arguments.
        folder: Its working directory.
        environment: What its environment has beyond ``clean_environment()``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{pathlib.Path(command[0]).name}-{time.monotonic_ns()}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**clean_environment(), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process=process, log=log)
    try:
        yield server
    finally:
        _end(process)
        print(f"--- {' '.join(map(str, command))}\n{server.output()}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its session's group: nothing but this server and its children
    process.wait()


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would configure Django, the demo or the command."""
    drop = ("DJANGO_", "HEALTH_CHECK_", "TEST_SITE", "PYTEST_", "PYTHON", "GUNICORN_", "OTEL_", "HOST", "PORT")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    paths = os.pathsep.join(str(ROOT / folder) for folder in (".", "exporters", "dashboards"))
    return {**kept, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"}


def await_output(server: Server, pattern: str, *, seconds: float = 60.0) -> re.Match[str]:
    """Return the first match of a pattern in what a server prints, as soon as it is there."""

    def found() -> re.Match[str] | None:
        match = re.search(pattern, server.output())
        if match is None and server.process.poll() is not None:
            raise AssertionError(f"It ended with code {server.process.returncode}:\n{server.output()}")
        return match

    return eventually(found, what=f"{pattern!r} in the output", seconds=seconds)


@contextlib.contextmanager
def listening(
    command: Sequence[str | pathlib.Path],
    folder: pathlib.Path,
    environment: Mapping[str, str] | None = None,
    *,
    address: str,
    path: str = "/health/live/",
) -> Iterator[Server]:
    """Run a program that serves HTTP, until it answers.

    Args:
        command: The program and its arguments.
        folder: Its working directory.
        environment: What its environment has beyond ``clean_environment()``.
        address: The pattern of its output that has the address where it listens, ``HOST:PORT``.
        path: What it answers with 200 once it is ready; empty where that it listens is enough.
    """
    with running(command, folder, environment) as server:
        server.url = f"http://{await_output(server, address)[1]}"
        if path:
            await_answer(server, path)
        yield server


def gunicorn(
    folder: pathlib.Path,
    environment: Mapping[str, str],
    *arguments: str,
    application: str = "tests.support.plain.wsgi",
    wrapper: Sequence[str | pathlib.Path] = (),
) -> contextlib.AbstractContextManager[Server]:
    """Serve a site with gunicorn, one worker with 8 threads unless the arguments say otherwise.

    Args:
        folder: Its working directory.
        environment: What its environment has beyond ``clean_environment()``.
        arguments: More options.
        application: What it serves.
        wrapper: A program that starts it, and its arguments: as another user, on another host.
    """
    options = ["--bind=127.0.0.1:0", "--workers=1", f"--threads={THREADS}", "--timeout=120", "--no-control-socket"]
    command = [*wrapper, sys.executable, "-m", "gunicorn", *options, *arguments, application]
    return listening(command, folder, environment, address=r"Listening at: http://(127\.0\.0\.1:\d+)")


def uvicorn(
    folder: pathlib.Path,
    environment: Mapping[str, str],
    *arguments: str,
    application: str = "tests.support.plain.asgi:application",
) -> contextlib.AbstractContextManager[Server]:
    """Serve a site with uvicorn, with more options if any."""
    command = [sys.executable, "-m", "uvicorn", "--port=0", *arguments, application]
    return listening(command, folder, environment, address=r"running on http://(127\.0\.0\.1:\d+)")


def await_answer(server: Server, path: str) -> None:
    """Wait until a server answers 200."""

    def answers() -> bool:
        return get(server.url + path).status == 200

    eventually(answers, what=f"an answer of {server.url}{path}")


def worker_of(server: Server) -> psutil.Process:
    """Return the only worker process of a gunicorn."""
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


def site_under_gunicorn(
    site: Site,
    *arguments: str,
    application: str = "tests.support.plain.wsgi",
    wrapper: Sequence[str | pathlib.Path] = (),
    environment: Mapping[str, str] | None = None,
) -> contextlib.AbstractContextManager[Server]:
    """Serve a test's site with ``gunicorn()``; ``environment`` has more environment variables."""
    variables = {**site.environment(), **(environment or {})}
    return gunicorn(site.folder, variables, *arguments, application=application, wrapper=wrapper)


def manage(
    site: Site, *arguments: str, seconds: float = 60.0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a management command of a site, as ``manage.py`` does, and wait for its end.

    Args:
        site: The site.
        arguments: The command and its arguments.
        seconds: How long it may take.
        environment: More environment variables.
    """
    return subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=site.folder,
        env={**clean_environment(), **site.environment(), **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def standalone_exporter(
    site: Site,
    environment: Mapping[str, str] | None = None,
    *arguments: str,
    wrapper: Sequence[str | pathlib.Path] = (),
) -> contextlib.AbstractContextManager[Server]:
    """Run ``manage.py health_exporter`` beside a test's site.

    Args:
        site: The site.
        environment: More environment variables.
        arguments: More options of the command.
        wrapper: A program that starts it, and its arguments.
    """
    command = [*wrapper, sys.executable, "-m", "django", "health_exporter", "--port=0", *arguments]
    variables = {**site.environment(), **(environment or {})}
    return listening(command, site.folder, variables, address=r"(?m)^Serving .* on http://(127\.0\.0\.1:\d+)$")


def for_everybody(site: Site) -> None:
    """Let every user use the site's folders."""
    site.environment()
    for folder in (site.folder, *site.folder.iterdir()):
        folder.chmod(0o777)


def as_nobody() -> list[str]:
    """Return what makes a program run as the user ``nobody``, who may read all files, wherever Python is."""
    if os.geteuid() != 0:
        pytest.skip("Only root can start programs as other users")
    capability = "-all,+dac_read_search"
    return [
        require("setpriv", package="util-linux"),
        *("--reuid=65534", "--regid=65534", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
    ]
