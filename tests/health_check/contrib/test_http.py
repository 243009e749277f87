"""The fetching of what checks read: bounded, whatever a server does."""

from __future__ import annotations

import gzip
import pathlib
import time
from typing import Any

import pytest

from health_check.contrib._http import MOST_BYTES, MOST_REDIRECTS, Fetched, fetch
from health_check.exceptions import HealthCheckException
from tests.support.client import Lag
from tests.support.pages import Pages, serving_pages

SECONDS = 1.0
"""How long fetching may take where a server does not come to an end."""

LATE_SECONDS = 1.0
"""By how much it may be late on a busy machine."""

ANSWER_SECONDS = 30.0
"""How long it may take otherwise."""


def fetched(url: str, seconds: float = ANSWER_SECONDS, **options: Any) -> Fetched:
    """Fetch a URL."""
    return fetch(url, what="the page", seconds=seconds, **options)


def problem(url: str, seconds: float = ANSWER_SECONDS, **options: Any) -> str:
    """Return what is said about a URL that cannot be fetched."""
    with pytest.raises(HealthCheckException) as caught:
        fetched(url, seconds, **options)
    return str(caught.value)


def test_fetch__answer(pages: Pages) -> None:
    """Status, body and encoding are those of the answer; the request says who asks, and wants nothing packed."""
    page = fetched(pages.page("/", "Grüße".encode("latin-1"), 418, "Content-Type: text/plain; charset=iso-8859-1"))
    assert (page.status, page.text, page.complete, page.certificate) == (418, "Grüße", True, None)
    [request] = pages.requests
    assert "User-Agent: django-health-exporter/" in request
    assert "Accept-Encoding: identity" in request


def test_fetch__encoding_that_does_not_exist(pages: Pages) -> None:
    """A body whose encoding nobody knows is read as UTF-8."""
    assert fetched(pages.page("/", "Grüße", 200, "Content-Type: text/plain; charset=klingon")).text == "Grüße"


@pytest.mark.parametrize("length", [MOST_BYTES - 1, MOST_BYTES, MOST_BYTES + 1, 5 * MOST_BYTES])
def test_fetch__long_body(pages: Pages, length: int) -> None:
    """Of a long body the beginning is read, and it is known whether that is all."""
    page = fetched(pages.page("/", b"x" * length))
    assert (len(page.body), page.complete) == (min(length, MOST_BYTES), length <= MOST_BYTES)


@pytest.mark.parametrize(("length", "complete"), [(1000, True), (20 * MOST_BYTES, False)])
def test_fetch__packed(pages: Pages, length: int, complete: bool) -> None:
    """What is packed all the same is unpacked, but not more of it than is read otherwise."""
    page = fetched(pages.page("/", gzip.compress(b"x" * length, 1), 200, "Content-Encoding: gzip"))
    assert page.complete is complete
    assert set(page.body) == {ord("x")}
    assert len(page.body) <= MOST_BYTES + 1


def test_fetch__packed_badly(pages: Pages) -> None:
    """What only says that it is packed is taken as it is."""
    assert fetched(pages.page("/", b"not packed", 200, "Content-Encoding: gzip")).body == b"not packed"


def test_fetch__redirects(pages: Pages) -> None:
    """A few redirects are followed, unless none are to be."""
    for number in range(MOST_REDIRECTS):
        pages.page(f"/{number}", "", 302, f"Location: /{number + 1}")
    pages.page(f"/{MOST_REDIRECTS}", "there")
    assert fetched(f"{pages.url}/0").body == b"there"
    assert fetched(f"{pages.url}/0", follow=False).status == 302


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://localhost/", "/loop", "http://", "gopher://x/"])
def test_fetch__redirects_to_nowhere(pages: Pages, place: str) -> None:
    """A redirect to itself, or to what is not HTTP, leads nowhere, and is no other error."""
    pages.page("/loop", "", 302, "Location: /loop")
    assert problem(pages.page("/", "", 302, f"Location: {place}")).startswith(("unavailable: ", "unexpected result: "))


