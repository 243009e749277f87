"""The backlog: what the store has missed."""

from __future__ import annotations

from health_check.records import Outcome, Result
from health_check.stores import Key, Publication
from health_check.stores.backlog import Backlog

KEY = Key(label="Database")


def publication() -> Publication:
    """Return the outcome of a run."""
    result = Result(time_taken=0.1, started=1.0, finished=1.1, host="here", pid=1)
    return Publication(key=KEY, result=result, max_age=10)


def test_discount__takes_back_what_was_counted() -> None:
    """A run that the store knows of, after all, is not brought to it again."""
    backlog = Backlog()
    backlog.publish(publication())
    backlog.publish(publication())
    backlog.discount(publication())
    assert backlog.take().totals[KEY].runs[Outcome.OK] == 1


def test_discount__after_the_store_was_told__takes_nothing() -> None:
    """What was brought to the store is not taken from it: totals never go back."""
    backlog = Backlog()
    backlog.publish(publication())
    backlog.take()
    backlog.discount(publication())
    assert backlog.is_empty


def test_put_back__adds_to_what_came_meanwhile() -> None:
    """What could not be brought is kept, with what was counted since."""
    backlog = Backlog()
    backlog.publish(publication())
    unsent_now = backlog.take()
    backlog.publish(publication())
    backlog.put_back(unsent_now)
    assert backlog.take().totals[KEY].runs[Outcome.OK] == 2
