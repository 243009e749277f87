"""Small real servers for the tests of what asks servers."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import threading
import wsgiref.simple_server
from collections.abc import Callable, Iterator
from email.message import Message
from typing import TypeVar

from django.core.handlers.wsgi import WSGIHandler

S = TypeVar("S", bound=socketserver.BaseServer)

Send = Callable[[http.server.BaseHTTPRequestHandler], None]


class Server(http.server.ThreadingHTTPServer):
    """Gives every request one answer, and keeps what was asked."""

    def __init__(self, answer: Send) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[tuple[str, Message]] = []
        self.bodies: list[bytes] = []
        self.done = threading.Event()

    @property
    def address(self) -> str:
        """Where it listens, as ``HOST:PORT``."""
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        """The URL of an endpoint of its."""
        return f"http://{self.address}/health/"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, self.headers))
        self.server.answer(self)

    def do_PUT(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()

    def do_POST(self) -> None:
        self.do_PUT()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Be quiet."""


@contextlib.contextmanager
def on_a_thread(server: S) -> Iterator[S]:
    """Have a server serve meanwhile."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def serving(answer: Send) -> Iterator[Server]:
    """Run a server on a free port of this host."""
    with on_a_thread(Server(answer)) as server:
        try:
            yield server
        finally:
            server.done.set()


class _QuietHandler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Be quiet."""


@contextlib.contextmanager
def serving_site() -> Iterator[str]:
    """Serve the site of this process on a free port of this host, and yield its address."""
    made = wsgiref.simple_server.make_server("127.0.0.1", 0, WSGIHandler(), handler_class=_QuietHandler)
    with on_a_thread(made) as server:
        yield f"127.0.0.1:{server.server_port}"


def says(status: int, body: object, **headers: str) -> Send:
    """Return an answer of this status and body: bytes as they are, anything else as JSON."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(data)

    return answer


def stalls_after_headers(status: int) -> Send:
    """Return an answer whose body never comes."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.flush()
        assert isinstance(handler.server, Server)
        handler.server.done.wait(30)

    return answer


@contextlib.contextmanager
def silent_address() -> Iterator[str]:
    """Give the address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def free_address() -> str:
    """Return an address at which nobody listens."""
    with silent_address() as address:
        return address
