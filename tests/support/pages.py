"""A small web server for tests, that answers with what it is told to: slowly, endlessly or with nonsense."""

from __future__ import annotations

import contextlib
import dataclasses
import socketserver
import threading
from collections.abc import Iterator

from tests.support.small_servers import on_a_thread

DRIP_SECONDS = 0.1
"""How long it waits from one dripping byte to the next."""


@dataclasses.dataclass(kw_only=True)
class Pages:
    """A server, and how to reach it."""

    url: str
    """Its address, ``http://127.0.0.1:PORT``."""
    answers: dict[str, bytes]
    """What it answers, from the status line on, by path; for any other path nothing, and the connection is closed."""
    dripping: set[str] = dataclasses.field(default_factory=set)
    """The paths whose answers go out byte by byte, and never end."""
    requests: list[str] = dataclasses.field(default_factory=list)
    """The heads of the requests that came."""
    stopped: threading.Event = dataclasses.field(default_factory=threading.Event)
    """Set at the end, for who still drips."""

    def page(self, path: str, body: bytes | str, status: int = 200, *headers: str) -> str:
        """Have a path answered in this way, and return its URL.

        Args:
            path: The path.
            body: The body.
            status: The HTTP status.
            headers: More headers, as ``"Name: value"``.
        """
        content = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(content)}", "Connection: close", *headers, "", ""]
        return self.raw(path, "\r\n".join(lines).encode() + content)

    def raw(self, path: str, answer: bytes) -> str:
        """Have a path answered by these very bytes, and return its URL."""
        self.answers[path] = answer
        return f"{self.url}{path}"

    def drip(self, path: str, beginning: bytes) -> str:
        """Have a path answered with this and then with one byte after the other, and return its URL."""
        self.dripping.add(path)
        return self.raw(path, beginning)


@contextlib.contextmanager
def serving_pages() -> Iterator[Pages]:
    """Serve pages, on a free loopback port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):
                _answer(self, pages)

    with on_a_thread(_Server(("127.0.0.1", 0), Handler)) as server:
        pages = Pages(url=f"http://127.0.0.1:{server.server_address[1]}", answers={})
        try:
            yield pages
        finally:
            pages.stopped.set()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _answer(handler: socketserver.StreamRequestHandler, pages: Pages) -> None:
    lines = list(iter(lambda: handler.rfile.readline().decode("latin-1").rstrip(), ""))
    if not lines:
        return
    pages.requests.append("\n".join(lines))
    path = lines[0].split(" ")[1]
    handler.wfile.write(pages.answers.get(path, b""))
    while path in pages.dripping and not pages.stopped.wait(DRIP_SECONDS):
        handler.wfile.write(b"x")
