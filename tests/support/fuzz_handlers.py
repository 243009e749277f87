"""Ask Django's own handlers, with nothing between them and raw requests, as servers call them."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler

from tests.support.fuzz_requests import Request

Ask = Callable[[Iterable[Request]], "list[Answer]"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server would send."""

    status: int
    """The status."""
    headers: tuple[tuple[str, str], ...]
    """The headers."""
    body: bytes
    """The body."""

    def header(self, name: str) -> str:
        """Return the value of a header; empty if it is not there."""
        return ", ".join(value for found, value in self.headers if found.lower() == name.lower())


def environ_of(request: Request) -> dict[str, Any]:
    """Return a request as PEP 3333 has it: bytes as latin-1."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.plain_path,
        "QUERY_STRING": request.query.decode("latin-1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.peer,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(b"hello"),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        environ[key if key.startswith("CONTENT_") else f"HTTP_{key}"] = value.decode("latin-1")
    return environ


def scope_of(request: Request) -> dict[str, Any]:
    """Return a request as the ASGI specification of HTTP has it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": "http",
        "path": urllib.parse.unquote_to_bytes(request.path).decode(errors="replace"),
        "raw_path": request.path,
        "query_string": request.query,
        "root_path": "",
        "headers": [(name.lower().encode(), value) for name, value in request.headers],
        "client": [request.peer, 40000] if request.peer else None,
        "server": ["127.0.0.1", 8000],
    }


@contextmanager
def wsgi() -> Iterator[Ask]:
    """Have the settings in force answer under WSGI."""
    handler = WSGIHandler()

    def ask(request: Request) -> Answer:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], *args: object) -> Callable[[bytes], object]:
            started.append((status, headers))
            return len

        response = handler(environ_of(request), start)
        body = b"".join(response)
        response.close()
        [(status, headers)] = started
        return Answer(status=int(status[:3]), headers=tuple(headers), body=body)

    yield lambda requests: [ask(request) for request in requests]


@contextmanager
def asgi() -> Iterator[Ask]:
    """Have the settings in force answer under ASGI, on one event loop, several requests at once."""
    handler = ASGIHandler()

    async def ask(request: Request) -> Answer:
        received: list[Any] = [{"type": "http.request", "body": b"hello", "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            if not received:
                await asyncio.Event().wait()  # the client stays
            return received.pop()

        async def send(message: Any) -> None:
            sent.append(message)

        await handler(scope_of(request), receive, send)
        start, *parts = sent
        return Answer(
            status=start["status"],
            headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]),
            body=b"".join(part.get("body", b"") for part in parts),
        )

    async def ask_all(requests: Iterable[Request]) -> list[Answer]:
        return list(await asyncio.gather(*map(ask, requests)))

    with asyncio.Runner() as runner:
        yield lambda requests: runner.run(ask_all(requests))


STACKS = {"wsgi": wsgi, "asgi": asgi}
