"""The runs of a reader that runs checks in its own thread."""

from __future__ import annotations

import threading

from health_check.concurrency.clock import Clock
from health_check.concurrency.futures import Future
from health_check.monitor.inline import InlineRuns
from health_check.runner.run import Run
from health_check.stores import Key, Lease
from health_check.stores.client import NO_STORE
from tests.support.bench import SECONDS
from tests.support.readings import definition


def run_of(label: str) -> Run:
    """Return a run that is not started."""
    return Run(
        definition(label),
        outcome=Future(),
        decided=lambda *_: None,
        ended=lambda _: None,
        lease=Lease(key=Key(label=label), token=NO_STORE),
        clock=Clock(),
    )


def test_take__in_order() -> None:
    """Runs are taken in the order in which they were put there, each once."""
    inline_runs = InlineRuns()
    runs = [run_of(label) for label in "abc"]
    assert inline_runs.put(runs[:1])
    assert inline_runs.put(runs[1:])
    assert [inline_runs.take() for _ in range(4)] == [*runs, None]


def test_news__of_a_run_from_another_thread() -> None:
    """A reader that waits hears of runs that other threads put there."""
    inline_runs, run = InlineRuns(), run_of("a")
    news = inline_runs.news
    assert not news.done()
    putting = threading.Thread(target=inline_runs.put, args=([run],))
    putting.start()
    assert news.wait(SECONDS)
    putting.join()
    assert inline_runs.take() is run


def test_news__are_new_each_time() -> None:
    """What was rung before a reader looked does not wake it again, and no ringing after that is lost."""
    inline_runs = InlineRuns()
    first = inline_runs.news
    inline_runs.ring()
    second = inline_runs.news
    assert first.done()
    assert not second.done()
    inline_runs.ring()
    assert second.done()


def test_leave__what_was_not_taken_is_returned() -> None:
    """A reader that goes away gets what nobody took, and nothing is put there any more."""
    inline_runs = InlineRuns()
    runs = [run_of(label) for label in "abc"]
    inline_runs.put(runs)
    inline_runs.take()
    assert inline_runs.leave() == runs[1:]
    news = inline_runs.news
    assert not inline_runs.put([run_of("d")])
    assert not news.done()
