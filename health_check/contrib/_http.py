"""The fetching of what checks read over HTTP: bounded in time, size and redirects."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import socket
import ssl
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from health_check._version import __version__
from health_check.checks.clients import needs
from health_check.exceptions import HealthCheckException, ServiceReturnedUnexpectedResult, ServiceUnavailable

with needs("httpx", extra="http", what="this check"):
    import httpx

    from health_check.contrib._deadline import bound

MOST_BYTES = 2 * 1024 * 1024
"""How much of an answer is read at most."""

MOST_REDIRECTS = 5
"""How many redirects are followed."""

CERTIFICATES = {
    9: "is not valid yet",
    10: "has expired",
    **dict.fromkeys((18, 19, 20, 21), "is not trusted"),
    23: "is revoked",
    62: "is for another name",
    64: "is for another address",
}
"""What is wrong with a certificate, by OpenSSL's code of it (``X509_V_ERR_…``), whose own words name hosts."""


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
    ca_file: str | None = None,
    follow: bool = True,
    redirect_hosts: Collection[str] = (),
) -> Fetched:
    """Fetch a URL.

    Redirects to another host are not followed, nor from https to http. The headers and the authentication go to the
    origin of the URL alone, or to the same host over TLS.

    Args:
        url: The URL; user and password in it count where ``auth`` is not given.
        what: What is there, for messages, as in ``"the status page"``.
        seconds: How long all of it may take.
        method: The HTTP method.
        headers: More request headers.
        auth: User and password for basic authentication.
        ca_file: A file with the certificates to trust, instead of the usual ones.
        follow: Whether to follow redirects.
        redirect_hosts: The other hosts that they may lead to.

    Raises:
        ServiceUnavailable: If there is no answer in time.
        ServiceReturnedUnexpectedResult: If the answer is no HTTP, or leads nowhere.
    """
    own = {"User-Agent": f"django-health-exporter/{__version__}", "Accept-Encoding": "identity"}
    try:
        place = httpx.URL(url)
        login = auth or ((place.username, place.password) if place.userinfo else None)
        with httpx.Client(verify=_trust(ca_file), timeout=seconds) as client:
            bound(client, seconds)
            bare = place.copy_with(userinfo=b"")  # httpx logs the URL
            request = client.build_request(method, bare, headers={**own, **(headers or {})})
            for _ in range(MOST_REDIRECTS + 1):
                with contextlib.closing(client.send(request, stream=True, auth=login)) as response:
                    following = response.next_request
                    if not follow or following is None:
                        return _read(response)
                _require_harmless(request.url, following.url, what, redirect_hosts)
                if not _is_origin(bare, following.url):
                    login = None
                    for name in headers or ():
                        following.headers.pop(name, None)
                request = following
            raise httpx.TooManyRedirects("", request=request)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        # the text of an invalid URL has a part of it: of a password with a slash, say
        raise _told(error, what) from (None if isinstance(error, httpx.InvalidURL) else error)


def _require_harmless(before: httpx.URL, after: httpx.URL, what: str, hosts: Collection[str]) -> None:
    """Refuse a redirect that leads to another host, or from https to http."""
    if after.scheme in ("http", "https") and after.host not in (before.host, *hosts):
        raise ServiceReturnedUnexpectedResult(f"{what} redirects to another host")
    if (before.scheme, after.scheme) == ("https", "http"):
        raise ServiceReturnedUnexpectedResult(f"{what} redirects from https to http")


def _is_origin(first: httpx.URL, other: httpx.URL) -> bool:
    """Return whether a URL is of the origin of the first one, or the same host's over TLS, at the usual ports."""
    is_same = (first.scheme, first.port) == (other.scheme, other.port)
    is_upgraded = (first.scheme, first.port, other.scheme, other.port) == ("http", None, "https", None)
    return first.host == other.host and (is_same or is_upgraded)


def _read(response: httpx.Response) -> Fetched:
    secured = response.extensions["network_stream"].get_extra_info("ssl_object")
    certificate = secured.getpeercert() if secured is not None else None
    body = bytearray()
    for part in response.iter_raw():
        body += part
        if len(body) > MOST_BYTES:
            break
    beginning = bytes(body[:MOST_BYTES])
    if response.headers.get("Content-Encoding", "").casefold() == "gzip":  # although it was not asked for
        beginning = _unpacked(beginning)
    return Fetched(
        status=response.status_code,
        body=beginning,
        complete=len(body) <= MOST_BYTES and len(beginning) <= MOST_BYTES,
        encoding=response.charset_encoding or "utf-8",
        certificate=certificate,
    )


def _unpacked(packed: bytes) -> bytes:
    """Return what is packed with gzip, one byte more than is read at most; as it is where that fails."""
    try:
        return zlib.decompressobj(wbits=31).decompress(packed, MOST_BYTES + 1)
    except zlib.error:
        return packed


def _trust(ca_file: str | None) -> ssl.SSLContext:
    if ca_file is None:
        return _usual_trust()
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # that of the ssl module is one, too
        raise ServiceUnavailable(
            f"the file of the certificates to trust cannot be used ({type(error).__name__})"
        ) from error


_usual_trust = functools.cache(httpx.create_ssl_context)
"""Trusts the usual authorities, which are read once: that takes some 20 ms of a processor."""


def _told(error: Exception, what: str) -> HealthCheckException:
    """Return what to say of an error of the client's: the step that failed, never its text, which has hosts in it."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            problem = CERTIFICATES.get(cause.verify_code, "cannot be verified")
            return ServiceUnavailable(f"the certificate of {what} {problem}")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return ServiceUnavailable(f"the name of the host of {what} cannot be resolved")
    for kinds, exception, words in STEPS:
        if isinstance(error, kinds):
            return exception(f"{words.format(what=what)} ({type(error).__name__})")
    return ServiceUnavailable(f"cannot fetch {what} ({type(error).__name__})")


STEPS: tuple[tuple[tuple[type[Exception], ...], type[HealthCheckException], str], ...] = (
    ((httpx.InvalidURL, httpx.UnsupportedProtocol), ServiceUnavailable, "the URL of {what} cannot be used"),
    ((httpx.ConnectTimeout,), ServiceUnavailable, "cannot connect to {what} in time"),
    ((httpx.ConnectError,), ServiceUnavailable, "cannot connect to {what}"),
    ((httpx.ProxyError,), ServiceUnavailable, "cannot reach {what} through the proxy"),
    ((httpx.TimeoutException,), ServiceUnavailable, "{what} did not answer in time"),
    ((httpx.TooManyRedirects,), ServiceReturnedUnexpectedResult, "{what} redirects too often"),
    ((httpx.LocalProtocolError,), ServiceUnavailable, "the request to {what} cannot be sent"),
    ((httpx.RemoteProtocolError,), ServiceReturnedUnexpectedResult, "{what} is incomplete, or not HTTP"),
    ((httpx.NetworkError,), ServiceUnavailable, "the connection to {what} was lost"),
)
"""What to say of the client's errors; the first that fits."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
