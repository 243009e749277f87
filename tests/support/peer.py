"""Processes of their own that use one file, doing what a test tells them; a line of JSON each way."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from health_check.stores import Lease, StoreError
from health_check.stores.site import site
from health_check.stores.sqlite import SQLiteStore
from tests.support.places import KEY, Place, ask, look, publish
from tests.support.servers import ROOT, clean_environment

TRIES = 20
"""How often to ask for a lease before the store counts as unusable."""


class Peer:
    """The test's side: a process that was started.

    Args:
        process: The process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def send(self, name: str, *arguments: object) -> None:
        """Have it do something, without waiting for that."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps([name, arguments])}\n")
        self.process.stdin.flush()

    def receive(self) -> Any:
        """Return what came of it.

        Raises:
            StoreError: If the store could not be used there.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "It ended: see its traceback"
        value, error = json.loads(line)
        if error is not None:
            raise StoreError(error)
        return value

    def call(self, name: str, *arguments: object) -> Any:
        """Have it do something, and return what came of it."""
        self.send(name, *arguments)
        return self.receive()


@contextlib.contextmanager
def peer(
    file: pathlib.Path | None, *, environment: Mapping[str, str] | None = None, wrapper: Sequence[str] = ()
) -> Iterator[Peer]:
    """Run a process that has a store.

    Args:
        file: Its file; None for the default one.
        environment: What its environment has besides.
        wrapper: A command that runs the command that follows it.
    """
    command = [*wrapper, sys.executable, "-m", __name__, *([str(file)] if file else [])]
    variables = {**clean_environment(), "DJANGO_SETTINGS_MODULE": "tests.settings", **(environment or {})}
    with subprocess.Popen(
        command, cwd=ROOT, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Peer(process)
        finally:
            process.kill()


@contextlib.contextmanager
def peers(file: pathlib.Path, count: int) -> Iterator[list[Peer]]:
    """Run several of them, and wait until all are there."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(peer(file)) for _ in range(count)]
        for one in made:
            one.call("pid")
        yield made


class Actions:
    """The process's side: what it can do."""

    def __init__(self, file: str | None) -> None:
        self.store = SQLiteStore(path=file)
        self.place = Place(create_store=lambda clock: self.store)
        self.filler: pathlib.Path | None = None

    def pid(self) -> int:
        """Return the number of the process."""
        return os.getpid()

    def site(self) -> str:
        """Return what stands for its site."""
        return site()

    def path(self) -> str:
        """Return its file."""
        return str(self.store.path)

    def probe(self) -> None:
        """Open the file."""
        self.store.probe()

    def acquire(self, at: float = 0.0, lease_seconds: float = 30.0) -> str | None:
        """Ask for the lease at a moment of the monotonic clock, and return its token."""
        while time.monotonic() < at:
            pass
        entry = None
        for left in reversed(range(TRIES)):  # who builds the file may wait long for a processor, with it locked
            with contextlib.suppress(StoreError) if left else contextlib.nullcontext():
                entry = ask(self.store, lease_seconds=lease_seconds)
                break
        return None if entry is None or entry.lease is None else entry.lease.token

    def publish(self, token: str) -> bool:
        """Publish a run under a lease, and return whether that was in force."""
        return publish(self.store, self.place.run(), lease=Lease(key=KEY, token=token), after=look(self.store).record)

    def runs(self) -> int:
        """Return how many runs are counted."""
        record = look(self.store).record
        return 0 if record is None else sum(record.totals.runs.values())

    def force(self, times: int, patient: bool = True) -> None:
        """Run the check again and again, fresh or not, waiting while another has the lease, and for the file."""
        for _ in range(times):
            while not self._forced(patient):
                pass

    def _forced(self, patient: bool) -> bool:
        with contextlib.suppress(StoreError) if patient else contextlib.nullcontext():  # nothing was done
            entry = ask(self.store, force=True, lease_seconds=1.0)
            if entry.lease is not None:
                return publish(self.store, self.place.run(), lease=entry.lease, after=entry.record)
        return False

    def fill(self) -> None:
        """Leave no room in the file system of the file."""
        self.filler = pathlib.Path(self.path()).with_name("filler")
        with contextlib.suppress(OSError), self.filler.open("wb", buffering=0) as output:
            while True:
                output.write(b"x" * 1024)

    def make_room(self) -> None:
        """Undo that."""
        assert self.filler is not None
        self.filler.unlink()


def serve(actions: Actions) -> None:
    """Do what is asked for until nobody asks any more."""
    for line in sys.stdin:
        name, arguments = json.loads(line)
        value, failure = None, None
        try:
            value = getattr(actions, name)(*arguments)
        except StoreError as error:
            failure = str(error)
        print(json.dumps([value, failure]), flush=True)


if __name__ == "__main__":
    serve(Actions(sys.argv[1] if sys.argv[1:] else None))
