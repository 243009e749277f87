"""The checks of providers whose status pages are Atlassian's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from health_check.checks.timeouts import client_timeout
from health_check.contrib.fetching import fetch
from health_check.contrib.status_pages import StatusPage
from health_check.exceptions import ServiceReturnedUnexpectedResult

SUMMARY = "/api/v2/summary.json"
"""Where a status page tells of its components and incidents."""

OVER = ("resolved", "postmortem", "completed")
"""What the status of an incident is when it is over."""


@dataclasses.dataclass(repr=False)
class AtlassianStatusPage(StatusPage):
    """Warn of incidents that a provider tells of on a status page of Atlassian's: a base class.

    Verifies that the page's summary can be fetched and understood, and that no incident is going on, of a component if
    one is given. Maintenance that is announced is no incident. That costs the provider a request every five minutes.

    Give ``base_url``, as a class attribute or a property.

    Args:
        component: The name of a component, or of a group of them, that alone matters; default all.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    base_url: ClassVar[str] = ""

    component: str = ""

    def check_status(self) -> None:
        fetched = fetch(f"{self.base_url.rstrip('/')}{SUMMARY}", what="the status page", seconds=client_timeout(self))
        if fetched.status != 200:
            raise ServiceReturnedUnexpectedResult(f"the status page answered HTTP {fetched.status}")
        try:
            summary = json.loads(fetched.body)
            incidents = [_words(incident) for incident in self._going_on(summary)]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ServiceReturnedUnexpectedResult("the status page answered in an unknown form") from error
        self.warn_of(incidents)

    def _going_on(self, summary: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        watched = self._watched(summary.get("components", ()))
        for incident in summary["incidents"]:
            affected = {component["name"] for component in incident.get("components", ())}
            if incident.get("status") not in OVER and (not watched or affected & watched):
                yield incident

    def _watched(self, components: Iterable[Mapping[str, Any]]) -> set[str]:
        """Return the names of the components that matter; none if all do."""
        if not self.component:
            return set()
        named = next((each for each in components if each["name"] == self.component), None)
        if named is None:
            raise ServiceReturnedUnexpectedResult(f"the status page has no component {self.component!r}")
        parts = {each["name"] for each in components if each.get("group_id") == named.get("id", self)}
        return {self.component, *parts}


@dataclasses.dataclass(repr=False)
class Cloudflare(AtlassianStatusPage):
    """Warn of incidents of Cloudflare."""

    base_url: ClassVar[str] = "https://www.cloudflarestatus.com"


@dataclasses.dataclass(repr=False)
class DigitalOcean(AtlassianStatusPage):
    """Warn of incidents of DigitalOcean."""

    base_url: ClassVar[str] = "https://status.digitalocean.com"


@dataclasses.dataclass(repr=False)
class FlyIo(AtlassianStatusPage):
    """Warn of incidents of Fly.io."""

    base_url: ClassVar[str] = "https://status.flyio.net"


@dataclasses.dataclass(repr=False)
class GitHub(AtlassianStatusPage):
    """Warn of incidents of GitHub.

    Args:
        component: The name of a component that alone matters; default all.
        enterprise_region: The region of a GitHub Enterprise Cloud with data residency, as in ``"eu"``; default none.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    enterprise_region: str | None = None

    @property
    def base_url(self) -> str:  # type: ignore[override]
        """The status page of the region."""
        return f"https://{self.enterprise_region or 'www'}.githubstatus.com"


@dataclasses.dataclass(repr=False)
class Npm(AtlassianStatusPage):
    """Warn of incidents of npm, with the installation of packages unless another component is given."""

    base_url: ClassVar[str] = "https://status.npmjs.org"

    component: str = "Package installation"


@dataclasses.dataclass(repr=False)
class PlatformSh(AtlassianStatusPage):
    """Warn of incidents of Platform.sh."""

    base_url: ClassVar[str] = "https://status.platform.sh"


@dataclasses.dataclass(repr=False)
class PyPI(AtlassianStatusPage):
    """Warn of incidents of the Python Package Index unless another component of python.org is given."""

    base_url: ClassVar[str] = "https://status.python.org"

    component: str = "PyPI"


@dataclasses.dataclass(repr=False)
class Render(AtlassianStatusPage):
    """Warn of incidents of Render."""

    base_url: ClassVar[str] = "https://status.render.com"


@dataclasses.dataclass(repr=False)
class Sentry(AtlassianStatusPage):
    """Warn of incidents of Sentry."""

    base_url: ClassVar[str] = "https://status.sentry.io"


@dataclasses.dataclass(repr=False)
class Vercel(AtlassianStatusPage):
    """Warn of incidents of Vercel."""

    base_url: ClassVar[str] = "https://www.vercel-status.com"


def _words(incident: Mapping[str, Any]) -> str:
    link = incident.get("shortlink")
    return f"{incident['name']}: {link}" if link else str(incident["name"])
