"""The renderers: a report as JSON, text or a feed. Pure; a view only chooses one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

from django.utils import translation
from django.utils.feedgenerator import Atom1Feed, Rss201rev2Feed, SyndicationFeed

from health_check.conf import settings, site_name
from health_check.monitor.reports import Reading, Report, Row
from health_check.records import State
from health_check.redaction import escaped, escaped_lines
from health_check.registry import old_names
from health_check.registry.definitions import Definition
from health_check.views.headline import headline_of
from health_check.views.words import timestamp

HEALTH_STATUS = {State.OK: "pass", State.WARNING: "warn", State.ERROR: "fail", State.UNKNOWN: "fail"}


def as_json(report: Report) -> str:
    """Return ``{"<label>": "OK" or what is wrong}``."""
    keys = old_names.keys({reading.label: reading.definition.prototype for reading in report.readings})
    return json_of(report, dict(zip(keys, (reading.pretty_status for reading in report.readings), strict=True)))


def json_of(report: Report, statuses: Mapping[str, str]) -> str:
    """Return statuses by label as JSON, after what is wrong besides the checks, which no check of that name hides."""
    notices = {name: message.text for name, message in report.notices.items()}
    return json.dumps({**notices, **statuses, **notices})


def as_text(report: Report) -> str:
    """Return a line ``<label>: <status>`` for each check."""
    notices = [f"{name}: {escaped_lines(message.text)}" for name, message in report.notices.items()]
    lines = [f"{escaped(reading.label)}: {escaped_lines(reading.pretty_status)}" for reading in report.readings]
    return "".join(f"{line}\n" for line in [*notices, *lines])


def as_health_json(report: Report) -> str:
    """Return ``application/health+json`` as in draft-inadarei-api-health-check-06.

    ``observedValue`` is the time taken, in seconds; ``time`` is when the last run ended, RFC 3339. Of our own are
    ``state``, ``critical``, ``since``, when the check came to be in that state, and what it says of itself for people.
    ``?format=schema`` is the JSON Schema.
    """
    if not report.healthy:
        status = "fail"
    else:
        status = "pass" if all(reading.state is State.OK for reading in report.readings) else "warn"
    found: dict[str, object] = {"status": status, **(_service() if report.details else {})}
    notices = "; ".join(message.text for message in report.notices.values())
    if notices:
        found["output"] = notices
    with translation.override("en"):
        found["notes"] = [headline_of(report)]
    found["links"] = {"describedby": "?format=schema"}
    return json.dumps({**found, "checks": {row.reading.label: [_health_check(row, report)] for row in report.rows}})


def _service() -> dict[str, object]:
    """Return which site this is, and which release of it."""
    release = settings.RELEASE
    found = {"serviceId": site_name(), "releaseId": release, "version": release}
    return {name: text for name, text in found.items() if text}


def _health_check(row: Row, report: Report) -> dict[str, object]:
    reading = row.reading
    found: dict[str, object] = {
        "status": HEALTH_STATUS[reading.state],
        "state": reading.state.value,
        "componentType": "component",
        "critical": row.critical,
    }
    if reading.time_taken is not None and reading.finished is not None:
        found |= {"observedValue": reading.time_taken, "observedUnit": "s", "time": iso(reading.finished)}
    if reading.record is not None and reading.record.result.state is reading.state:
        found["since"] = iso(reading.record.last_transition)
    found |= {} if reading.state is State.OK else {"output": reading.pretty_status}
    return found | _for_people(reading.definition, details=report.details)


def _for_people(definition: Definition, *, details: bool) -> dict[str, object]:
    found: dict[str, object] = {"title": definition.title, "group": definition.group}
    if details:
        found |= {
            "notes": [definition.description] if definition.description else [],
            "tags": definition.tags,
            "links": {"runbook": definition.runbook} if definition.runbook else {},
        }
    return {name: value for name, value in found.items() if value}


RENDERERS: Mapping[str, Callable[[Report], str]] = {"json": as_json, "text": as_text, "health+json": as_health_json}
"""The formats that depend on nothing but the report."""

FEEDS: Mapping[str, type[SyndicationFeed]] = {"rss": Rss201rev2Feed, "atom": Atom1Feed}


def as_feed(report: Report, name: str, link: str) -> str:
    """Return a feed with an item for each check that is not ok, or was not.

    An item has a new id, and so is news, whenever the state of its check changes.

    Args:
        report: The report.
        name: ``"rss"`` for RSS 2.0, ``"atom"`` for Atom 1.0.
        link: The address of the endpoint.
    """
    feed = FEEDS[name](
        title=f"System status of {site_name()}" if site_name() and report.details else "System status",
        link=link,
        description="Changes of the state of health checks",
        feed_url=f"{link}?format={name}",
        author_name="django-health-exporter",
    )
    for notice, message in report.notices.items():
        feed.add_item(notice, link, message.text, unique_id=f"{link}#{notice}", unique_id_is_permalink=False)
    for reading in filter(_is_news, report.readings):
        changed = timestamp(reading.record.last_transition) if reading.record else None
        moments = [message.time for message in reading.messages if message.time is not None]
        dated = timestamp(max(moments)) if moments else None
        feed.add_item(
            title=f"{reading.label}: {reading.state.value}",
            link=f"{link}?{urlencode({'check': reading.label})}",
            description=reading.pretty_status,
            unique_id=f"{link}#{reading.label}@{changed.isoformat() if changed else 'never'}",
            unique_id_is_permalink=False,
            pubdate=dated or changed,
            updateddate=dated or changed,
            categories=[reading.state.value],
        )
    return str(feed.writeString("utf-8"))


def _is_news(reading: Reading) -> bool:
    """Return whether a check is not ok, or was not before: what has been ok from its first run on is no news."""
    record = reading.record
    return reading.state is not State.OK or (record is not None and record.streak < sum(record.totals.runs.values()))


def iso(unix_seconds: float) -> str:
    """Return a Unix time as in RFC 3339, in UTC."""
    return timestamp(unix_seconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")
