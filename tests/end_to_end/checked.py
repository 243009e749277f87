"""What tests of checks that ask real servers have in common."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Iterator

import psutil

from health_check.backends import HealthCheck
from health_check.labels import label_of
from tests.end_to_end.client import eventually

BUDGET_SECONDS = 2.0
"""The time budget of checks whose server does not answer: long enough for a busy machine to answer in."""

LATE_SECONDS = 1.0
"""By how much a check may miss its budget on a busy machine; retrying clients miss it by far more."""

RUNS = 200
"""After how many runs nothing is to be left."""

SECRETS = ("planted", "shopkeeper", "127.0.0.1")
"""What is in every password, user and address of the tests, and in nothing that is shown."""

SECONDS_TO_GO = 20.0
"""How long it may take until what was closed is gone."""


def errors_of(check: HealthCheck) -> list[str]:
    """Return the texts of the errors of a run, which has to end within the check's budget, and to keep secrets.

    Args:
        check: A check whose budget is ``BUDGET_SECONDS``, or that ends sooner.
    """
    start = time.monotonic()
    check.run_check()
    seconds = time.monotonic() - start
    assert seconds < BUDGET_SECONDS + LATE_SECONDS, f"It took {seconds:.1f} s: {check.errors}"
    texts = [str(error) for error in check.errors]
    shown = " ".join([*texts, repr(check), label_of(check)])
    assert not [secret for secret in SECRETS if secret in shown], shown
    return texts


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Verify that this process has as many threads and open files afterwards, connections among them, as before."""
    before = _open()
    yield
    what = f"no more threads and files than {before}, as after the last run {_open()}, {threading.enumerate()}"
    eventually(lambda: _no_more(before), what=what, seconds=SECONDS_TO_GO)


def _no_more(before: tuple[int, int]) -> bool:
    gc.collect()
    return all(now <= then for now, then in zip(_open(), before, strict=True))


def _open() -> tuple[int, int]:
    """Return how many threads, of any library, and how many open files there are."""
    return psutil.Process().num_threads(), psutil.Process().num_fds()
