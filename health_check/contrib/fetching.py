"""The fetching of what checks read over HTTP: bounded in time, size and redirects."""

from __future__ import annotations

import dataclasses
import ssl
import time
from collections.abc import Mapping
from typing import Any

import health_check
from health_check.exceptions import ServiceReturnedUnexpectedResult, ServiceUnavailable

try:
    import httpx
except ImportError as error:
    raise ImportError("this check needs httpx: pip install 'django-health-exporter[http]'") from error

MOST_BYTES = 2 * 1024 * 1024
"""How much of an answer is read at most."""

MOST_REDIRECTS = 5
"""How many redirects are followed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fetched:
    """An answer."""

    status: int
    """The HTTP status."""
    body: bytes
    """The body, or its beginning where it is longer than is read."""
    complete: bool
    """Whether the body is all there."""
    encoding: str
    """The character encoding that the answer states, else UTF-8."""
    certificate: Mapping[str, Any] | None
    """The server's certificate as ``ssl.SSLSocket.getpeercert`` has it; None without TLS."""

    @property
    def text(self) -> str:
        """The body as text."""
        try:
            return self.body.decode(self.encoding, "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")


def fetch(
    url: str,
    *,
    what: str,
    seconds: float,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    auth: tuple[str, str] | None = None,
    verify: ssl.SSLContext | bool = True,
    follow: bool = True,
) -> Fetched:
    """Fetch a URL.

    Args:
        url: The URL.
        what: What is there, for messages, as in ``"the status page"``.
        seconds: How long all of it may take.
        method: The HTTP method.
        headers: More request headers.
        auth: User and password for basic authentication.
        verify: Whether, or how, to verify the server's certificate.
        follow: Whether to follow redirects.

    Raises:
        ServiceUnavailable: If there is no answer in time.
        ServiceReturnedUnexpectedResult: If it leads nowhere.
    """
    end = time.monotonic() + seconds
    agent = {"User-Agent": f"django-health-exporter/{health_check.__version__}", **(headers or {})}
    try:
        with (
            httpx.Client(
                timeout=seconds, verify=verify, follow_redirects=follow, max_redirects=MOST_REDIRECTS, auth=auth
            ) as client,
            client.stream(method, url, headers=agent) as response,
        ):
            body, complete = _read(response, end)
            return Fetched(
                status=response.status_code,
                body=body,
                complete=complete,
                encoding=response.charset_encoding or "utf-8",
                certificate=_certificate(response),
            )
    except (httpx.TimeoutException, TimeoutError) as error:
        raise ServiceUnavailable(f"{what} did not answer in time") from error
    except httpx.TooManyRedirects as error:
        raise ServiceReturnedUnexpectedResult(f"{what} redirects more than {MOST_REDIRECTS} times") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise ServiceUnavailable(f"the URL of {what} cannot be used: begin it with http:// or https://") from error
    except httpx.HTTPError as error:
        raise ServiceUnavailable(f"cannot reach {what} ({_reason(error)})") from error


def _read(response: httpx.Response, end: float) -> tuple[bytes, bool]:
    body = bytearray()
    for part in response.iter_bytes():
        body += part
        if time.monotonic() > end:
            raise TimeoutError
        if len(body) > MOST_BYTES:
            return bytes(body[:MOST_BYTES]), False
    return bytes(body), True


def _certificate(response: httpx.Response) -> Mapping[str, Any] | None:
    stream = response.extensions.get("network_stream")
    secured = stream.get_extra_info("ssl_object") if stream is not None else None
    return secured.getpeercert() if secured is not None else None


def _reason(error: httpx.HTTPError) -> str:
    """Return the class of what went wrong: its text has hosts in it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"certificate: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__
