"""The standalone exporter: a small server of its own for the health endpoints, and for what exporters bring."""

from __future__ import annotations

import contextlib
import io
import ipaddress
import math
import socket
import socketserver
import threading
import time
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.http.request import split_domain_port, validate_host
from django.urls import ResolverMatch
from django.utils.module_loading import import_string

from health_check import extensions
from health_check.management.site_pages import as_mounted, match_of
from health_check.monitor import runtime

GRACE_SECONDS = 5.0
"""How long answers that are being made may take once the server is to end."""

READ_SECONDS = 30.0
"""How long a client may take to send a request, and be silent before it."""

HEAD_BYTES = 131072
"""How long the head of a request may be."""

BODY_BYTES = 8192
"""How long the body of a request may be: none is needed."""

MOST_CONNECTIONS = 100
"""How many connections there may be at once."""

SEND_SECONDS = 1.0
"""How long a client may take to receive an answer before another one may have its place."""

POLL_SECONDS = 0.1
"""How often to see whether the server is to end."""


class Application(WSGIHandler):
    """Serve the site's health endpoints and the registered pages, and nothing else of it.

    The site's middleware is left out: it redirects to other hosts, asks for logins and opens sessions.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        """Load none."""
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._get_response)  # type: ignore[attr-defined]

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Return the answer, with its length, so that the connection can be kept."""
        host = request.META.get("HTTP_HOST", "")
        if apps.is_installed("django.contrib.auth"):  # what guards a page may look who is logged in: nobody is here
            request.user = import_string("django.contrib.auth.models.AnonymousUser")()
        response = super().get_response(request) if not host or _is_allowed(host) else _refused_host()
        if isinstance(response, HttpResponse) and not response.has_header("Content-Length"):
            response.headers["Content-Length"] = str(len(response.content))
        return response

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Return the view of a path."""
        path = request.path_info
        page = extensions.pages.get(path)
        view = _index if page is None else as_mounted(page)
        match = match_of(path) or ResolverMatch(view, (), {}, route=path.lstrip("/"))
        request.resolver_match = match
        return match


def _is_allowed(host: str) -> bool:
    """Return whether a request may have this host: the name of another site may lead here (DNS rebinding)."""
    domain, _ = split_domain_port(host)
    if validate_host(domain, [".localhost", *django_settings.ALLOWED_HOSTS]):
        return True
    try:
        return bool(ipaddress.ip_address(domain.strip("[]")))
    except ValueError:
        return False


def _refused_host() -> HttpResponse:
    text = "This host is not in ALLOWED_HOSTS: add it, or ask by address.\n"
    return HttpResponse(text, status=400, content_type="text/plain; charset=utf-8")


def _index(request: HttpRequest) -> HttpResponse:
    """List what there is; also where there is nothing."""
    lines = [f"{address}\n" for address in addresses()]
    return HttpResponse(
        lines, status=200 if request.path_info == "/" else 404, content_type="text/plain; charset=utf-8"
    )


def addresses() -> list[str]:
    """Return the paths that are served, but those that have no name; patterns where they have arguments."""
    named = [endpoint for endpoint in runtime.get().catalogue.endpoints if endpoint.url_name]
    return [*extensions.pages, *(f"/{endpoint.route}" for endpoint in named)]


class Server(ThreadedWSGIServer):
    """Serve the application, a thread a connection; end without breaking off an answer.

    Where there are too many connections, the oldest one that has no complete request gives way, else one whose client
    receives its answer too slowly, else the new one.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Raises:
        OSError: If the port cannot be had.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int) -> None:
        self._changed = threading.Condition()
        self._connections: dict[Any, float] = {}
        """The connections in their order, and when each may give way, on the monotonic clock."""
        super().__init__((host, port), _Handler, ipv6=_is_ipv6(host))
        self.set_app(Application())

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin to serve a connection."""
        with self._changed:
            if len(self._connections) >= MOST_CONNECTIONS:
                victim = min(self._connections, key=self._connections.__getitem__)
                if self._connections[victim] > time.monotonic():
                    victim = request
                self._connections.pop(victim, None)
                with contextlib.suppress(OSError):
                    victim.shutdown(socket.SHUT_RDWR)
            self._connections[request] = -math.inf
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Let a connection go."""
        with self._changed:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def note(self, connection: Any, gives_way_at: float) -> None:
        """Note when a connection may give way, on the monotonic clock.

        With no answer to be made that is at any time, else when its client has had the time to receive the answer.
        """
        with self._changed:
            if connection in self._connections:
                self._connections[connection] = gives_way_at
            self._changed.notify_all()

    def server_bind(self) -> None:
        """Listen, without asking a name server what this host is called."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    @property
    def url(self) -> str:
        """The address to open."""
        host = str(self.server_address[0])
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}"

    def serve(self, stop: threading.Event) -> None:
        """Serve until the event is set, and until the answers being made then are given, or took too long."""
        thread = threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="health-check-server", daemon=True
        )
        thread.start()
        try:
            while not stop.is_set():  # who sets it may have interrupted this thread, which must hold no lock then
                time.sleep(POLL_SECONDS)
        finally:
            self.shutdown()
            self.socket.close()
            with self._changed:
                self._changed.wait_for(
                    lambda: max(self._connections.values(), default=-math.inf) == -math.inf, GRACE_SECONDS
                )


class _Input(io.RawIOBase):
    """What a client sends, as far as it may send it, within the time that it may take."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._until, self._bytes = 0.0, 0

    def allow(self, seconds: float, count: int) -> None:
        """Let the client send some bytes within some seconds."""
        self._until, self._bytes = time.monotonic() + seconds, count

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Receive some bytes.

        Raises:
            TimeoutError: If the client has had its time, or has said enough.
        """
        left = self._until - time.monotonic()
        if left <= 0 or self._bytes <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        received = self._connection.recv_into(memoryview(buffer)[: self._bytes])
        self._bytes -= received
        return received


class _Output(io.RawIOBase):
    """What a client is sent."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self._server, self._connection = server, connection

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Send all of some bytes; the client may take its time for that, but not the place of others."""
        self._server.note(self._connection, time.monotonic() + SEND_SECONDS)
        self._connection.sendall(data)
        return len(data)


class _Handler(WSGIRequestHandler):
    timeout = READ_SECONDS

    server: Server
    connection: Any
    rfile: Any
    wfile: Any

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._input = _Input(self.connection)
        self.rfile = io.BufferedReader(self._input)
        self.wfile = _Output(self.server, self.connection)

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        length = self.headers.get("Content-Length", "0")
        is_short = length.isdecimal() and len(length) < 10 and int(length) <= BODY_BYTES
        if "Transfer-Encoding" in self.headers or not is_short:
            self.close_connection = True
            self.send_error(413)
            return False
        self._input.allow(self.timeout, BODY_BYTES)
        self.connection.settimeout(self.timeout)
        self.server.note(self.connection, math.inf)
        return True

    def handle_one_request(self) -> None:
        self._input.allow(self.timeout, HEAD_BYTES)
        try:
            super().handle_one_request()
        except (TimeoutError, ConnectionError):
            self.close_connection = True
        finally:
            self.server.note(self.connection, -math.inf)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        """Print no line a request: probes are many."""


def _is_ipv6(host: str) -> bool:
    with contextlib.suppress(OSError):
        return socket.getaddrinfo(host, None)[0][0] == socket.AF_INET6
    return False
