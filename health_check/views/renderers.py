"""The renderers: a report as JSON, text or a feed. Pure; a view only chooses one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    notices = {name: message.text for name, message in report.notices.items()}
    statuses = dict(zip(json_keys(report.readings), (r.pretty_status for r in report.readings), strict=True))
    return json_object({**notices, **statuses, **notices})  # first, and not hidden by a check of that name


def json_keys(readings: Sequence[Reading]) -> list[str]:
    """Return the key of each check in JSON."""
    return old_names.keys({reading.label: reading.definition.prototype for reading in readings})


def json_object(values: Mapping[str, object]) -> str:
    """Return a JSON object."""
    return json.dumps(values)


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
    return json_object({**found, "checks": {row.reading.label: [_health_check(row, report)] for row in report.rows}})


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
        found |= {
            "observedValue": reading.time_taken,
            "observedUnit": "s",
            "time": iso(reading.finished),
        }
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


def as_rss(report: Report, link: str) -> str:
    """Return an RSS 2.0 feed with an item for each check that is not ok, or was not."""
    return _feed(Rss201rev2Feed, report, link, "rss")


def as_atom(report: Report, link: str) -> str:
    """Return an Atom 1.0 feed with an entry for each check that is not ok, or was not."""
    return _feed(Atom1Feed, report, link, "atom")


def _feed(feed_class: type[SyndicationFeed], report: Report, link: str, name: str) -> str:
    """Return a feed; an item has a new id, and so is news, whenever the state of its check changes."""
    feed = feed_class(
        title=f"System status of {site_name()}" if site_name() and report.details else "System status",
        link=link,
        description="Changes of the state of health checks",
        feed_url=f"{link}?format={name}",
        author_name="django-health-exporter",
    )
    for name, message in report.notices.items():
        feed.add_item(
            title=name, link=link, description=message.text, unique_id=f"{link}#{name}", unique_id_is_permalink=False
        )
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
