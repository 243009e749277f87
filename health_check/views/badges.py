"""The badges: the state or the uptime of an endpoint, or of one check, as a small SVG image."""

from __future__ import annotations

from django.utils.html import escape

from health_check.conf import site_name
from health_check.monitor.history import History
from health_check.monitor.reports import Report
from health_check.views.headline import mood_of
from health_check.views.page import uptime_of
from health_check.views.query import Query
from health_check.views.words import percent

COLOURS = {"ok": "#1a7f37", "warning": "#8a5a00", "draining": "#57606b", "error": "#b62324", "unknown": "#57606b"}
"""The colours, dark enough for white text."""

WORDS = {"ok": "passing", "warning": "warning", "draining": "drained", "error": "failing"}
"""What is said of an endpoint, by its mood."""

LEVELS = ((0.999, "ok"), (0.99, "warning"), (0.0, "error"))
"""From which uptime on a badge has which colour."""

MOST_LETTERS = 60
"""How many letters of a name are shown."""

WIDE, NARROW = "mwMW@%", "ijlt1f.,:;|'!() "


def badge(report: Report, query: Query, history: History) -> str:
    """Return a badge.

    Args:
        report: The report, on one check if that was asked for.
        query: What to show: the state, or with ``show=uptime`` the uptime of ``range``.
        history: What is known of the past; it is not shown where the report has no details.
    """
    name = _name(report, query)
    if query.show == "uptime":
        share = uptime_of(report, history, query.range) if report.details else None
        mood = "unknown" if share is None else next(mood for least, mood in LEVELS if share >= least)
        return _image(f"{name}, {query.range}", percent(share) if report.details else "not shown", COLOURS[mood])
    if _is_of_one(report, query) and not report.draining:
        state = report.rows[0].reading.state
        return _image(name, state.value, COLOURS[state.value])
    mood = mood_of(report)
    return _image(name, WORDS[mood], COLOURS[mood])


def _is_of_one(report: Report, query: Query) -> bool:
    return len(query.checks) == 1 and len(report.rows) == 1


def _name(report: Report, query: Query) -> str:
    if _is_of_one(report, query):
        definition = report.rows[0].reading.definition
        name = definition.title or definition.label
    else:
        name = (site_name() if report.details else "") or "health"
    return name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"


def _image(name: str, value: str, colour: str) -> str:
    left, right = _width(name) + 12, _width(value) + 12
    name, value = escape(name), escape(value)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{name}: {value}"><title>{name}: {value}</title>'
        f'<rect width="{left + right}" height="20" rx="3" fill="{colour}"/>'
        f'<path d="M3 0h{left - 3}v20H3a3 3 0 0 1-3-3V3a3 3 0 0 1 3-3z" fill="#3b424a"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">'
        f'<text x="{left / 2:g}" y="14" textLength="{left - 12}">{name}</text>'
        f'<text x="{left + right / 2:g}" y="14" textLength="{right - 12}">{value}</text></g></svg>\n'
    )


def _width(text: str) -> int:
    """Return about how many pixels a text of 11 pixels is wide; the image says so, and is drawn so."""
    return max(1, round(sum(10 if sign in WIDE else 4.2 if sign in NARROW else 7 for sign in text)))
