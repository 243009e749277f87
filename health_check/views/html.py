"""The HTML page, rendered so that it appears even when the rest of the site does not work."""

from __future__ import annotations

import collections
import functools
import pathlib
import time
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine, Template, TemplateDoesNotExist, loader
from django.template.response import TemplateResponse
from django.utils import translation
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext

from health_check.conf import settings
from health_check.monitor import runtime
from health_check.monitor.history import NO_HISTORY, History
from health_check.monitor.reports import OK_WORDS, Report
from health_check.past import Period
from health_check.records import State
from health_check.views.renderers import timestamp

TEMPLATES = pathlib.Path(__file__).parents[1] / "templates"


def render_page(
    request: HttpRequest,
    template_names: Sequence[str],
    context: dict[str, Any],
    *,
    status: int,
    **response_kwargs: Any,
) -> HttpResponse:
    """Return the page.

    The project's own template gets the request and its context processors. Ours needs none of them, and they
    might query the database that is down; it is also found where the project has no template engine for it.

    Args:
        request: The request.
        template_names: The templates, the first that exists counts.
        context: What the view passes on; ``report`` is the Report.
        status: The HTTP status.
        response_kwargs: For the response, ``content_type`` say.
    """
    context = {**context, **_parts(context["report"])}
    template = _own_template(template_names)
    if template is not None:
        response = TemplateResponse(request, template, context, status=status, **response_kwargs)
        response.render()
        return response
    return HttpResponse(_our_own(context), status=status, **response_kwargs)


def our_page(template_names: Sequence[str], report: Report) -> str | None:
    """Return the page as it is for every request; None where the project has a template of its own for it."""
    if _own_template(template_names) is not None:
        return None
    return _our_own({"report": report, **_parts(report)})


def _our_own(context: dict[str, Any]) -> str:
    with translation.override("en"):  # that of its words: numbers are to look alike
        return _our_template().render(Context(context))


def _parts(report: Report) -> dict[str, Any]:
    history = runtime.history(report.readings) if report.details and report.rows else NO_HISTORY
    return {
        "lines": lines_of(report, history),
        "hosts": hosts_of(history),
        "summary": summary_of(report),
        "mood": mood_of(report),
        "headline": headline_of(report),
    }


def _own_template(template_names: Sequence[str]) -> Any:
    """Return the project's own template for the page, None where it has none."""
    try:
        template = loader.select_template(template_names)
    except TemplateDoesNotExist:
        if list(template_names) != ["health_check/index.html"]:
            raise
        return None
    return None if _is_ours(template) else template


@functools.cache
def _our_template() -> Template:
    return Engine(dirs=[str(TEMPLATES)]).get_template("health_check/index.html")


def lines_of(report: Report, history: History = NO_HISTORY) -> list[dict[str, Any]]:
    """Return the rows of the report with their times in words, and with what former runs said."""
    now, compat = time.time(), settings.COMPAT
    return [
        {
            "row": row,
            "reading": row.reading,
            "word": OK_WORDS[compat] if compat and row.reading.state is State.OK else row.reading.state.value,
            "time_taken": None if row.reading.time_taken is None else duration(row.reading.time_taken),
            "finished": None if row.reading.finished is None else timestamp(row.reading.finished),
            "age": _age(row.reading.finished, now),
            "past": [_bar(period) for period in history.half_hours.get(row.reading.label, ()) if period.runs],
        }
        for row in report.rows
    ]


def hosts_of(history: History) -> list[dict[str, Any]]:
    """Return how other hosts are, as they said last."""
    now = time.time()
    hosts = []
    for host, records in history.elsewhere.items():
        counts = collections.Counter(record.result.state for record in records.values())
        hosts.append(
            {
                "name": host,
                "summary": ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state]),
                "age": _age(max(record.result.finished for record in records.values()), now),
                "records": [(label, record.result) for label, record in records.items() if record.result.messages],
            }
        )
    return hosts


def mood_of(report: Report) -> str:
    """Return ``"ok"``, ``"draining"``, ``"error"``, or ``"warning"``: to be looked at, though it does not count."""
    if any(row.counts for row in report.rows):
        return "error"
    if report.draining:
        return "draining"
    return "ok" if all(row.is_fine for row in report.rows) else "warning"


MOST_NAMES = 3
"""How many failing checks a headline names."""


def headline_of(report: Report) -> str:
    """Return how the endpoint is, in a few words: what fails, by name, or that all checks pass."""
    failing = [row.reading.label for row in report.rows if row.counts]
    if failing:
        names, more = ", ".join(failing[:MOST_NAMES]), len(failing) - MOST_NAMES
        return gettext("Failing: %(names)s and %(more)d more" if more > 0 else "Failing: %(names)s") % {
            "names": names,
            "more": more,
        }
    if report.draining:
        return gettext("Drained: this host is to get no new requests")
    if not report.rows:
        return gettext("Answering, without checks")
    warnings = sum(reading.state is State.WARNING for reading in report.readings)
    others = sum(reading.state in (State.ERROR, State.UNKNOWN) for reading in report.readings)
    told = []
    if others:
        text = ngettext("%(number)d optional check failing", "%(number)d optional checks failing", others)
        told.append(text % {"number": others})
    if warnings:
        told.append(ngettext("%(number)d warning", "%(number)d warnings", warnings) % {"number": warnings})
    return gettext("Working, %(told)s") % {"told": ", ".join(told)} if told else gettext("All checks pass")


def summary_of(report: Report) -> str:
    """Return how many checks are in which state, in words; empty without checks."""
    counts = collections.Counter(reading.state for reading in report.readings)
    return ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])


def duration(seconds: float) -> str:
    """Return a duration as people read it: milliseconds below one second."""
    if seconds < 0.0001:
        return "< 0.1 ms"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _bar(period: Period) -> dict[str, str]:
    """Return what stands for the runs of a half hour."""
    counts = (("ok", period.ok), ("warning", period.warning), ("error", period.error), ("timeout", period.timeout))
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts if count)
    return {"state": period.state.value, "title": f"{timestamp(period.start):%H:%M}: {text}"}


def _age(finished: float | None, now: float) -> str:
    if finished is None:
        return "never"
    age = max(0.0, now - finished)
    if age < 120:
        return f"{age:.0f} s ago"
    with translation.override("en"):
        return f"{timesince(timestamp(finished), timestamp(now))} ago"


def _is_ours(template: Any) -> bool:
    origin = getattr(template, "origin", None)
    return origin is not None and pathlib.Path(str(origin.name)).is_relative_to(TEMPLATES)
