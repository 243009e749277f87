"""How long runs took: a sample of them, two hexadecimal digits each, and what is usual among them."""

from __future__ import annotations

import binascii
import functools
import math
from collections.abc import Iterable
from typing import NamedTuple

SAMPLE_SECONDS = 120
"""Of the runs that ended within so many seconds, the first is part of the sample; a half hour has so at most 15."""

MOST_SAMPLES = 48
"""How many runs of a half hour, or a day, the sample has: of more, as of many hosts, an even choice."""

LEAST_SECONDS = 0.0001
STEPS_PER_DECADE = 36
"""The scale is logarithmic: a step is 6.6 %, and there are 256 from 0.1 ms to 20 minutes."""

SECONDS = (0.0, *(LEAST_SECONDS * 10 ** (step / STEPS_PER_DECADE) for step in range(1, 256)))
"""What each step stands for."""


class Spread(NamedTuple):
    """What is usual among times taken, in seconds: eight runs of ten took from ``low`` to ``high``."""

    low: float
    """The 10th percentile."""
    median: float
    """The 50th percentile."""
    high: float
    """The 90th percentile."""


def sample_of(seconds: float) -> bytes:
    """Return the two digits of a run that took so long."""
    step = round(STEPS_PER_DECADE * math.log10(seconds / LEAST_SECONDS)) if seconds > LEAST_SECONDS else 0
    return b"%02x" % min(step, 255)


def joined(samples: Iterable[bytes]) -> bytes:
    """Return samples as one; an even choice where they are many."""
    text = b"".join(samples)
    number = len(text) // 2
    if number <= MOST_SAMPLES:
        return text
    places = (place * number // MOST_SAMPLES for place in range(MOST_SAMPLES))
    return b"".join([text[2 * place : 2 * place + 2] for place in places])


@functools.lru_cache(maxsize=5000)
def spread_of_one(sample: bytes, longest: float) -> Spread | None:
    """Return what is usual among the times of one sample: those of past half hours are asked for again and again."""
    return spread_of((sample,), longest)


def spread_of(samples: Iterable[bytes], longest: float) -> Spread | None:
    """Return what is usual among the times of samples; None without any, or where one is damaged.

    Args:
        samples: The samples.
        longest: How long the longest run took, in seconds: a step of the scale may be more.
    """
    try:
        steps = sorted(binascii.unhexlify(b"".join(samples)))
    except ValueError:
        return None
    if not steps:
        return None
    last = len(steps) - 1
    low, median, high = (min(SECONDS[steps[round(part * last)]], longest) for part in (0.1, 0.5, 0.9))
    return Spread(low, median, high)
