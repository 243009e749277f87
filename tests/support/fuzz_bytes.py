"""Requests as bytes on a connection: most as they should be, others as no client should write them."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import io
import re
import socket
from collections.abc import Iterator
from typing import Any

from tests.support.fuzz_handlers import Answer
from tests.support.fuzz_requests import Dice, Request, request_of
from tests.support.site.planted import SECRET

PATIENCE_SECONDS = 0.2
"""For how long to wait for a server that may be waiting for more of what is no proper request."""

STUCK_SECONDS = 30.0
"""When a server counts as stuck that has all it will get."""

LINES = [
    *(b"", b"GET", b"GET /health/", b"GET  /health/  HTTP/1.1", b"GET /health/ HTTP/1.1 x", b"GET /health/ HTTP/0.9"),
    *(b"GET /health/ HTTP/3.0", b"GET /health/ HTTP/1.x", b"GET /health/ http/1.1", b"GET\t/health/\tHTTP/1.1"),
    *(b"GET http://evil.example/health/ HTTP/1.1", b"GET //evil.example/health/ HTTP/1.1", b"GET * HTTP/1.1"),
    *(b"OPTIONS * HTTP/1.1", b"CONNECT health:80 HTTP/1.1", b"PRI * HTTP/2.0", b"\x16\x03\x01\x02\x00\x01", b"\x00"),
    *(b"GET /health/\x00 HTTP/1.1", b"GET /health/\xff HTTP/1.1", b"GET health/ HTTP/1.1", b"GET /health/#x HTTP/1.1"),
    b"GET /health/?" + b"a" * 9000 + b" HTTP/1.1",
    b"G" * 9000,
]
"""First lines that are no good."""

HEADERS = [
    *(b"no colon", b" folded", b": no name", b"X y: z", b"X-A: \x00", b"X-A: \xff", b"X_A: b", b"Host : x", b"Host:"),
    *(b"Host: a\r\nHost: b", b"Transfer-Encoding: chunked", b"Transfer-Encoding: x", b"Content-Length: 5"),
    *(b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: -1", b"Content-Length: 99999999999999999999"),
    *(b"Expect: 100-continue", b"Upgrade: websocket", b"Connection: Upgrade", b"X-Forwarded-For: \x01"),
    b"X-A: " + b"a" * 9000,
    b"X-A: b\r\n" * 120 + b"X-A: b",
]
"""Header lines that are no good, or ask the server for something."""

ENDS = [b"\r\n\r\n"] * 6 + [b"\n\n", b"\r\n", b"", b"\r\n\r\n\x00\xff", b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]

_CLEAN = re.compile(rb"[!-~]*")
_HOST = re.compile(rb"[\w.:\[\]-]+")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Raw:
    """A request as it is sent."""

    content: bytes
    """All of it."""
    method: str
    """Its method, so that its answer can be read."""
    request: Request | None = None
    """What it asks, if it is as it should be."""


def _is_proper(request: Request) -> bool:
    """Tell whether servers have to pass on a request as it is."""
    names = [name for name, _ in request.headers]
    return (
        re.fullmatch("[A-Z]+", request.method, re.ASCII) is not None
        and len(set(names)) == len(names)
        and len(request.query) < 2000
        and not any(name.startswith("Content-") for name in names)
        and all(_HOST.fullmatch(value) for value in request.values("Host"))
        and all(_CLEAN.fullmatch(value.replace(b" ", b"")) for _, value in request.headers)
        and _CLEAN.fullmatch(request.path + request.query) is not None
        and not re.search(rb"[?#]", request.path)
    )


def raw_of(dice: Dice) -> Raw:
    """Return any bytes that start like a request, or not even that."""
    request = request_of(dice)
    line = b" ".join([request.method.encode("latin-1"), b"?".join([request.path, request.query]), b"HTTP/1.1"])
    headers = [name.encode() + b": " + value for name, value in request.headers]
    if _is_proper(request) and dice.number(4):
        hosts = [] if request.values("Host") else [b"Host: shop.example"]
        content = b"\r\n".join([line, *hosts, b"Connection: close", *headers, b"", b""])
        return Raw(content=content, method=request.method, request=request)
    if dice.number(2):
        line = dice.pick(LINES)
    headers += [dice.pick(HEADERS) for _ in range(dice.number(3))]
    content = dice.pick([b"\r\n", b"\r\n", b"\r\n", b"\n"]).join([line, b"Connection: close", *headers]) + dice.pick(
        ENDS
    )
    content = content.replace(SECRET.encode(), b"x")  # servers log what they do not understand
    return Raw(content=content, method="HEAD" if line.startswith(b"HEAD ") else "GET")


def asked(address: tuple[str, int], raw: Raw) -> Answer | None:
    """Return what a server answers; None if it hangs up.

    Raises:
        TimeoutError: If the server is stuck.
    """
    with socket.create_connection(address, STUCK_SECONDS) as connection:
        with contextlib.suppress(ConnectionError):  # it may have seen enough
            connection.sendall(raw.content)
        connection.settimeout(STUCK_SECONDS if raw.request else PATIENCE_SECONDS)
        received = b"".join(_received(connection))
    if not received.startswith(b"HTTP/"):
        return Answer(status=0, headers=(), body=received) if received else None
    source: Any = _Received(received)
    response = http.client.HTTPResponse(source, method=raw.method)
    try:
        response.begin()
    except http.client.RemoteDisconnected:  # after telling to go on
        return None
    return Answer(status=response.status, headers=tuple(response.getheaders()), body=response.read())


def _received(connection: socket.socket) -> Iterator[bytes]:
    """Yield what comes until the server hangs up; once it seems to wait for more, it hears that there is no more."""
    while True:
        try:
            part = connection.recv(65536)
        except TimeoutError:
            if connection.gettimeout() == STUCK_SECONDS:
                raise
            connection.settimeout(STUCK_SECONDS)
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            continue
        except ConnectionError:
            return
        if not part:
            return
        yield part


class _Received:
    """What the client library of HTTP takes for a socket."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, *args: Any, **kwargs: Any) -> io.BytesIO:
        return io.BytesIO(self._content)