@pytest.mark.parametrize(
    "beginning",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 302 Found\r\nLocation: ",
        b"",
    ],
    ids=["body", "headers", "redirect", "all"],
)
def test_fetch__drips(pages: Pages, beginning: bytes, lag: Lag) -> None:
    """An answer that comes byte by byte is given up in time, whatever part of it that is."""
    url = pages.drip("/dripping", beginning)
    start = time.monotonic()
    assert problem(url, SECONDS).endswith("the page did not answer in time (ReadTimeout)")
    assert SECONDS / 2 < time.monotonic() - start < SECONDS + LATE_SECONDS + lag.slack


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "unexpected result: the page is incomplete, or not HTTP (RemoteProtocolError)"),
        (b"SSH-2.0-OpenSSH\r\n", "unexpected result: the page is incomplete, or not HTTP (RemoteProtocolError)"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", "unexpected result: the page is incomplete, or not HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * 200_000, "unexpected result: the page is incomplete, or not HTTP"),
    ],
    ids=["nothing", "other protocol", "half", "endless header"],
)
def test_fetch__nonsense(pages: Pages, answer: bytes, error: str) -> None:
    """What is no answer in HTTP is told as such."""
    assert problem(pages.raw("/", answer)).startswith(error)


@pytest.mark.parametrize("url", ["", "shop.internal", "ftp://shop.internal/", "http://", "http://[::1", "http://a:b/"])
def test_fetch__url_that_cannot_be_used(url: str) -> None:
    """What is not the URL of HTTP is told, without being shown."""
    error = problem(url)
    assert error.startswith("unavailable: the URL of the page cannot be used (")
    assert "internal" not in error


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://planted.invalid/", "the name of the host of the page cannot be resolved"),
        ("http://127.0.0.1:1/", "cannot connect to the page (ConnectError)"),
    ],
)
def test_fetch__nobody_there(url: str, error: str) -> None:
    """A name that does not exist, and a port that nobody listens on, are told, without being shown."""
    assert problem(url) == f"unavailable: {error}"


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("planted\r\nX: secret", "the request to the page cannot be sent (LocalProtocolError)"),
        ("plänted", "cannot fetch the page (UnicodeEncodeError)"),
    ],
)
def test_fetch__header_that_cannot_be_sent(pages: Pages, value: str, error: str) -> None:
    """A header that is not a header is told, without being shown."""
    assert problem(pages.page("/", ""), headers={"X-Key": value}) == f"unavailable: {error}"


@pytest.mark.parametrize("content", [None, "nonsense"])
def test_fetch__certificates_that_cannot_be_read(tmp_path: pathlib.Path, content: str | None) -> None:
    """A file of certificates that is not there, or holds none, is told, without its path."""
    path = tmp_path / "planted.pem"
    if content is not None:
        path.write_text(content)
    error = problem("https://127.0.0.1:1/", ca_file=str(path))
    assert error.startswith("unavailable: the file of the certificates to trust cannot be used (")
    assert "planted" not in error


SECRETS: dict[str, Any] = {"auth": ("probe", "planted"), "headers": {"X-Api-Key": "planted", "Cookie": "a=planted"}}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_fetch__no_redirect_to_another_host(pages: Pages, status: int) -> None:
    """A redirect to another host is not followed, unless the check says that this one is all right."""
    with serving_pages() as other:
        elsewhere = other.page("/", "there").replace("127.0.0.1", "localhost")
        url = pages.page("/", "", status, f"Location: {elsewhere}")
        assert problem(url, **SECRETS) == "unexpected result: the page redirects to another host"
        assert other.requests == []
        assert fetched(url, redirect_hosts=["localhost"], **SECRETS).body == b"there"
        assert "planted" in pages.requests[-1]
        assert not set(other.requests[0].lower().split()) & {"x-api-key:", "authorization:", "cookie:"}


def test_fetch__secrets_stay_with_their_origin(pages: Pages) -> None:
    """Another port of the host gets neither headers nor login, nor does what it leads back to; another path does."""
    with serving_pages() as other:
        back = pages.page("/back", "back")
        there = other.page("/there", "", 302, f"Location: {back}")
        pages.page("/on", "", 302, f"Location: {there}")
        assert fetched(pages.page("/", "", 302, "Location: /on"), **SECRETS).body == b"back"
        first, second, last = pages.requests
        for request in (first, second):
            assert "X-Api-Key: planted" in request
            assert "Authorization: Basic" in request
        assert "planted" not in other.requests[0] + last
        assert "Authorization" not in other.requests[0] + last


def test_fetch__by_way_of_a_proxy(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is used, and no more patient."""
    monkeypatch.setenv("http_proxy", pages.url)
    pages.page("http://shop.internal/", "by proxy")
    assert fetched("http://shop.internal/").body == b"by proxy"
    pages.drip("http://slow.internal/", b"HTTP/1.1 200 OK\r\nX-Long: ")
    assert problem("http://slow.internal/", SECONDS).endswith("the page did not answer in time (ReadTimeout)")
