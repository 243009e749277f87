"""The check of a web service."""

from __future__ import annotations

import dataclasses
import datetime
import re
import ssl
import time
from collections.abc import Collection, Mapping

from health_check.backends import HealthCheck
from health_check.checks.timeouts import client_timeout
from health_check.contrib.fetching import Fetched, fetch
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceWarning
from health_check.labels import ConciseRepr

DAY_SECONDS = 86400.0


@dataclasses.dataclass(repr=False)
class HTTP(ConciseRepr, HealthCheck):
    """Check that a web service answers as it should.

    Verifies that a URL can be fetched, that the status and, if wanted, the body are as expected, and, over TLS, that
    the certificate is valid, and will be for some days. That costs the service a request a run. Give each of several
    a ``name``.

    Args:
        url: The URL, ``http://…`` or ``https://…``.
        expected_status: The status that is expected, or several of them; default 200.
        match: A regular expression that is to be found in the body (of which 2 MiB are read); default any body.
        method: The HTTP method; default ``"GET"``.
        headers: More request headers; default none.
        auth: User and password for basic authentication; default none.
        expiry_days: Within how many days of the certificate's expiry to warn; None never does. Default 14.
        ca_file: A file with the certificates to trust, instead of the usual ones.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    url: str = dataclasses.field(repr=False)
    expected_status: int | Collection[int] = dataclasses.field(default=200, repr=False)
    match: str | None = dataclasses.field(default=None, repr=False)
    method: str = dataclasses.field(default="GET", repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    expiry_days: float | None = dataclasses.field(default=14.0, repr=False)
    ca_file: str | None = dataclasses.field(default=None, repr=False)
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        fetched = fetch(
            self.url,
            what="the web service",
            seconds=client_timeout(self),
            method=self.method,
            headers=self.headers,
            auth=self.auth,
            verify=True if self.ca_file is None else ssl.create_default_context(cafile=self.ca_file),
        )
        self._verify(fetched)
        self._look_ahead(fetched)

    def _verify(self, fetched: Fetched) -> None:
        expected = {self.expected_status} if isinstance(self.expected_status, int) else set(self.expected_status)
        if fetched.status not in expected:
            raise ServiceReturnedUnexpectedResult(
                f"the web service answered HTTP {fetched.status}, not {' or '.join(map(str, sorted(expected)))}"
            )
        if self.match is not None and not re.search(self.match, fetched.text):
            raise ServiceReturnedUnexpectedResult("the web service answered with another body than expected")

    def _look_ahead(self, fetched: Fetched) -> None:
        if self.expiry_days is None or not fetched.certificate:
            return
        left = ssl.cert_time_to_seconds(str(fetched.certificate["notAfter"])) - time.time()
        if left < self.expiry_days * DAY_SECONDS:
            raise ServiceWarning(f"the certificate of the web service expires in {left / DAY_SECONDS:.1f} days")
