"""What a process lacks itself is told from what is wrong with a service."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.records import State
from health_check.runner.resources import DESCRIPTORS, MEMORY, THREADS, lacking
from health_check.stores import StoreError
from tests.support.bench import MovableClock, Script, SharedStore, Worker


def wrapped(error: Exception) -> ServiceUnavailable:
    """Return what a check makes of an exception of its client's."""
    try:
        try:
            raise error
        except type(error) as cause:
            raise StoreError("could not connect") from cause
    except StoreError as cause:
        outer = ServiceUnavailable("gone")
        outer.__context__ = cause
        return outer


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (OSError(errno.EMFILE, "Too many open files"), DESCRIPTORS),
        (OSError(errno.ENFILE, "Too many open files in system"), DESCRIPTORS),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
        (MemoryError(), MEMORY),
        (RuntimeError("can't start new thread"), THREADS),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), ""),
        (RuntimeError("Too many open files, says the server"), ""),
    ],
)
def test_lacking__behind_any_exception(error: Exception, lacks: str) -> None:
    """The system's error counts, wherever it is behind what a client and a check make of it."""
    assert lacking([error]) == lacking([ServiceUnavailable("other"), wrapped(error)]) == lacks


@pytest.fixture
def limited() -> Iterator[Callable[[], None]]:
    """A function that leaves this process two descriptors until the end of the test."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)

    def limit() -> None:
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 2, limits[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_lacking__clients_hide_the_error(limited: Callable[[], None]) -> None:
    """Where nothing says so, descriptors are tried; a warning is none of that."""
    error = ServiceUnavailable("unable to open database file")
    assert lacking([error]) == ""
    limited()
    assert lacking([error]) == DESCRIPTORS
    assert lacking([ServiceWarning("slow")]) == ""
    assert lacking([]) == ""


def test_outcome__of_a_process_that_cannot_judge__is_its_own(settings: Settings) -> None:
    """It is shown by that process for as long as ever, and others run the check themselves; it counts nowhere."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 8, "MAX_AGE": 10}
    store = SharedStore(MovableClock())
    script = Script(MemoryError(), None)
    definition = script.define()
    one, other = Worker(store.clock, lambda: store), Worker(store.clock, lambda: store)
    for _ in range(2):
        reading = one.read(definition)
        assert reading.state is State.ERROR
        assert "this process has no memory left" in reading.pretty_status
    assert script.runs == 1
    assert other.read(definition).state is State.OK
    assert one.read(definition).state is State.ERROR
    store.clock.forward(9.9)
    other.read(definition, force=True)
    store.clock.forward(0.2)
    record = one.read(definition).record
    assert record is not None
    assert record.result.state is State.OK
    assert sum(record.totals.runs.values()) == 2
    one.close()
    other.close()
