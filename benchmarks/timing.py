"""The timing: candidates take turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from benchmarks.figures import Figure

SECONDS = 0.05
"""How long one turn of the quickest candidate is to take at least."""

ROUNDS = 21
"""How many turns each candidate has."""


class Timed(Protocol):
    """What can be timed."""

    def seconds(self, calls: int) -> float:
        """Do it some times, and return how long one takes."""


class Local:
    """A function of this process.

    Args:
        function: The function.
        clock: What is told of it: how long it takes, or the processor time of all threads or of this one.
    """

    def __init__(self, function: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> None:
        self._function = function
        self._clock = clock

    def seconds(self, calls: int) -> float:
        """Call it some times, and return how long one call takes."""
        function, clock = self._function, self._clock
        gc.collect()
        start = clock()
        for _ in range(calls):
            function()
        return (clock() - start) / calls


def compare(
    what: str,
    thing: Timed | Callable[[], object],
    against: str,
    other: Timed | Callable[[], object],
    *,
    target: float | None = None,
) -> Figure:
    """Time two things in turns.

    Args:
        what: What the first is.
        thing: The first, a function say.
        against: What the second is.
        other: The second.
        target: What the median of the ratios is to be at most.
    """
    times = _interleaved([each if not callable(each) else Local(each) for each in (thing, other)])
    ratios = [mine / others for mine, others in zip(*times, strict=True)]
    return dataclasses.replace(
        Figure.of(what, ratios, "×", target=target),
        against=against,
        microseconds=statistics.median(times[0]) * 1e6,
        more=statistics.median(mine - others for mine, others in zip(*times, strict=True)) * 1e6,
    )


def _interleaved(things: Sequence[Timed]) -> list[list[float]]:
    """Return how long each thing takes, in each round."""
    calls = max(1, round(SECONDS / min(thing.seconds(3) for thing in things)))
    times: list[list[float]] = [[] for _ in things]
    for number in range(ROUNDS):
        turns = list(enumerate(things))
        for index, thing in turns if number % 2 else reversed(turns):
            times[index].append(thing.seconds(calls))
    return times
