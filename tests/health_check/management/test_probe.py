"""The probe, against real servers."""

from __future__ import annotations

import contextlib
import http.server
import threading

import pytest

from health_check.management.probe import ProbeError, ask, url_of
from tests.support.small_servers import Send, free_address, says, serving, silent_address, stalls_after_headers

STATUSES = {"Database": "OK", "Search": "unavailable: gone"}


@pytest.mark.parametrize("status", [200, 500, 503])
def test_ask__what_the_server_says(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer of a health endpoint is taken whatever its status, and whatever proxy the environment names."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{free_address()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(says(status, STATUSES)) as server:
        assert ask(server.url, headers={"X-Mine": "yes"}, timeout=10) == (status, STATUSES)
    ((path, headers),) = server.requests
    assert (path, headers["X-Mine"]) == ("/health/", "yes")


def _drips(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(200):
            handler.wfile.write(b" ")
            threading.Event().wait(0.05)


def _nonsense(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 smtp.example ESMTP\r\n")


def _nothing(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Close the connection."""


NO_JSON = [
    *((418, b"<h1>Teapot</h1>"), (200, b"fine"), (200, b""), (200, b"[1]"), (502, b"\xff\xfe"), (500, b'"x"')),
    (200, b"[" * 99_999),
]
"""Answers that are not the JSON of a health endpoint."""


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (says(301, b"", Location="https://shop.example/health/"), "--forwarded-proto https"),
        (says(400, b"<h1>Bad Request</h1>"), r"HTTP 400.*--forwarded-host"),
        *(
            (says(status, b'{"detail": "no"}'), f"HTTP {status}: no health endpoint")
            for status in (401, 403, 404, 405, 406)
        ),
        *(
            (says(status, body), f"HTTP {status}, but not with the JSON of a health endpoint")
            for status, body in NO_JSON
        ),
        (says(500, b'{"Database"', Content_Length="100"), "not with the JSON"),
        *((stalls_after_headers(status), r"did not answer within 0\.3 s") for status in (200, 500)),
        (_drips, r"did not answer within 0\.3 s"),
        (_nonsense, "cannot be asked"),
        (_nothing, "cannot be asked"),
    ],
)
def test_ask__no_answer_of_a_health_endpoint(answer: Send, words: str) -> None:
    """What no health endpoint says, or not in time, is told with the remedy, whatever its status."""
    with serving(answer) as server, pytest.raises(ProbeError, match=rf"127\.0\.0\.1.*{words}"):
        ask(server.url, headers={}, timeout=0.3 if "within" in words else 10)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_ask__redirect(status: int) -> None:
    """A redirect is not followed: it may lead to another server, which is named."""
    with serving(says(200, {})) as other, serving(says(status, b"", Location=other.url)) as server:
        with pytest.raises(ProbeError, match=rf"redirects to {other.url} \(HTTP {status}\)\. Check the path"):
            ask(server.url, headers={}, timeout=10)
        assert other.requests == []


def test_ask__no_server() -> None:
    """A server that hangs is not waited for longer than asked; one that does not run, or has no address, is told."""
    with silent_address() as address, pytest.raises(ProbeError, match=r"did not answer within 0\.2 s"):
        ask(f"http://{address}/", headers={}, timeout=0.2)
    with pytest.raises(ProbeError, match=r"cannot be reached: .*refused.*Is the server running there\?"):
        ask(f"http://{free_address()}/", headers={}, timeout=10)
    with pytest.raises(ProbeError, match=r"nowhere\.invalid:1/ cannot be reached"):
        ask("http://nowhere.invalid:1/", headers={}, timeout=10)


def test_ask__header_that_cannot_be_sent() -> None:
    """A header with a line break is refused, not sent."""
    with serving(says(200, {})) as server:
        with pytest.raises(ProbeError, match="cannot be asked"):
            ask(server.url, headers={"X-Mine": "a\r\nEvil: b"}, timeout=10)
        assert server.requests == []


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/x/"),
        ("web:8080", "http://web:8080/x/"),
        ("web", "http://web/x/"),
        ("8000", "http://127.0.0.1:8000/x/"),
        ("[::1]:8000", "http://[::1]:8000/x/"),
        ("::1", "http://[::1]/x/"),
        ("unix:/run/shop.sock", "http://localhost/x/"),
        ("http://web:1", "http://web:1/x/"),
        ("https://shop.example", "https://shop.example/x/"),
    ],
)
def test_url_of__addresses(address: str, url: str) -> None:
    """Host and port, either alone, and an origin are addresses."""
    assert url_of(address, "/x/") == url


@pytest.mark.parametrize(
    "address",
    [
        *("", ":8000", "web:0", "web:99999", "web:port", "[::1", "web/health/", "http://", "http://web:8000//"),
        *("ftp://web", "file:///etc/passwd", "me:hunter2@web", "web?x", "web#x"),
    ],
)
def test_url_of__no_address(address: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ProbeError, match="is not an address: use HOST:PORT, for example"):
        url_of(address, "/x/")
