"""Requests of all kinds, as clients, proxies and attackers send them."""

from __future__ import annotations

import dataclasses
import urllib.parse
import zlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.support.repetitions import FACTOR, times
from tests.support.site.planted import SECRET, TOKEN, USER_TOKEN

T = TypeVar("T")

SECONDS = 300 * max(1.0, FACTOR)
"""When a test counts as stuck, on a machine that is busy with others."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """A request, in bytes as they are sent."""

    method: str
    """The method."""
    path: bytes
    """The path, percent-encoded or not."""
    query: bytes = b""
    """The query string."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """The headers; of those with equal names WSGI gets the last."""
    peer: str = "127.0.0.1"
    """The address of who is connected; empty for a unix socket."""

    @property
    def plain_path(self) -> str:
        """The path as it is resolved."""
        return urllib.parse.unquote_to_bytes(self.path).decode("latin-1")

    @property
    def is_text(self) -> bool:
        """Whether the query string is UTF-8; what is none, Django refuses under ASGI."""
        try:
            self.query.decode()
        except UnicodeDecodeError:
            return False
        return True

    def values(self, name: str) -> list[bytes]:
        """Return the values of a header."""
        return [value for found, value in self.headers if found.lower() == name.lower()]


PATHS = [b"/health/", b"/health/live/", b"/fresh/", b"/guarded/", b"/quiet/", b"/metrics", b"/guarded-metrics"]

FORMATS = [b"html", b"json", b"text", b"health+json", b"health%2Bjson", b"rss", b"atom"]

MEDIA_TYPES = [
    *(b"text/html", b"application/json", b"text/plain", b"application/health+json", b"application/rss+xml"),
    *(b"application/atom+xml", b"application/xhtml+xml", b"*/*", b"text/*", b"image/png"),
    b"application/openmetrics-text; version=1.0.0",
]


Values = tuple[list[bytes], list[bytes]]
"""Usual values, and parts that others are put together of."""


_ADDRESSES = [b"10.0.0.7", b"192.0.2.1", b"198.51.100.9", b"::1", b"::ffff:10.1.2.3", b"unknown"]
_PARTS = [b",", b", ", b";", b" ", b"=", b'"', b"'", b"\t", b"\x00", b"\xff", b"%0d%0a", b"\\", b"{{7*7}}", b"<script>"]
_BEARER = [b"Bearer " + token.encode() for token in (TOKEN, USER_TOKEN, f"{SECRET}-wrong")]

HEADERS: dict[str, Values] = {
    "Accept": (MEDIA_TYPES, [b",", b";q=0", b";q=0.5", b";q=nan", b";q=x", b";version=0.0.4", b"/", *_PARTS]),
    "Host": (
        [b"shop.example", b"testserver", b"127.0.0.1:8000", b"[::1]:80", b"evil.example", b"-", b"10.0.0.7"],
        [b":", b"@", b".", b"/", b"..", b"xn--", *_PARTS],
    ),
    "Authorization": (
        [*_BEARER, b"bearer  " + TOKEN.encode(), TOKEN.encode(), b"Basic eDp5", b"Bearer", b"Bearer "],
        [b"Bearer ", TOKEN.encode(), *_PARTS],
    ),
    "X-Forwarded-For": ([*_ADDRESSES, b"10.0.0.7, 192.0.2.1"], [b",", *_ADDRESSES, *_PARTS]),
    "X-Forwarded-Proto": ([b"https", b"http", b"ftp", b""], [b",", *_PARTS]),
    "X-Forwarded-Host": ([b"shop.example", b"evil.example", b"a:b"], [b",", b":", b"@", *_PARTS]),
    "X-Forwarded-Port": ([b"443", b"0", b"99999", b"x"], _PARTS),
    "Accept-Encoding": ([b"gzip", b"identity", b"gzip;q=0", b"br, *"], [b"gzip", b";q=", b"*", *_PARTS]),
    "Cookie": (
        [b"sessionid=staff", b"sessionid=customer", b"sessionid=x", b"sessionid=" + SECRET.encode(), b"a=b"],
        [b"sessionid=", b";", b"csrftoken=x", *_PARTS],
    ),
    "X-Prometheus-Scrape-Timeout-Seconds": ([b"10", b"0.5", b"nan", b"-1", b"1e999", b"x"], [b"1", b"_", b"\xb2"]),
    "Range": ([b"bytes=0-1", b"bytes=-1", b"bytes=9999-"], _PARTS),
    "If-None-Match": ([b"*", b'"x"', b'W/"x"'], _PARTS),
    "If-Modified-Since": ([b"Wed, 21 Oct 2099 07:28:00 GMT", b"x"], _PARTS),
    "Content-Type": ([b"application/json", b"multipart/form-data; boundary=x"], _PARTS),
    "Content-Length": ([b"0", b"5", b"-1", b"x"], _PARTS),
}
"""What the headers may be that somebody might look at."""

METHODS = ["GET"] * 6 + ["HEAD"] * 2 + ["OPTIONS", "POST", "PUT", "DELETE", "TRACE", "get", "BREW", "G\xcbT"]

_QUERY = [
    *(b"format=", b"&", b"=", b"%", b"%ff", b"%00", b"+", b";", b"name[]=", b"name%5B%5D=", b"token=", b"subset="),
    *(SECRET.encode(), TOKEN.encode(), b"django_health_check_status", b"format[]=json", b"a=b", b"\xff", *FORMATS),
    b"a=b&" * 1100,
]


_SEGMENTS = [
    *(
        b"/",
        b"//",
        b"health",
        b"live",
        b"metrics",
        b"guarded",
        b".",
        b"..",
        b"%2f",
        b"%2e",
        b"%ff",
        b"%00",
        b"\xff",
        b"%",
    ),
    *(b"\xc3\xa9", b"%0d%0a", b"de", b"favicon.ico", b" ", b"?", b";", b"@", b"admin"),
]

PEERS = ["127.0.0.1", "127.0.0.1", "198.51.100.9", "10.0.0.7", "192.0.2.1", "::1", "", "a name"]

_USUAL_HEADERS = [(name, value) for name, (usual, _) in HEADERS.items() for value in usual]


class Dice:
    """Choose at random, which is to say by the bytes that hypothesis gives: it is quicker to draw many at once."""

    def __init__(self, thrown: bytes) -> None:
        self._left = iter(thrown)

    def number(self, sides: int) -> int:
        """Return a number from 0 up."""
        return next(self._left, 0) % sides

    def pick(self, options: Sequence[T]) -> T:
        """Return one of them."""
        return options[self.number(len(options))]

    def joined(self, parts: Sequence[bytes], most: int = 4) -> bytes:
        """Return some of them, one after the other."""
        return b"".join([self.pick(parts) for _ in range(self.number(most + 1))])

    def header(self) -> tuple[str, bytes]:
        """Return a header as it is usual, put together in an unusual way, or of any bytes."""
        kind = self.number(8)
        if kind < 6:
            return self.pick(_USUAL_HEADERS)
        name, (usual, parts) = self.pick(list(HEADERS.items()))
        any_bytes = bytes(self.number(256) for _ in range(self.number(8)))
        return name, self.joined([*usual, *parts]) if kind == 6 else any_bytes

    def path(self) -> bytes:
        """Return a path, mostly one that there is."""
        kind = self.number(12)
        if kind < 10:
            return self.pick(PATHS)
        return b"/" + self.joined(_SEGMENTS, 6) if kind == 10 else self.pick(PATHS) + self.joined(_SEGMENTS, 2)

    def query(self) -> bytes:
        """Return a query string, mostly none."""
        kind = self.number(6)
        if kind < 3:
            return b""
        return b"format=" + self.pick(FORMATS) if kind < 5 else self.joined(_QUERY, 6)


def request_of(dice: Dice) -> Request:
    """Return any request."""
    return Request(
        method=dice.pick(METHODS),
        path=dice.path(),
        query=dice.query(),
        headers=tuple(dice.header() for _ in range(dice.number(5))),
        peer=dice.pick(PEERS),
    )


AT_ONCE = 10
"""How many independent requests make an example."""

_THROWS = 64
"""How many bytes decide on one of them."""


def fuzz(
    made: Callable[[Dice], T], *, examples: int, name: str
) -> Callable[[Callable[[list[T]], None]], Callable[[], None]]:
    """Return a decorator that has a function called with lists of what is made by chance, the same at each run.

    All bytes of a list are drawn at once: what hypothesis draws in parts it likes to make equal.

    Args:
        made: Makes one of them.
        examples: How many lists.
        name: What is fuzzed; others get other lists.
    """
    size = AT_ONCE * _THROWS
    lists = st.binary(min_size=size, max_size=size).map(
        lambda thrown: [made(Dice(thrown[start : start + _THROWS])) for start in range(0, size, _THROWS)]
    )
    chosen = settings(
        database=None,
        deadline=None,
        max_examples=times(examples),
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    def decorate(check: Callable[[list[T]], None]) -> Callable[[], None]:
        return seed(zlib.crc32(name.encode()))(chosen(given(lists)(check)))

    return decorate
