"""The probe, against real servers."""

from __future__ import annotations

import contextlib
import http.server
import threading

import pytest

from health_check.management.probe import Answer, ProbeError, ask, url_of
from tests.support.small_servers import Send, free_address, says, serving, silent_address, stalls_after_headers

STATUSES = {"Database": "OK", "Search": "unavailable: gone"}


@pytest.mark.parametrize("status", [200, 500, 503])
def test_ask__what_the_server_says(status: int) -> None:
    """The answer of a health endpoint is taken whatever its status."""
    with serving(says(status, STATUSES)) as server:
        answer = ask(server.url, headers={"X-Mine": "yes"}, timeout=10)
    assert answer == Answer(status_code=status, found=STATUSES)
    ((path, headers),) = server.requests
    assert path == "/health/"
    assert (headers["Accept"], headers["X-Mine"]) == ("application/json", "yes")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_ask__redirect(status: int) -> None:
    """A redirect is not followed: it may lead to another server, which is named."""
    with serving(says(200, {})) as other, serving(says(status, b"", Location=other.url)) as server:
        with pytest.raises(ProbeError, match=rf"redirects to {other.url} \(HTTP {status}\)\. Check the path"):
            ask(server.url, headers={}, timeout=10)
        assert other.requests == []


def test_ask__redirect_to_https() -> None:
    """A site that insists on HTTPS gives the remedy away."""
    with (
        serving(says(301, b"", Location="https://shop.example/health/")) as server,
        pytest.raises(ProbeError, match="--forwarded-proto https"),
    ):
        ask(server.url, headers={}, timeout=10)


def test_ask__dripping_body() -> None:
    """A server that sends a byte now and then does not answer in time."""

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(200):
                handler.wfile.write(b" ")
                threading.Event().wait(0.05)

    with serving(drip) as server, pytest.raises(ProbeError, match="did not answer within"):
        ask(server.url, headers={}, timeout=0.3)


def test_ask__refused_host() -> None:
    """A site that refuses the host name is understood, and the remedy named."""
    with (
        serving(says(400, b"<h1>Bad Request</h1>")) as server,
        pytest.raises(ProbeError, match=r"HTTP 400.*--forwarded-host"),
    ):
        ask(server.url, headers={}, timeout=10)


@pytest.mark.parametrize("status", [401, 403, 404, 405, 406])
def test_ask__no_health_endpoint(status: int) -> None:
    """A page that is not there, or not for us, is no health answer, not even in JSON."""
    with (
        serving(says(status, b'{"detail": "no"}')) as server,
        pytest.raises(ProbeError, match=f"HTTP {status}: no health"),
    ):
        ask(server.url, headers={}, timeout=10)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        *((418, b"<h1>Teapot</h1>"), (200, b"fine"), (200, b""), (200, b"[1]"), (502, b"\xff\xfe"), (500, b'"x"')),
        (200, b"[" * 99_999),
    ],
)
def test_ask__no_health_json(status: int, body: bytes) -> None:
    """What is not the JSON of a health endpoint is no answer, even with 200."""
    with (
        serving(says(status, body)) as server,
        pytest.raises(ProbeError, match=f"HTTP {status}, but not with the JSON of a health endpoint"),
    ):
        ask(server.url, headers={}, timeout=10)


@pytest.mark.parametrize("status", [200, 500])
def test_ask__body_cut_short(status: int) -> None:
    """An answer that breaks off is no answer."""
    with (
        serving(says(status, b'{"Database"', Content_Length="100")) as server,
        pytest.raises(ProbeError, match=r"127\.0\.0\.1"),
    ):
        ask(server.url, headers={}, timeout=10)


@pytest.mark.parametrize("status", [200, 500])
def test_ask__body_never_comes(status: int) -> None:
    """A server that stalls after the headers did not answer in time, whatever its status."""
    with (
        serving(stalls_after_headers(status)) as server,
        pytest.raises(ProbeError, match=r"did not answer within 0\.2 s"),
    ):
        ask(server.url, headers={}, timeout=0.2)


def test_ask__silent_server() -> None:
    """A server that takes the connection and hangs is not waited for longer than asked."""
    with silent_address() as address, pytest.raises(ProbeError, match=r"did not answer within 0\.2 s"):
        ask(f"http://{address}/", headers={}, timeout=0.2)


def test_ask__nobody_there() -> None:
    """A server that does not run is told as that."""
    with pytest.raises(ProbeError, match=r"cannot be reached: .*refused.*Is the server running there\?"):
        ask(f"http://{free_address()}/", headers={}, timeout=10)


def test_ask__unknown_host() -> None:
    """A host name that nobody knows is told as that."""
    with pytest.raises(ProbeError, match=r"nowhere\.invalid:1/ cannot be reached"):
        ask("http://nowhere.invalid:1/", headers={}, timeout=10)


def _nonsense(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"220 smtp.example ESMTP\r\n")


def _nothing(handler: http.server.BaseHTTPRequestHandler) -> None:
    """Close the connection."""


@pytest.mark.parametrize("answer", [_nonsense, _nothing])
def test_ask__no_http(answer: Send) -> None:
    """A server that speaks something else, or hangs up, cannot be asked."""
    with serving(answer) as server, pytest.raises(ProbeError, match="cannot be asked"):
        ask(server.url, headers={}, timeout=10)


def test_ask__header_that_cannot_be_sent() -> None:
    """A header with a line break is refused, not sent."""
    with serving(says(200, {})) as server:
        with pytest.raises(ProbeError, match="cannot be asked"):
            ask(server.url, headers={"X-Mine": "a\r\nEvil: b"}, timeout=10)
        assert server.requests == []


def test_ask__ignores_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A probe asks the server itself, whatever proxy the environment names."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{free_address()}")
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(says(200, STATUSES)) as server:
        assert ask(server.url, headers={}, timeout=10).status_code == 200


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
        "",
        ":8000",
        "web:0",
        "web:99999",
        "web:port",
        "[::1",
        "web/health/",
        "http://",
        "http://web:8000//",
        "ftp://web",
        "file:///etc/passwd",
        "me:hunter2@web",
        "web?x",
        "web#x",
    ],
)
def test_url_of__no_address(address: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(ProbeError, match="is not an address: use HOST:PORT, for example"):
        url_of(address, "/x/")
