"""The standalone exporter: a small server of its own for the health endpoints, and for what exporters bring."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
import time
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import Resolver404, ResolverMatch, resolve

from health_check import extensions
from health_check.conf import settings
from health_check.monitor import runtime
from health_check.registry.endpoints import endpoint_of, unwrap

GRACE_SECONDS = 5.0
"""How long answers that are being made may take once the server is to end."""

READ_SECONDS = 30.0
"""How long a client may be silent."""


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
        response = super().get_response(request)
        if isinstance(response, HttpResponse) and not response.has_header("Content-Length"):
            response.headers["Content-Length"] = str(len(response.content))
        return response

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Return the view of a path."""
        path = request.path_info
        view = extensions.pages().get(path, _index)
        match = _match_of_site(path) or ResolverMatch(view, (), {}, route=path.lstrip("/"))
        request.resolver_match = match
        return match


def _match_of_site(path: str) -> ResolverMatch | None:
    """Return what the site has at a path, with the decorators that guard it, if that is to be served here."""
    try:
        match = resolve(path, urlconf=settings.URLCONF)
    except Resolver404:
        return None
    ours = [getattr(page, "view_class", page) for page in extensions.pages().values()]
    if getattr(unwrap(match.func), "view_class", None) in ours:
        return match
    return match if endpoint_of(match) is not None else None


def _index(request: HttpRequest) -> HttpResponse:
    """List what there is; also where there is nothing."""
    lines = [f"{address}\n" for address in addresses()]
    return HttpResponse(
        lines, status=200 if request.path_info == "/" else 404, content_type="text/plain; charset=utf-8"
    )


def addresses() -> list[str]:
    """Return the paths that are served, but those that have no name; patterns where they have arguments."""
    named = [endpoint for endpoint in runtime.get().catalogue.endpoints if endpoint.url_name]
    return [*extensions.pages(), *(f"/{endpoint.route}" for endpoint in named)]


class Server(ThreadedWSGIServer):
    """Serve the application, a thread a request; end without breaking off an answer.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.

    Raises:
        OSError: If the port cannot be had.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, host: str, port: int) -> None:
        self._idle = threading.Condition()
        self._answering = 0
        super().__init__((host, port), _Handler, ipv6=_is_ipv6(host))
        self.set_app(Application())

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
            with self._idle:
                self._idle.wait_for(lambda: not self._answering, GRACE_SECONDS)

    def count_answers(self, more: int) -> None:
        """Note that there are more answers being made, or fewer."""
        with self._idle:
            self._answering += more
            self._idle.notify_all()


class _Handler(WSGIRequestHandler):
    timeout = READ_SECONDS

    server: Server
    _begun = False

    def parse_request(self) -> bool:
        self._begun = True
        self.server.count_answers(1)
        return super().parse_request()

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except TimeoutError:
            self.close_connection = True
        finally:
            if self._begun:
                self._begun = False
                self.server.count_answers(-1)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        """Print no line a request: probes are many."""


def _is_ipv6(host: str) -> bool:
    with contextlib.suppress(OSError):
        return socket.getaddrinfo(host, None)[0][0] == socket.AF_INET6
    return False
