"""What the page shows: rows, groups, headline, incidents and hosts, in words. Pure except for the clock."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext, ngettext

from health_check._version import __version__
from health_check.backends import HealthCheck
from health_check.conf import host_name, settings, site_name
from health_check.durations import spread_of
from health_check.monitor.history import NO_HISTORY, History
from health_check.monitor.reports import OK_WORDS, Report, Row
from health_check.past import DAY, Incident, Period, total_of
from health_check.records import State
from health_check.views.graphs import duration_lines, history_bars
from health_check.views.headline import counts, headline_of, mood_of, since_of
from health_check.views.hosts import hosts_of, notes_of
from health_check.views.query import NO_QUERY, RANGES, SORTS, Query
from health_check.views.words import (
    SIGNS,
    WORST_FIRST,
    age,
    brief,
    clock,
    duration,
    local,
    percent,
    shortened,
    span,
    timestamp,
    uptime,
)

MOODS = {"ok": "✓", "warning": "!", "draining": "!", "error": "✗"}
"""The signs of the headline, by its mood."""

LONG_MESSAGE = 240
"""How many characters of messages are shown at once; longer ones are folded."""

MOST_OPEN = 30
"""With more rows than this, those that are ok are folded."""

FIRST_INCIDENTS = 10
"""How many incidents are shown at once; earlier ones are folded."""

MOST_OF_INCIDENT = 160
"""How many characters of what an incident began with are shown."""


SECTION = re.compile(r"^(?:Args|Attributes|Example|Examples|Raises|Returns):", re.MULTILINE)
"""What begins the part of a docstring that is for who writes code."""


def page_of(
    report: Report, history: History = NO_HISTORY, query: Query = NO_QUERY, *, drained: bool = False
) -> dict[str, Any]:
    """Return what the template shows of a report.

    Args:
        report: The report.
        history: What is known of the past; not shown where the report has no details.
        query: What to show of it.
        drained: Whether this host is known to be drained, though the endpoint may not answer otherwise for that.
    """
    now = time.time()
    history = history if report.details else NO_HISTORY
    lines = lines_of(report, history, query)
    shown = [line for line in lines if _is_shown(line, query)]
    groups = groups_of(shown, history, query)
    hosts = hosts_of(report, history, now, drained=drained)
    mood, headline = mood_of(report), headline_of(report)
    is_drained = report.draining or (drained and report.details)
    is_said = is_drained and mood == "ok"
    if is_said:
        mood, headline = "warning", gettext("%(headline)s here; this host is drained") % {"headline": headline}
    return {
        "lines": lines,
        "groups": groups,
        "is_grouped": len(groups) > 1 or any(group["name"] for group in groups),
        "hosts": hosts,
        "notes": notes_of(hosts),
        "drained": is_drained and not is_said and mood != "draining",
        "incidents": incidents_of(report, history, query, now),
        "summary": counts(reading.state for reading in report.readings),
        "mood": mood,
        "sign": MOODS[mood],
        "headline": headline,
        "since": since_of(report, now),
        "uptimes": uptimes_of(report, history),
        "who": who_speaks(details=report.details),
        "moment": local(now),
        "query": query,
        "range_name": _range_name(query.range),
        "filters": filters_of(lines, query),
        "version": __version__,
    }


def _range_name(name: str) -> str:
    return f"{name[:-1]} {name[-1]}"


def lines_of(report: Report, history: History = NO_HISTORY, query: Query = NO_QUERY) -> list[dict[str, Any]]:
    """Return the rows of the report in words, in the order that is asked for: by default what fails first."""
    now = time.time()
    lines = [_line(row, report, history, query, now) for row in report.rows]
    keys = {
        "state": lambda line: (not line["row"].counts, WORST_FIRST[line["reading"].state]),
        "name": lambda line: line["title"].casefold(),
        "slow": lambda line: -(line["reading"].time_taken or 0.0),
        "uptime": lambda line: 2.0 if line["share"] is None else line["share"],
    }
    return sorted(lines, key=keys[query.sort])


def _line(row: Row, report: Report, history: History, query: Query, now: float) -> dict[str, Any]:
    reading, definition = row.reading, row.reading.definition
    state, record = reading.state, reading.record
    periods = periods_of(history, reading.label, query.range)
    lasted = span(now - record.last_transition) if record and record.result.state is state else ""
    share = uptime(periods)
    return {
        "row": row,
        "reading": reading,
        "title": definition.title or reading.label,
        "what": (definition.description or summary_line(definition.check_class)) if report.details else "",
        "group": definition.group,
        "runbook": definition.runbook if report.details else "",
        "tags": definition.tags if report.details else {},
        "link": Query(checks=(reading.label,)).link(),
        "word": OK_WORDS[settings.COMPAT] if settings.COMPAT and state is State.OK else state.value,
        "sign": SIGNS[state],
        "time_taken": None if reading.time_taken is None else duration(reading.time_taken),
        "finished": None if reading.finished is None else timestamp(reading.finished),
        "age": age(reading.finished, now),
        "lasted": gettext("for %(span)s") % {"span": lasted} if lasted else "",
        "bars": history_bars(periods, range_name=query.range) if periods else "",
        "times": duration_lines(periods) if periods else "",
        "share": share,
        "up": percent(share) if periods else "",
        "trace": trace_link(record.result.exemplar.get("trace_id"))
        if record and report.details and state is not State.OK
        else "",
        **times_of(periods),
        **_message(row),
    }


def _message(row: Row) -> dict[str, Any]:
    """Return the message of a row, in part where it is long."""
    text = "\n".join(message.text for message in row.reading.messages)
    first = text.partition("\n")[0]
    is_long = len(text) > LONG_MESSAGE or text.count("\n") > 2
    return {"message": text, "beginning": shortened(first, LONG_MESSAGE) if is_long else ""}


def trace_link(trace_id: str | None) -> str:
    """Return the address of the page that shows a trace; empty where there is none."""
    return settings.TRACE_URL.replace("{trace_id}", trace_id) if trace_id else ""


def periods_of(history: History, label: str, range_name: str) -> tuple[Period, ...]:
    """Return the half hours of a day of a check, or the days of a longer range."""
    if range_name == NO_QUERY.range:
        return history.half_hours.get(label, ())
    return history.days.get(label, ())[-RANGES[range_name] :]


def uptime_of(report: Report, history: History, range_name: str) -> float | None:
    """Return the uptime of the critical checks, of all where none is; None without runs."""
    labels = [row.reading.label for row in report.rows if row.critical] or [r.label for r in report.readings]
    return uptime(*(periods_of(history, label, range_name) for label in labels))


def times_of(periods: Sequence[Period]) -> dict[str, str]:
    """Return in words how long most runs took, and the longest; nothing where there were none."""
    longest = max([period.longest for period in periods], default=0.0)
    spread = spread_of([period.times for period in periods], longest)
    if spread is None and any(period.runs for period in periods):
        spread = total_of(periods).spread
    if spread is None:
        return {}
    return {
        "median": gettext("p50 %(duration)s") % {"duration": brief(spread.median)},
        "most": gettext("8 of 10 runs: %(low)s to %(high)s") % {"low": brief(spread.low), "high": brief(spread.high)},
        "longest": gettext("max %(duration)s") % {"duration": brief(longest)},
    }


def summary_line(check_class: type) -> str:
    """Return the first paragraph of a check's docstring in one line, empty if it has none of its own."""
    return " ".join(docstring(check_class).partition("\n\n")[0].split())


