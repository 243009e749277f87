"""What the command found, of checks that ran here or of a server's answer, and how it is printed."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import json
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from health_check.conf import seconds
from health_check.monitor.reports import OK_WORDS, Overview, Reading
from health_check.records import State
from health_check.redaction import escaped, escaped_lines
from health_check.views.renderers import iso
from health_check.views.words import WORST_FIRST, brief, span

GAP = "  "
"""What stands between columns."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A check as it is printed."""

    label: str
    """The name of the check."""
    state: State
    """How it is."""
    text: str
    """``"OK"``, or what is wrong, one thing a line."""
    critical: bool | None = None
    """Whether an endpoint fails with it; None if that is not known."""
    time_taken: float | None = None
    """How long the last run took, in seconds; None if that is not known."""
    finished: float | None = None
    """When the last run ended, Unix time in seconds; None if that is not known."""
    since: float | None = None
    """When it came to be in this state, Unix time in seconds; None if that is not known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """Some checks and endpoints at one moment."""

    lines: tuple[Line, ...]
    """The checks, each once, in their order."""
    status_codes: Mapping[str, int]
    """What each endpoint answers."""
    failing: frozenset[str]
    """The endpoints among them that fail."""
    notices: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What is wrong besides the checks, by name."""

    @property
    def healthy(self) -> bool:
        """Whether no endpoint fails."""
        return not self.failing

    @property
    def state(self) -> State:
        """How all of it is: ``error`` where an endpoint fails, ``warning`` where only a check does."""
        if self.failing:
            return State.ERROR
        return State.OK if all(line.state is State.OK for line in self.lines) else State.WARNING


def outcome_of(overview: Overview) -> Outcome:
    """Return the outcome of checks that ran here."""
    critical = {row.reading.label for report in overview.reports for row in report.rows if row.critical}
    return Outcome(
        lines=tuple(_line_of(reading, reading.label in critical) for reading in overview.readings),
        status_codes={report.name: report.status_code for report in overview.reports},
        failing=frozenset(report.name for report in overview.reports if not report.healthy),
        notices={name: message.text for report in overview.reports for name, message in report.notices.items()},
    )


def _line_of(reading: Reading, critical: bool) -> Line:
    record = reading.record
    return Line(
        label=reading.label,
        state=reading.state,
        text=reading.pretty_status,
        critical=critical,
        time_taken=reading.time_taken,
        finished=reading.finished,
        since=record.last_transition if record and record.result.state is reading.state else None,
    )


