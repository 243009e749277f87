"""How often tests repeat what they do: a tenth at each change, all of it under ``make test-long``."""

from __future__ import annotations

import os

import pytest
from _pytest.mark import ParameterSet

FACTOR = float(os.environ.get("TEST_FACTOR", "0.1"))
"""Which part of all repetitions there is; from 1 on, what is marked ``long`` is run, too."""

LONG = FACTOR >= 1


def times(most: int, *, least: int = 1) -> int:
    """Return how often to repeat something.

    Args:
        most: How often under ``make test-long``.
        least: How often it takes to notice anything.
    """
    return max(least, round(most * FACTOR))


def long(*values: object) -> ParameterSet:
    """Return parameters that are for ``make test-long`` alone: others of the same test hold the same promise."""
    return pytest.param(*values, marks=pytest.mark.long)
