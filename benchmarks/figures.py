"""The figures: what a benchmark finds, and what it is to find."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """One thing that was measured, several times."""

    what: str
    """What was measured."""
    against: str = ""
    """What it was measured against; empty if against nothing."""
    unit: str
    """What it counts in; ``×`` for a ratio."""
    minimum: float
    """The smallest value."""
    median: float
    """The middle one."""
    maximum: float
    """The greatest."""
    target: float | None = None
    """What the median is to be at most."""
    microseconds: float | None = None
    """Of a ratio: how long the thing takes, in the middle."""
    more: float | None = None
    """Of a ratio: how many microseconds longer than what it is measured against."""

    @classmethod
    def of(cls, what: str, values: Sequence[float], unit: str, *, target: float | None = None) -> Figure:
        """Return the figure of some values."""
        return cls(
            what=what,
            unit=unit,
            minimum=min(values),
            median=statistics.median(values),
            maximum=max(values),
            target=target,
        )

    @property
    def met(self) -> bool:
        """Whether it is as small as it is to be."""
        return self.target is None or self.median <= self.target

    def line(self) -> str:
        """Return it as a line of the table."""
        target = "" if self.target is None else f"{self.target:g}{'' if self.met else ' !'}"
        numbers = f"{self.minimum:9.2f} {self.median:9.2f} {self.maximum:9.2f} {self.unit:<4} {target:>8}"
        times = "" if self.microseconds is None else f"{self.microseconds:10.1f} {self.more or 0.0:+9.1f}"
        return f"{self.what:<52} {self.against:<28} {numbers} {times}".rstrip()


HEADER = f"{'':<52} {'against':<28} {'min':>9} {'median':>9} {'max':>9} {'':<4} {'target':>8} {'µs':>10} {'more':>9}"
"""What stands above the lines."""
