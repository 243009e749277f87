"""The words of the page for times, durations and shares."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from django.utils import timezone
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext

from health_check.past import Period
from health_check.records import State

SIGNS = {State.OK: "✓", State.WARNING: "!", State.ERROR: "✗", State.UNKNOWN: "?"}
"""What stands for the states besides their colours."""

WORST_FIRST = {State.ERROR: 0, State.UNKNOWN: 1, State.WARNING: 2, State.OK: 3}

STEPS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 60, ""))
"""The units of ages with their seconds, each with the next smaller one, if that is shown."""


def duration(seconds: float) -> str:
    """Return a duration as people read it: milliseconds below one second."""
    if seconds < 0.0001:
        return "< 0.1 ms"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def brief(seconds: float) -> str:
    """Return a duration as two digits say it, or three: ``2.0 ms``, ``30 ms``, ``210 ms``, ``1.4 s``."""
    if seconds < 0.0001:
        return "< 0.1 ms"
    number, unit = (seconds * 1000, "ms") if seconds < 0.9995 else (seconds, "s")
    return f"{number:.1f} {unit}" if number < 9.95 else f"{number:.0f} {unit}"


def span(seconds: float) -> str:
    """Return how long something has lasted, in one unit or, from an hour on, in two: ``7 min``, ``3 h 20 min``."""
    seconds = max(0.0, seconds)
    if seconds < 120:
        return f"{seconds:.0f} s"
    size, unit, smaller, its_unit = next(step for step in STEPS if seconds >= step[0])
    number, rest = divmod(int(seconds), size)
    more = rest // smaller if number < 10 else 0
    return f"{number} {unit} {more} {its_unit}" if more else f"{number} {unit}"


def age(moment: float | None, now: float) -> str:
    """Return how long ago something was."""
    return gettext("never") if moment is None else gettext("%(span)s ago") % {"span": span(now - moment)}


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text that is masked already."""
    return text if len(text) <= most else f"{text[:most]} …"


def timestamp(unix_seconds: float) -> datetime.datetime:
    """Return a Unix time as a datetime in UTC."""
    return datetime.datetime.fromtimestamp(unix_seconds, datetime.UTC)


def local(moment: float) -> datetime.datetime:
    """Return a Unix time in the time zone of the site."""
    return datetime.datetime.fromtimestamp(moment, timezone.get_default_timezone())


def clock(moment: float, now: float, *, seconds: bool = False) -> str:
    """Return when something was: the time alone of today, with its day else."""
    then = local(moment)
    time = "H:i:s" if seconds else "H:i"
    return date_format(then, time if then.date() == local(now).date() else f"j M {time}")


def percent(share: float | None) -> str:
    """Return a share as a percentage that is 100 only if nothing is missing; a dash where it is not known."""
    if share is None:
        return "–"
    if share == 1:
        return "100 %"
    return f"{min(int(share * 10000), 9999) / 100:.2f} %"


def uptime(*series: Sequence[Period]) -> float | None:
    """Return the share of runs without errors; None without runs.

    Of several checks it is that of the worst one in each period: who needs all of them is down while any fails, however
    many others are fine.
    """
    worst: dict[int, tuple[int, int, int]] = {}  # runs without errors, all runs, and those of the check with most
    for periods in series:
        for start, _, ok, warning, error, timeout, *_ in periods:
            good, runs = ok + warning, ok + warning + error + timeout
            if runs:
                least, of, most = worst.get(start, (good, runs, runs))
                worst[start] = (*min((least, of), (good, runs), key=_share), max(most, runs))
    total = sum(most for _, _, most in worst.values())
    return sum(good * most / runs for good, runs, most in worst.values()) / total if total else None


def _share(part: tuple[int, int]) -> float:
    return part[0] / part[1]
