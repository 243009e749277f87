"""The checks of providers that tell of incidents in a feed."""

from __future__ import annotations

import calendar
import dataclasses
import time
from typing import Any, ClassVar

from health_check.checks.timeouts import client_timeout
from health_check.contrib.fetching import fetch
from health_check.contrib.status_pages import StatusPage
from health_check.exceptions import ServiceReturnedUnexpectedResult

try:
    import feedparser
except ImportError as error:
    raise ImportError("health_check.contrib.rss needs feedparser: pip install 'django-health-exporter[rss]'") from error

OVER = ("resolved", "completed", "closed", "service is operating normally", "postmortem")
"""What a title or a text begins with that says that an incident is over."""

FUTURE_SECONDS = 300.0
"""How far a provider's clock may be ahead."""


@dataclasses.dataclass(repr=False)
class Feed(StatusPage):
    """Warn of incidents that a provider tells of in an RSS or Atom feed: a base class.

    Verifies that the feed can be fetched and understood, and that it has no entry that is young and does not say that
    all is over. That costs the provider a request every five minutes.

    Give ``feed_url``, as a class attribute or a property.

    Args:
        incident_hours: For how many hours after its last word an incident counts; default 8.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    feed_url: ClassVar[str] = ""

    incident_hours: float = dataclasses.field(default=8.0, repr=False, kw_only=True)

    def check_status(self) -> None:
        fetched = fetch(self.feed_url, what="the status feed", seconds=client_timeout(self))
        if fetched.status != 200:
            raise ServiceReturnedUnexpectedResult(f"the status feed answered HTTP {fetched.status}")
        found = feedparser.parse(fetched.body)
        if not found.version:
            raise ServiceReturnedUnexpectedResult("the status feed is neither RSS nor Atom")
        self.warn_of([_title(entry) for entry in found.entries if self._is_going_on(entry)])

    def _is_going_on(self, entry: Any) -> bool:
        """Tell whether an entry is young, or says not when it is from, and does not say that all is over."""
        moment = entry.get("updated_parsed") or entry.get("published_parsed")
        if moment is not None:
            age = time.time() - calendar.timegm(moment)
            if not -FUTURE_SECONDS <= age <= self.incident_hours * 3600:
                return False
        texts = (_title(entry), _text(entry.get("summary", "")))
        return not any(text.casefold().startswith(OVER) for text in texts)


@dataclasses.dataclass(repr=False)
class AWS(Feed):
    """Warn of incidents of a service of Amazon Web Services.

    Args:
        region: The region, as in ``"eu-central-1"``.
        service: The service, as in ``"ec2"``.
        incident_hours: For how many hours after its last word an incident counts; default 8.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    region: str
    service: str

    @property
    def feed_url(self) -> str:  # type: ignore[override]
        """The feed of the service in the region."""
        return f"https://status.aws.amazon.com/rss/{self.service}-{self.region}.rss"


@dataclasses.dataclass(repr=False)
class Azure(Feed):
    """Warn of incidents of Microsoft Azure."""

    feed_url: ClassVar[str] = "https://rssfeed.azure.status.microsoft/en-us/status/feed/"


@dataclasses.dataclass(repr=False)
class GoogleCloud(Feed):
    """Warn of incidents of Google Cloud."""

    feed_url: ClassVar[str] = "https://status.cloud.google.com/en/feed.atom"


@dataclasses.dataclass(repr=False)
class Heroku(Feed):
    """Warn of incidents of Heroku."""

    feed_url: ClassVar[str] = "https://status.heroku.com/feed"


@dataclasses.dataclass(repr=False)
class Hetzner(Feed):
    """Warn of incidents of Hetzner."""

    feed_url: ClassVar[str] = "https://status.hetzner.com/en.atom"


def _title(entry: Any) -> str:
    return _text(entry.get("title", "")) or "an incident without a title"


def _text(value: object) -> str:
    return " ".join(str(value).replace("<", " <").split())
