"""The checks of providers that report incidents in a feed."""

from __future__ import annotations

import calendar
import dataclasses
import datetime
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from django.core.exceptions import SuspiciousOperation
from django.utils.html import strip_tags

from health_check.checks.clients import needs
from health_check.contrib._status_page import Incident, StatusPage
from health_check.exceptions import ServiceReturnedUnexpectedResult

with needs("feedparser", extra="rss", what="health_check.contrib.rss"):
    import feedparser

FUTURE = datetime.timedelta(minutes=5)
"""How far a provider's clock may be ahead; what is further ahead is maintenance to come."""

MOST_CHARACTERS = 5000
"""How much of a title to look at."""

_STATE = "resolved|completed|postmortem|scheduled"

_TITLE = re.compile(rf"\W*(resolved|service is operating normally)\b|.*\[({_STATE})\]", re.IGNORECASE | re.DOTALL)
"""A title that says that nothing is wrong, as ``RESOLVED: …`` or ``… [Resolved] …``."""

_WORD = re.compile(r"<(?:strong|b)>([^<]*)</", re.IGNORECASE)
"""The first word of weight in a text: the state of an incident, whose news come before what is older."""


@dataclasses.dataclass(repr=False)
class Feed(StatusPage):
    """Warn of incidents in a provider's RSS or Atom feed: a base class.

    Verifies that the feed can be fetched and understood, and that no incident is going on: no entry that is younger
    than ``incident_hours``, or has no date, unless it says that the incident is resolved or that it is still to come.
    That costs the provider a request every five minutes.

    Give ``feed_url``, as a class attribute or a property.

    Args:
        incident_hours: For how many hours after its last update an incident counts; default 8.
    """

    feed_url: ClassVar[str] = ""
    entry_each_time: ClassVar[bool] = False
    """Whether the feed has an entry for each update of an incident, so that the latest one replaces those before it."""

    incident_hours: float = dataclasses.field(default=8.0, repr=False, kw_only=True)

    def incidents(self) -> Sequence[Incident]:
        fetched = self.fetched(self.feed_url, "the status feed")
        try:
            found = feedparser.parse(io.BytesIO(fetched.body))  # bare bytes might be taken for the name of a file
        except Exception as error:  # it is hard to confuse, but not impossible
            raise ServiceReturnedUnexpectedResult("the status feed cannot be understood") from error
        if not found.get("version"):
            raise ServiceReturnedUnexpectedResult("the status feed is neither RSS nor Atom")
        return list(self._going_on(found.entries))

    def _going_on(self, entries: Sequence[Any]) -> Iterator[Incident]:
        now = datetime.datetime.now(datetime.UTC)
        for entry in entries:
            moment = _moment(entry)
            young = moment is None or now - datetime.timedelta(hours=self.incident_hours) <= moment <= now + FUTURE
            over = _is_over(entry)
            if young and over and self.entry_each_time:
                return
            if young and not over:
                yield Incident(title=_title(entry), link=str(entry.get("link", "")), moment=moment)


@dataclasses.dataclass(repr=False)
class AWS(Feed):
    """Warn of incidents of a service of Amazon Web Services.

    Args:
        region: The region, as in ``"eu-central-1"``.
        service: The service, as in ``"ec2"``.
    """

    entry_each_time: ClassVar[bool] = True

    region: str
    service: str

    @property
    def feed_url(self) -> str:  # type: ignore[override]
        """The feed of the service in the region."""
        return f"https://status.aws.amazon.com/rss/{self.service}-{self.region}.rss"


class Azure(Feed):
    """Warn of incidents of Microsoft Azure."""

    feed_url: ClassVar[str] = "https://rssfeed.azure.status.microsoft/en-us/status/feed/"


class GoogleCloud(Feed):
    """Warn of incidents of Google Cloud."""

    feed_url: ClassVar[str] = "https://status.cloud.google.com/en/feed.atom"


class Heroku(Feed):
    """Warn of incidents of Heroku."""

    feed_url: ClassVar[str] = "https://status.heroku.com/feed"


class Hetzner(Feed):
    """Warn of incidents of Hetzner."""

    feed_url: ClassVar[str] = "https://status.hetzner.com/en.atom"


def _title(entry: Any) -> str:
    title = str(entry.get("title", ""))[:MOST_CHARACTERS]
    try:
        return strip_tags(title)
    except SuspiciousOperation:  # more tags that do not end than Django cares to look for
        return title


def _moment(entry: Any) -> datetime.datetime | None:
    """Return when an entry was changed last, or made; None if it does not say, or says nonsense."""
    for name in ("updated_parsed", "published_parsed"):
        if name in entry and entry[name] is not None:
            try:
                return datetime.datetime.fromtimestamp(calendar.timegm(entry[name]), datetime.UTC)
            except (ValueError, OverflowError, OSError):
                return None
    return None


def _is_over(entry: Any) -> bool:
    if _TITLE.match(_title(entry)):
        return True
    word = _WORD.search(str(entry.get("summary", "")))
    return word is not None and word[1].strip().casefold() in _STATE.split("|")
