"""Requests as a server hands them to Django, without the server."""

from __future__ import annotations

import asyncio
import io
import sys
from collections.abc import Callable
from typing import Any

from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler


def wsgi_request(handler: WSGIHandler, path: str, accept: str) -> Callable[[], bytes]:
    """Return a function that sends a request to a WSGI application, and returns the body of the answer."""
    path, _, query_string = path.partition("?")
    environ = {
        "HTTP_ACCEPT": accept,
        "HTTP_HOST": "localhost",
        "PATH_INFO": path,
        "QUERY_STRING": query_string,
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }

    application: Any = handler

    def request() -> bytes:
        response = application({**environ, "wsgi.input": io.BytesIO()}, lambda status, headers: None)
        body: bytes = b"".join(response)
        response.close()
        return body

    return request


class ASGIRequests:
    """Requests to an ASGI application, one after the other on one event loop.

    Args:
        handler: The application.
        path: The path.
        accept: The ``Accept`` header.
    """

    def __init__(self, handler: ASGIHandler, path: str, accept: str) -> None:
        self._handler: Any = handler
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"accept", accept.encode())],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }

    def seconds(self, calls: int) -> float:
        """Send some requests, and return how long one takes."""
        return asyncio.run(self._seconds(calls))

    async def _seconds(self, calls: int) -> float:
        loop = asyncio.get_running_loop()
        await self._request()
        start = loop.time()
        for _ in range(calls):
            await self._request()
        return (loop.time() - start) / calls

    async def _request(self) -> None:
        received: list[dict[str, Any]] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict[str, Any]:
            if received:
                return received.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: dict[str, Any]) -> None:
            pass

        await self._handler(dict(self._scope), receive, send)