def docstring(check_class: type) -> str:
    """Return what a check's own docstring says of it to people; not the one that ``dataclasses`` makes."""
    text = vars(check_class).get("__doc__") or ""
    if not isinstance(text, str) or check_class is HealthCheck or text.startswith(f"{check_class.__name__}("):
        return ""
    return SECTION.split(inspect.cleandoc(text), maxsplit=1)[0].rstrip()


def _is_shown(line: Mapping[str, Any], query: Query) -> bool:
    state = line["reading"].state
    if query.state and state.value != query.state and not (query.state == "bad" and state is not State.OK):
        return False
    if query.group and line["group"] != query.group:
        return False
    where = f"{line['reading'].label}\n{line['title']}\n{line['what']}\n{line['group']}".casefold()
    return all(word in where for word in query.text.casefold().split())


def groups_of(lines: Sequence[Mapping[str, Any]], history: History, query: Query = NO_QUERY) -> list[dict[str, Any]]:
    """Return the rows by group, those with the worst rows first; in one where they have another order."""
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        by_name.setdefault(line["group"] if query.sort == SORTS[0] else "", []).append(line)
    is_folded = len(lines) > MOST_OPEN and query.sort == SORTS[0] and not query.filters
    return [
        {
            "name": name,
            "lines": found,
            "parts": _parts(found) if is_folded else [{"lines": found}],
            "summary": counts(line["reading"].state for line in found),
            "up": _group_uptime(found, history),
        }
        for name, found in sorted(by_name.items(), key=_is_last)
    ]


