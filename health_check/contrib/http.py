"""The check of a web service."""

from __future__ import annotations

import dataclasses
import re
import ssl
import time
from collections.abc import Collection, Mapping

from health_check.checks.clients import ServiceCheck
from health_check.contrib._http import MOST_BYTES, Fetched, fetch
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceWarning

DAY_SECONDS = 86400.0


@dataclasses.dataclass(repr=False)
class HTTP(ServiceCheck):
    """Check that a web service answers as it should.

    Verifies that a URL can be fetched, that the status and, if wanted, the body are as expected, and, over TLS, that
    the certificate is valid, and will be for some days. Follows redirects unless one is what is expected, but to no
    other host, and from https to http never; headers and authentication go to the origin of the URL alone. That costs
    the service a request a run. Give each of several a ``name``.

    Args:
        url: The URL, ``http://…`` or ``https://…``. Put secrets into ``auth`` or ``headers``: the client
            logs the URL, without user and password.
        expected_status: The status that is expected, or several of them; default 200.
        match: A regular expression that is to be found in the body (of which 2 MiB are read); default any body.
        method: The HTTP method; default ``"GET"``.
        headers: More request headers; default none.
        auth: User and password for basic authentication; default those of the URL.
        expiry_days: Within how many days of the certificate's expiry to warn; None never does. Default 14.
        ca_file: A file with the certificates to trust, instead of the usual ones.
        redirect_hosts: Other hosts that redirects may lead to, as in ``["www.shop.example"]``; default none.

    Raises:
        re.error: If ``match`` is not a regular expression.
    """

    url: str = dataclasses.field(repr=False)
    expected_status: int | Collection[int] = dataclasses.field(default=200, repr=False)
    match: str | None = dataclasses.field(default=None, repr=False)
    method: str = dataclasses.field(default="GET", repr=False)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    auth: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    expiry_days: float | None = dataclasses.field(default=14.0, repr=False)
    ca_file: str | None = dataclasses.field(default=None, repr=False)
    redirect_hosts: Collection[str] = dataclasses.field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.match is not None:
            re.compile(self.match)

    def check_status(self) -> None:
        expected = {self.expected_status} if isinstance(self.expected_status, int) else set(self.expected_status)
        fetched = fetch(
            self.url,
            what="the web service",
            seconds=self.client_timeout(),
            method=self.method,
            headers=self.headers,
            auth=self.auth,
            ca_file=self.ca_file,
            follow=not any(300 <= status < 400 for status in expected),
            redirect_hosts=self.redirect_hosts,
        )
        self._verify(fetched, expected)
        self._look_ahead(fetched)

    def _verify(self, fetched: Fetched, expected: set[int]) -> None:
        if fetched.status not in expected:
            raise ServiceReturnedUnexpectedResult(
                f"the web service answered HTTP {fetched.status}, not {' or '.join(map(str, sorted(expected)))}"
            )
        if self.match is not None and not re.search(self.match, fetched.text):
            where = "the body" if fetched.complete else f"the first {MOST_BYTES} bytes of the body"
            raise ServiceReturnedUnexpectedResult(f"the web service answered, but {where} is not as expected")

    def _look_ahead(self, fetched: Fetched) -> None:
        if self.expiry_days is None or not fetched.certificate:
            return
        left = ssl.cert_time_to_seconds(str(fetched.certificate["notAfter"])) - time.time()
        if left < self.expiry_days * DAY_SECONDS:
            raise ServiceWarning(f"the certificate of the web service expires in {left / DAY_SECONDS:.1f} days")
