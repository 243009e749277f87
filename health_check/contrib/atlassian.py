"""The checks of providers whose status pages are Atlassian's."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from health_check.contrib._status_page import Incident, StatusPage
from health_check.exceptions import ServiceReturnedUnexpectedResult

SUMMARY = "/api/v2/summary.json"
"""The path at which a status page lists its components and incidents."""

OVER = ("resolved", "postmortem", "completed")
"""What the status of an incident is when it is over."""


@dataclasses.dataclass(repr=False)
class AtlassianStatusPage(StatusPage):
    """Warn of incidents on a provider's Atlassian status page: a base class.

    Verifies that the page's summary can be fetched and understood, and that no incident is going on, of a component if
    one is given. Announced maintenance is not an incident. That costs the provider a request every five minutes.

    Give ``base_url``, as a class attribute or a property.

    Args:
        component: The name of a component, or of a group of them, that alone matters; default all.
    """

    base_url: ClassVar[str] = ""

    component: str = ""

    def incidents(self) -> Sequence[Incident]:
        fetched = self.fetched(f"{self.base_url.rstrip('/')}{SUMMARY}", "the status page")
        try:
            return list(self._going_on(json.loads(fetched.body)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ServiceReturnedUnexpectedResult("the status page answered in an unknown form") from error

    def _going_on(self, summary: Mapping[str, Any]) -> Iterator[Incident]:
        watched = self._watched(summary.get("components", ()))
        for incident in summary["incidents"]:
            affected = {component["name"] for component in incident.get("components") or ()}
            if incident.get("status") not in OVER and (not watched or affected & watched):
                yield Incident(
                    title=str(incident["name"]),
                    link=str(incident.get("shortlink", "")),
                    moment=_moment(incident.get("updated_at")),
                )

    def _watched(self, components: Collection[Mapping[str, Any]]) -> set[str]:
        """Return the names of the components that matter; none if all do."""
        if not self.component:
            return set()
        ids = [each.get("id") for each in components if each["name"] == self.component]
        if not ids:
            raise ServiceReturnedUnexpectedResult(f"the status page has no component {self.component!r}")
        groups = {each for each in ids if each is not None}
        return {self.component, *(each["name"] for each in components if each.get("group_id") in groups)}


class Cloudflare(AtlassianStatusPage):
    """Warn of incidents of Cloudflare."""

    base_url: ClassVar[str] = "https://www.cloudflarestatus.com"


class DigitalOcean(AtlassianStatusPage):
    """Warn of incidents of DigitalOcean."""

    base_url: ClassVar[str] = "https://status.digitalocean.com"


class FlyIo(AtlassianStatusPage):
    """Warn of incidents of Fly.io."""

    base_url: ClassVar[str] = "https://status.flyio.net"


@dataclasses.dataclass(repr=False)
class GitHub(AtlassianStatusPage):
    """Warn of incidents of GitHub.

    Args:
        enterprise_region: The region of a GitHub Enterprise Cloud with data residency, as in ``"eu"``; default none.
    """

    class EnterpriseRegion(enum.StrEnum):
        """The regions of GitHub Enterprise Cloud with data residency."""

        australia = "au"
        eu = "eu"
        japan = "jp"
        us = "us"

    enterprise_region: str | None = None

    def __post_init__(self) -> None:
        self.enterprise_region = None if self.enterprise_region is None else str(self.enterprise_region)

    @property
    def base_url(self) -> str:  # type: ignore[override]
        """The status page of the region."""
        return f"https://{self.enterprise_region or 'www'}.githubstatus.com"


@dataclasses.dataclass(repr=False)
class Npm(AtlassianStatusPage):
    """Warn of incidents of npm, with the installation of packages unless another component is given."""

    base_url: ClassVar[str] = "https://status.npmjs.org"

    component: str = "Package installation"


class PlatformSh(AtlassianStatusPage):
    """Warn of incidents of Platform.sh."""

    base_url: ClassVar[str] = "https://status.platform.sh"


@dataclasses.dataclass(repr=False)
class PyPI(AtlassianStatusPage):
    """Warn of incidents of the Python Package Index unless another component of python.org is given."""

    base_url: ClassVar[str] = "https://status.python.org"

    component: str = "PyPI"


class Render(AtlassianStatusPage):
    """Warn of incidents of Render."""

    base_url: ClassVar[str] = "https://status.render.com"


class Sentry(AtlassianStatusPage):
    """Warn of incidents of Sentry."""

    base_url: ClassVar[str] = "https://status.sentry.io"


class Vercel(AtlassianStatusPage):
    """Warn of incidents of Vercel."""

    base_url: ClassVar[str] = "https://www.vercel-status.com"


def _moment(text: object) -> datetime.datetime | None:
    """Return a moment in ISO 8601; None if nothing is said, or no zone."""
    moment = datetime.datetime.fromisoformat(text) if isinstance(text, str) else None
    return moment if moment is None or moment.tzinfo else None