def outcome_of_answer(endpoint: str, status_code: int, found: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a server answers for an endpoint.

    Args:
        endpoint: What the endpoint is called here.
        status_code: The HTTP status.
        found: Its JSON: texts by label, or what ``application/health+json`` has.
    """
    checks = found.get("checks")
    in_full = isinstance(checks, dict) and isinstance(found.get("status"), str)
    pairs = checks if isinstance(checks, dict) and in_full else found
    output = found.get("output") if in_full else None
    return Outcome(
        lines=tuple(_line(str(label), value) for label, value in pairs.items()),
        status_codes={endpoint: status_code},
        failing=frozenset([endpoint] if status_code >= 400 else []),
        notices={"draining": str(output)} if output else {},
    )


def _line(label: str, value: object) -> Line:
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, dict) or "status" not in value:
        text = value if isinstance(value, str) else json.dumps(value)
        state = State.WARNING if text.startswith("warning: ") else State.ERROR
        return Line(label=label, state=State.OK if text in OK_WORDS.values() else state, text=text)
    critical = value.get("critical")
    return Line(
        label=label,
        state=next((state for state in State if state.value == value.get("state")), State.UNKNOWN),
        text=str(value.get("output", "OK")),
        critical=critical if isinstance(critical, bool) else None,
        time_taken=seconds(value.get("observedValue")),
        finished=_moment(value.get("time")),
        since=_moment(value.get("since")),
    )


def _moment(value: object) -> float | None:
    try:
        return datetime.datetime.fromisoformat(str(value)).astimezone(datetime.UTC).timestamp()
    except (ValueError, OverflowError):  # also where it is no time of the years 1 to 9999 of UTC
        return None


def as_json(outcome: Outcome) -> str:
    """Return ``{"<label>": "OK" or what is wrong}``."""
    return json.dumps(_texts(outcome), indent=2)


def _texts(outcome: Outcome) -> dict[str, str]:
    texts = {line.label: line.text for line in outcome.lines}
    return {**outcome.notices, **texts, **outcome.notices}  # first, and not hidden by a check of that name


def as_full_json(outcome: Outcome) -> str:
    """Return all that is known, as JSON: the state of all, the endpoints, and what is known of each check."""
    checks = {
        line.label: {
            "state": line.state.value,
            "critical": line.critical,
            "since": None if line.since is None else iso(line.since),
            "finished": None if line.finished is None else iso(line.finished),
            "time_taken": line.time_taken,
            "message": None if line.state is State.OK else line.text,
        }
        for line in outcome.lines
    }
    endpoints = {
        name: {"status_code": code, "healthy": name not in outcome.failing}
        for name, code in outcome.status_codes.items()
    }
    notices = dict(outcome.notices)
    found = {"state": outcome.state.value, "endpoints": endpoints, "notices": notices, "checks": checks}
    return json.dumps(found, indent=2)


def problems_of(outcome: Outcome) -> Outcome:
    """Return the outcome without the checks that are ok."""
    return dataclasses.replace(outcome, lines=tuple(line for line in outcome.lines if line.state is not State.OK))


def as_lines(outcome: Outcome) -> Mapping[str, str]:
    """Return the line ``<label> ... <status>`` of each check, by label, in their order."""
    texts = {escaped(label): escaped_lines(text) for label, text in _texts(outcome).items()}
    return {label: f"{label:<24} ... {text}" for label, text in texts.items()}


def as_table(outcome: Outcome, *, width: int, paint: Mapping[State, Any], now: float) -> str:
    """Return a table for a terminal, what fails first, and a last line that sums it up.

    Args:
        outcome: What was found.
        width: How many columns the terminal has.
        paint: Colours a text by the state that it is about.
        now: Unix time in seconds.
    """
    lines = sorted(outcome.lines, key=lambda line: WORST_FIRST[line.state])
    rows = [_cells(line, now) for line in lines]
    heads = ("STATE", "CHECK", "CRITICAL", "TAKEN", "AGE", f"SINCE ({time.strftime('%Z')})")
    columns = [i for i, _ in enumerate(heads) if i < 2 or any(row[i] for row in rows)]
    widths = {i: max(len(heads[i]), *(len(row[i]) for row in rows)) for i in columns} if rows else {}
    if widths:
        others = sum(widths.values()) - widths[1] + len(GAP) * (len(columns) - 1)
        widths[1] = min(widths[1], max(width - others, 20))
    printed = [_row(heads, widths)] if rows else []
    for line, row in zip(lines, rows, strict=True):
        printed.append(_row(row, widths).replace(row[0], paint[line.state](row[0]), 1))
        if line.state is not State.OK:
            indent = " " * (widths[0] + len(GAP))
            printed += [
                text
                for message in map(escaped, line.text.removeprefix(f"{line.state.value}: ").splitlines())
                for text in textwrap.wrap(
                    message, max(width, 40), initial_indent=indent, subsequent_indent=f"{indent}  "
                )
            ]
    return "\n".join([*printed, paint[outcome.state](summary(outcome))])


def _row(cells: Sequence[str], widths: Mapping[int, int]) -> str:
    return GAP.join(cells[i].rjust(n) if i in (3, 4) else cells[i].ljust(n) for i, n in widths.items()).rstrip()


def _cells(line: Line, now: float) -> tuple[str, ...]:
    return (
        line.state.value,
        escaped(line.label),
        "" if line.critical is None else "yes" if line.critical else "no",
        "" if line.time_taken is None else brief(line.time_taken),
        "" if line.finished is None else span(now - line.finished),
        "" if line.since is None else _clock(line.since, now),
    )


def _clock(moment: float, now: float) -> str:
    """Return when something was, in the time zone of the site: a time of today, or a day and a time."""
    then, today = time.localtime(moment), time.localtime(now)
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M", then)


def summary(outcome: Outcome) -> str:
    """Return one sentence: how many checks fail, and what the endpoints answer because of it."""
    if not outcome.lines and not outcome.notices:
        return "The server answers; the endpoint has no checks."
    if not outcome.failing:
        names = list(outcome.status_codes)
        return f"{_count(outcome)}: 200 on {names[0] if len(names) == 1 else 'every endpoint'}"
    by_code = collections.defaultdict(list)
    for name, code in outcome.status_codes.items():
        if name in outcome.failing:
            by_code[code].append(name)
    answers = "; ".join(f"{code} on {', '.join(names)}" for code, names in by_code.items())
    drained = "".join(f", {escaped(text.partition(': ')[2] or text)}" for text in outcome.notices.values())
    return f"{_count(outcome)}{drained}: {answers}"


def _count(outcome: Outcome) -> str:
    count = len(outcome.lines)
    warnings = sum(line.state is State.WARNING for line in outcome.lines)
    failures = sum(line.state in (State.ERROR, State.UNKNOWN) for line in outcome.lines)
    found = [(failures, "fail"), (warnings, "warn")]
    parts = [f"{number} of {count} {verb}{'s' if number == 1 else ''}" for number, verb in found if number]
    return ", ".join(parts) or (f"All {count} are ok" if count != 1 else "1 of 1 is ok")
