"""The check of an Elasticsearch cluster."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, ClassVar

from health_check.checks.clients import ServiceCheck
from health_check.contrib._http import fetch
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable, ServiceWarning

PATH = "/_cluster/health"
"""The path at which a cluster answers its state."""


@dataclasses.dataclass(repr=False)
class Elasticsearch(ServiceCheck):
    """Check that a cluster has all its data.

    Verifies that a node answers, accepts the login, and reports its cluster green; yellow (replicas are missing) is a
    warning, red (data is missing) an error. Reads and writes no index; the user needs the right to monitor. That costs
    the cluster a request a run.

    Args:
        url: A node, as in ``https://HOST:9200``.
        auth: User and password; default none, or those of the URL.
        api_key: An API key instead; default none.
        yellow_is_ok: Whether yellow is ok, as for a cluster of one node; default False.
        ca_file: A file with the certificates to trust, instead of the usual ones.
    """

    product: ClassVar[str] = "Elasticsearch"

    url: str = dataclasses.field(default="http://127.0.0.1:9200", repr=False)
    auth: tuple[str, str] | None = dataclasses.field(default=None, repr=False)
    api_key: str | None = dataclasses.field(default=None, repr=False)
    yellow_is_ok: bool = dataclasses.field(default=False, repr=False)
    ca_file: str | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        state = self._document().get("status")
        if state == "red":
            raise ServiceUnavailable(f"{self.product} is red: some data cannot be reached")
        if state == "yellow" and not self.yellow_is_ok:
            raise ServiceWarning(f"{self.product} is yellow: some replicas are missing")
        if state not in ("green", "yellow"):
            raise ServiceReturnedUnexpectedResult(f"{self.product} does not report the state of its cluster")

    def _document(self) -> Mapping[str, Any]:
        key = {"Authorization": f"ApiKey {self.api_key}"} if self.api_key else {}
        fetched = fetch(
            f"{self.url.rstrip('/')}{PATH}",
            what=self.product,
            seconds=self.client_timeout(),
            headers={"Accept": "application/json", **key},
            auth=self.auth,
            ca_file=self.ca_file,
            follow=False,
        )
        if fetched.status in (401, 403):
            raise ServiceUnavailable(f"the login to {self.product} was refused (HTTP {fetched.status})")
        if fetched.status in (502, 503, 504):
            raise ServiceUnavailable(f"{self.product} has no master, or is overloaded (HTTP {fetched.status})")
        if fetched.status not in (200, 408):  # 408: it has the answer, but not the state that was waited for
            raise ServiceReturnedUnexpectedResult(f"{self.product} answered HTTP {fetched.status}")
        try:
            document = json.loads(fetched.body)
        except (ValueError, RecursionError) as error:
            raise ServiceReturnedUnexpectedResult(f"{self.product} answered with something else than JSON") from error
        return document if isinstance(document, Mapping) else {}
