"""The page of one check: what it is, how it was, its last failures, and what to copy."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext

from health_check.monitor import runtime
from health_check.monitor.history import History
from health_check.monitor.reports import Report, Row
from health_check.past import DAYS, Failure, Period
from health_check.records import Result
from health_check.redaction import shown
from health_check.registry.definitions import Definition
from health_check.registry.identity import is_credential
from health_check.views.graphs import duration_lines, history_bars
from health_check.views.page import docstring, times_of, trace_link
from health_check.views.words import SIGNS, age, clock, duration, percent, shortened, timestamp, uptime

LONGEST_TEXT = 2000
"""How many characters of a docstring are shown."""

LONGEST_OPTION = 200
"""How many characters of the value of an option are shown."""


def check_page_of(
    report: Report,
    line: Mapping[str, Any],
    history: History,
    failures: Mapping[str, Sequence[Failure]],
    link: str,
    paths: Mapping[str, str],
) -> dict[str, Any]:
    """Return what the template shows of one check.

    Args:
        report: The report, on this check alone.
        line: The row in words.
        history: What is known of its past.
        failures: Its last failures, newest first, by its label.
        link: The address of the page, without a query string.
        paths: The paths of endpoints, by their names.
    """
    headline = f"{line['title']}: {line['word']} {line['lasted']}".rstrip()
    if not report.details:
        return {"check": {"line": line}, "headline": headline}
    row, now = report.rows[0], time.time()
    label = row.reading.label
    parts = [
        (gettext("Last 24 hours"), gettext("24 h"), history.half_hours.get(label, ())),
        (gettext("Last 90 days"), gettext("%(days)d d") % {"days": DAYS}, history.days.get(label, ())),
    ]
    check = {
        "line": line,
        "history": [_part(title, begin, periods) for title, begin, periods in parts if periods],
        "facts": _facts(row, now, paths),
        "copies": copies_of(label, link),
        "failures": [_failure(failure, now) for failure in failures.get(label, ())],
    }
    return {"check": check, "headline": headline}


def _part(title: str, begin: str, periods: tuple[Period, ...]) -> dict[str, Any]:
    return {
        "title": title,
        "from": begin,
        "bars": history_bars(periods, range_name=begin),
        "times": duration_lines(periods),
        "up": percent(uptime(periods)),
        **times_of(periods),
    }


def _facts(row: Row, now: float, paths: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what a check is, and how it last ran, as pairs of a name and a text."""
    definition, record = row.reading.definition, row.reading.record
    found = [
        (gettext("Label"), row.reading.label),
        (gettext("For"), definition.description),
        (gettext("Verifies"), shortened(docstring(definition.check_class), LONGEST_TEXT)),
        (gettext("Class"), definition.backend),
        (gettext("Options"), _options(definition)),
        (gettext("Endpoints"), _endpoints(row.reading.label, paths)),
        (gettext("Time budget"), f"{definition.timeout:g} s"),
        (gettext("Fresh for"), _fresh(definition)),
        (gettext("Last run"), _last_run(record.result, now) if record else gettext("never")),
        (gettext("Last ok"), _moment(record.last_success if record else None, now)),
        *(definition.tags.items()),
    ]
    return [(name, text) for name, text in found if text]


def _moment(moment: float | None, now: float) -> str:
    return age(moment, now) if moment is None else f"{clock(moment, now)}, {age(moment, now)}"


def _options(definition: Definition) -> str:
    options = [
        f"{name}={'…' if is_credential(name) else shortened(shown(value), LONGEST_OPTION)}"
        for name, value in definition.own_options.items()
    ]
    return "\n".join(options)


def _endpoints(label: str, paths: Mapping[str, str]) -> str:
    """Return the endpoints that have a check, a line each: where they are, and their names for commands and metrics."""
    words = {True: gettext("critical"), False: gettext("optional")}
    return "\n".join(
        f"{paths.get(endpoint.name, '')} {words[member.critical]}, url_name {endpoint.name}".lstrip()
        for endpoint, found in runtime.get().catalogue.current.members.items()
        for member in found
        if member.label == label
    )


def _fresh(definition: Definition) -> str:
    scope = (
        gettext("all hosts share a result") if definition.scope == "fleet" else gettext("each host has its own result")
    )
    return f"{definition.max_age:g} s; {scope}"


def _last_run(result: Result, now: float) -> str:
    text = gettext("%(age)s on %(host)s (process %(pid)d), took %(taken)s")
    return text % {
        "age": age(result.finished, now),
        "host": result.host,
        "pid": result.pid,
        "taken": duration(result.time_taken),
    }


def copies_of(label: str, link: str) -> list[tuple[str, str]]:
    """Return what to copy: how to ask for this check, by whom ever, and how to show it."""
    here = f"{link}?{urlencode({'check': label})}"
    escaped = label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    alternative = "".join(f"\\{sign}" if sign in "\\[]" else sign for sign in label)
    return [
        (gettext("Its state"), f"curl --fail-with-body -sS {shlex.quote(f'{here}&format=text')}"),
        (gettext("Run it now"), f"python manage.py health_check --fresh --check {shlex.quote(label)}"),
        (gettext("PromQL"), f'django_health_check_state{{check="{escaped}",state="error"}}'),
        (gettext("Uptime"), _promql(escaped)),
        (gettext("Badge"), f"![{alternative}]({here}&format=svg)"),
    ]


def _promql(check: str) -> str:
    runs = f'django_health_check_runs_total{{check="{check}"'
    return f'sum(increase({runs},outcome=~"ok|warning"}}[1d])) / sum(increase({runs}}}[1d]))'


def _failure(failure: Failure, now: float) -> dict[str, Any]:
    first, _, more = failure.message.partition("\n")
    return {
        "finished": timestamp(failure.finished),
        "when": clock(failure.finished, now, seconds=True),
        "state": failure.state,
        "sign": SIGNS[failure.state],
        "host": failure.host,
        "message": first,
        "more": more,
        "trace_id": failure.trace_id,
        "link": trace_link(failure.trace_id),
    }