def _is_last(group: tuple[str, Sequence[Mapping[str, Any]]]) -> bool:
    """Return whether a group comes after the others: checks without a group, while they are well."""
    name, lines = group
    return not name and all(line["reading"].state is State.OK for line in lines)


def _parts(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what is to be looked at, and the rest, which is folded: there are many rows."""
    bad = [line for line in lines if line["reading"].state is not State.OK]
    fine = [line for line in lines if line["reading"].state is State.OK]
    text = ngettext("%(number)d is ok", "%(number)d are ok", len(fine)) % {"number": len(fine)}
    folded = {"lines": fine, "summary": text}
    return [{"lines": bad}] * bool(bad) + [folded] * bool(fine)


def _group_uptime(lines: Sequence[Mapping[str, Any]], history: History) -> str:
    share = uptime(*(history.half_hours.get(line["reading"].label, ()) for line in lines))
    return "" if share is None else percent(share)


def incidents_of(report: Report, history: History, query: Query, now: float) -> dict[str, Any]:
    """Return the incidents of a week, or of the longer time that is asked for; newest first."""
    days = max(7, RANGES[query.range])
    titles = {reading.label: reading.definition.title or reading.label for reading in report.readings}
    found = [
        _incident(incident, titles.get(incident.label, incident.label), now)
        for incident in history.incidents
        if incident.ended is None or incident.ended > now - days * DAY
    ]
    return {"days": days, "first": found[:FIRST_INCIDENTS], "earlier": found[FIRST_INCIDENTS:]}


def _incident(incident: Incident, title: str, now: float) -> dict[str, Any]:
    return {
        "title": title,
        "link": Query(checks=(incident.label,)).link(),
        "state": incident.worst,
        "sign": SIGNS[incident.worst],
        "began": timestamp(incident.began),
        "began_words": clock(incident.began, now),
        "ended": None if incident.ended is None else timestamp(incident.ended),
        "ended_words": "" if incident.ended is None else clock(incident.ended, incident.began),
        "lasted": span(incident.lasted(now)),
        "hosts": incident.hosts,
        "message": shortened(incident.message.partition("\n")[0], MOST_OF_INCIDENT),
    }


def uptimes_of(report: Report, history: History) -> list[tuple[str, str]]:
    """Return the uptime over a day, a week and a month."""
    names = ("24h", "7d", "30d") if history.days else ()
    return [(_range_name(name), percent(uptime_of(report, history, name))) for name in names]


def who_speaks(*, details: bool) -> dict[str, str]:
    """Return which site, and where with details, this is."""
    who = {"site": site_name()}
    if details:
        who |= {"environment": settings.ENVIRONMENT, "release": settings.RELEASE, "host": host_name()}
    return who


def filters_of(lines: Sequence[Mapping[str, Any]], query: Query) -> dict[str, Any]:
    """Return the links that filter and sort rows, and what the form offers."""
    bad = sum(line["reading"].state is not State.OK for line in lines)
    chips = [
        (query.link(state=""), gettext("all %(number)d") % {"number": len(lines)}, query.state == ""),
        (query.link(state="bad"), gettext("not ok %(number)d") % {"number": bad}, query.state == "bad"),
    ]
    names = {"name": gettext("name"), "slow": gettext("slowest"), "uptime": gettext("lowest uptime")}
    sorts = [(query.link(sort=SORTS[0]), gettext("worst state"), query.sort == SORTS[0])]
    sorts += [(query.link(sort=sort), words, query.sort == sort) for sort, words in names.items()]
    return {
        "chips": chips,
        "sorts": sorts,
        "groups": sorted({line["group"] for line in lines} - {""}),
        "ranges": {name: _range_name(name) for name in RANGES},
        "clear": Query(range=query.range, sort=query.sort, refresh=query.refresh).link(),
        "refresh": query.link(refresh=10),
        "pause": query.link(refresh=0),
    }
