"""The graphs of the page, as SVG without styles: states and times taken over half hours or days."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence

from django.utils.dateformat import format as date_format
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext, ngettext

from health_check.past import DAY, Period
from health_check.records import State
from health_check.views.words import local, percent, uptime

STEP = 7
"""How wide a bar is, with the gap after it."""

HEIGHT = 20

TOPS = {State.OK: 5, State.WARNING: 2, State.ERROR: 0, State.UNKNOWN: 14}
"""Where the bar of each state begins: what is bad is higher, and so can be seen without colours."""


def history_bars(periods: Sequence[Period], *, range_name: str) -> SafeString:
    """Return a bar for each period; a sentence says the same to screen readers.

    Args:
        periods: The half hours or days, oldest first.
        range_name: How long they are together, in words.
    """
    found = _by_state(periods)
    parts = [
        f'<path class="{state.value}" d="{"".join(_bar(state, position) for position in found[state])}"/>'
        for state in (State.OK, State.UNKNOWN)
        if found[state]
    ]
    for state in (State.WARNING, State.ERROR):
        for position in found[state]:
            title = escape(_told(periods[position]))
            parts.append(f'<path class="{state.value}" d="{_bar(state, position)}"><title>{title}</title></path>')
    label = escape(_sentence(periods, found, range_name))
    return _svg("bars", len(periods), parts, f'role="img" aria-label="{label}"')


def _by_state(periods: Sequence[Period]) -> Mapping[State, list[int]]:
    """Return which periods are in which state, by their positions."""
    positions: dict[State, list[int]] = {state: [] for state in State}
    for position, period in enumerate(periods):
        positions[period.state].append(position)
    return positions


def _sentence(periods: Sequence[Period], found: Mapping[State, list[int]], range_name: str) -> str:
    """Return in words what the bars show."""
    is_days = bool(periods) and periods[0].length == DAY
    told = [
        gettext("%(state)s in %(times)s") % {"state": state.value, "times": _times(len(found[state]), is_days)}
        for state in (State.ERROR, State.WARNING)
        if found[state]
    ]
    if found[State.UNKNOWN]:
        told.append(gettext("not observed in %(times)s") % {"times": _times(len(found[State.UNKNOWN]), is_days)})
    share = uptime(periods)
    told.append(gettext("no runs") if share is None else gettext("%(share)s up") % {"share": percent(share)})
    return gettext("Last %(range)s: %(told)s") % {"range": range_name, "told": "; ".join(told)}


def duration_lines(periods: Sequence[Period]) -> SafeString:
    """Return how long runs took: a line for the median, and a band that eight runs of ten are in."""
    spreads = [period.spread for period in periods]
    highest = max((spread.high for spread in spreads if spread), default=0.0)
    if highest <= 0:
        return mark_safe("")
    scale, parts = (HEIGHT - 2) / highest, []
    for has_runs, group in itertools.groupby(enumerate(spreads), lambda pair: pair[1] is not None):
        if not has_runs:
            continue
        positions, part = zip(*group, strict=True)
        left, right = positions[0] * STEP, (positions[-1] + 1) * STEP  # as wide as the bars, also of one that is alone
        xs = [left, *range(left + STEP // 2, right, STEP), right]
        lows, medians, highs = zip(part[0], *part, part[-1], strict=True)
        low, median, high = (_points(xs, seconds, scale) for seconds in (lows, medians, highs))
        parts.append(f'<path class="band" d="M{" ".join([*high, *reversed(low)])}z"/>')
        parts.append(f'<path class="median" d="M{" ".join(median)}"/>')
    return _svg("times", len(periods), parts, 'aria-hidden="true"')


def _svg(name: str, bars: int, parts: Iterable[str], attributes: str) -> SafeString:
    box = f"0 0 {bars * STEP} {HEIGHT}"
    return mark_safe(  # noqa: S308 - numbers, our own names, and what was escaped
        f'<svg class="{name}" viewBox="{box}" preserveAspectRatio="none" {attributes}>{"".join(parts)}</svg>'
    )


@functools.lru_cache(maxsize=1000)
def _bar(state: State, position: int) -> str:
    return f"M{position * STEP} {TOPS[state]}h{STEP - 1.5}V{HEIGHT}h-{STEP - 1.5}z"


def _told(period: Period) -> str:
    bad = period.warning + period.error + period.timeout
    text = ngettext("%(bad)d of %(runs)d run not ok", "%(bad)d of %(runs)d runs not ok", period.runs)
    start = local(period.start)
    when = date_format(start, "j M") if period.length == DAY else date_format(start, "j M H:i")
    return f"{when}: {text % {'bad': bad, 'runs': period.runs}}"


def _times(number: int, is_days: bool) -> str:
    if is_days:
        return ngettext("%(number)d day", "%(number)d days", number) % {"number": number}
    return ngettext("%(number)d half hour", "%(number)d half hours", number) % {"number": number}


def _points(xs: Sequence[int], seconds: Sequence[float], scale: float) -> list[str]:
    return [f"{x},{HEIGHT - 1 - value * scale:.1f}" for x, value in zip(xs, seconds, strict=True)]
