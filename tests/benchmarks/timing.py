"""The timing: candidates take turns, so that whatever else the machine does hits all of them alike."""

from __future__ import annotations

import dataclasses
import gc
import statistics
import time
from collections.abc import Callable, Sequence

SECONDS = 0.05
"""How long one turn of the quickest candidate is to take at least."""

ROUNDS = 21
"""How many turns each candidate has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ratio:
    """How much longer one thing takes than another, turn by turn."""

    what: str
    """What was measured."""
    against: str
    """What it was measured against."""
    minimum: float
    """The smallest ratio."""
    median: float
    """The middle one."""
    maximum: float
    """The greatest."""
    seconds: float
    """How long the thing takes, in seconds, in the middle."""
    difference: float
    """How much longer that is, in seconds, in the middle."""
    target: float | None = None
    """What the median is to be at most."""

    @property
    def met(self) -> bool:
        """Whether it is as small as it is to be."""
        return self.target is None or self.median <= self.target


def compare(
    what: str, thing: Callable[[], object], against: str, other: Callable[[], object], *, target: float | None = None
) -> Ratio:
    """Time two functions in turns.

    Args:
        what: What the first does.
        thing: The first.
        against: What the second does.
        other: The second.
        target: What the median of the ratios is to be at most.
    """
    times = _interleaved([thing, other])
    ratios = [mine / others for mine, others in zip(*times, strict=True)]
    return Ratio(
        what=what,
        against=against,
        minimum=min(ratios),
        median=statistics.median(ratios),
        maximum=max(ratios),
        seconds=statistics.median(times[0]),
        difference=statistics.median(mine - others for mine, others in zip(*times, strict=True)),
        target=target,
    )


def _interleaved(functions: Sequence[Callable[[], object]]) -> list[list[float]]:
    """Return how long one call of each function takes, in each round."""
    calls = max(1, round(SECONDS / min(_once(function, 3) for function in functions)))
    times: list[list[float]] = [[] for _ in functions]
    for number in range(ROUNDS):
        turns = list(enumerate(functions))
        for index, function in turns if number % 2 else reversed(turns):
            times[index].append(_once(function, calls))
    return times


def _once(function: Callable[[], object], calls: int) -> float:
    gc.collect()
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls
