"""The query string of a request: which checks it asks about, and what of a page it wants to see."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from urllib.parse import urlencode

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext, gettext_noop

from health_check.records import State
from health_check.redaction import shown

STATES = ("bad", *(state.value for state in State))
"""What ``?state=`` may be; ``bad`` is all that is not ok."""

SORTS = ("state", "name", "slow", "uptime")
"""What ``?sort=`` may be; the first is the default."""

RANGES: Mapping[str, int] = {"24h": 1, "7d": 7, "30d": 30, "90d": 90}
"""What ``?range=`` may be, with its days; the first is the default."""

REFRESH_SECONDS = range(2, 3601)
"""What ``?refresh=`` may be."""

MOST_LETTERS = 200
"""How many letters of a text to search for count."""


Problem = tuple[str, Mapping[str, str]]
"""A sentence on what could not be used, and what goes into it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Query:
    """What a request asks for."""

    format: str = dataclasses.field(default="", compare=False)
    """The name of the format; empty where the ``Accept`` header says it."""
    checks: tuple[str, ...] = ()
    """The labels of the checks that the answer is to be about, each once; empty for all."""
    state: str = ""
    """Which states to show; empty for all."""
    text: str = ""
    """What the name, title, description or group of a check has to contain."""
    group: str = ""
    """Which group to show; empty for all."""
    range: str = "24h"
    """How far back to show history."""
    sort: str = "state"
    """How to sort the rows."""
    refresh: int = 0
    """After how many seconds a browser is to load the page again; 0 for never."""
    show: str = ""
    """What a badge is to show: ``"uptime"``, else the state."""
    runbook: str | None = None
    """The alert whose runbook is asked for; empty for the list of them, None for none."""
    unusable: tuple[Problem, ...] = dataclasses.field(default=(), compare=False)
    """What of it could not be used."""

    @property
    def problems(self) -> list[str]:
        """What of it could not be used, a sentence each."""
        return [gettext(text) % values for text, values in self.unusable]

    @property
    def filters(self) -> bool:
        """Whether rows are left out."""
        return bool(self.state or self.text or self.group)

    def link(self, **changes: object) -> str:
        """Return the query string, ``?`` included, of the same with some changes."""
        other = dataclasses.replace(self, **changes)  # type: ignore[arg-type]
        pairs: list[tuple[str, object]] = [("check", label) for label in other.checks]
        values = [(name, getattr(other, field), getattr(NO_QUERY, field)) for name, field in _FIELDS.items()]
        pairs += [(name, value) for name, value, usual in values if value != usual]
        return f"?{urlencode(pairs)}"


_FIELDS = {"state": "state", "q": "text", "group": "group", "range": "range", "sort": "sort", "refresh": "refresh"}
"""The fields that links have, by their parameters."""

NO_QUERY = Query()


def query_of(request: HttpRequest) -> Query:
    """Return what a request asks for."""
    return parse(request.META.get("QUERY_STRING", ""))


@functools.lru_cache(maxsize=256)
def parse(query_string: str) -> Query:
    """Return what a query string asks for; of what cannot be used the default holds."""
    if not query_string:
        return NO_QUERY
    try:
        given = QueryDict(query_string, encoding="utf-8")
    except SuspiciousOperation:  # more parameters than Django reads
        return NO_QUERY
    problems: list[Problem] = []

    def choice(name: str, known: tuple[str, ...], default: str) -> str:
        value = given.get(name) or default
        if value in known or value == default:
            return value
        text = gettext_noop("There is no %(name)s %(value)s: use one of %(known)s.")
        problems.append((text, {"name": name, "value": shown(value[:MOST_LETTERS]), "known": ", ".join(known)}))
        return default

    return Query(
        format=given.get("format") or "",
        checks=tuple(dict.fromkeys(given.getlist("check"))),
        state=choice("state", STATES, ""),
        text=" ".join((given.get("q") or "")[:MOST_LETTERS].split()),
        group=given.get("group") or "",
        range=choice("range", tuple(RANGES), NO_QUERY.range),
        sort=choice("sort", SORTS, NO_QUERY.sort),
        refresh=_refresh(given.get("refresh") or "off", problems),
        show=given.get("show") or "",
        runbook=given.get("runbook"),
        unusable=tuple(problems),
    )


def _refresh(value: str, problems: list[Problem]) -> int:
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 6 else 0
    if number in REFRESH_SECONDS:
        return number
    if value not in ("off", "0"):
        text = gettext_noop("refresh cannot be %(value)s: use off, or a number of seconds from %(least)s to %(most)s.")
        least, most = str(REFRESH_SECONDS[0]), str(REFRESH_SECONDS[-1])
        problems.append((text, {"value": shown(value[:MOST_LETTERS]), "least": least, "most": most}))
    return 0
