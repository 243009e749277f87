"""The checks of web services and of what listens, against a real nginx."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from health_check.contrib.http import HTTP
from health_check.contrib.tcp import TCP
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.web import PASSWORD, USER, Web, nginx

pytestmark = pytest.mark.server

USERINFO = f"{USER}:{PASSWORD}@"


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An nginx without TLS."""
    with nginx(tmp_path_factory.mktemp("nginx"), {}) as web:
        yield web


def check_of(web: Web, path: str = "/", **options: Any) -> HTTP:
    """Return a check of one of its pages."""
    return HTTP(web.url(path), timeout=BUDGET_SECONDS, **options)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("/", {}),
        ("/", {"method": "HEAD"}),
        ("/", {"match": r"shop is (open|closed)"}),
        ("/moved", {"match": "open"}),
        ("/moved", {"expected_status": 302}),
        ("/down", {"expected_status": {200, 503}}),
        ("/login", {"auth": (USER, PASSWORD), "match": "welcome"}),
        ("/login", {"expected_status": 401}),
        ("/key", {"headers": {"X-Key": PASSWORD}}),
    ],
)
def test_http__as_expected(web: Web, path: str, options: dict[str, Any]) -> None:
    """A page that answers as expected is in order; a redirect is followed unless one is expected."""
    assert errors_of(check_of(web, path, **options)) == []


@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("/down", {}, "the web service answered HTTP 503, not 200"),
        ("/missing", {"expected_status": [204, 200]}, "the web service answered HTTP 404, not 200 or 204"),
        ("/moved", {"expected_status": [301, 308]}, "the web service answered HTTP 302, not 301 or 308"),
        ("/", {"match": "shop is closed"}, "the web service answered, but the body is not as expected"),
        ("/loop", {}, "the web service redirects too often (TooManyRedirects)"),
        ("/login", {}, "the web service answered HTTP 401, not 200"),
        ("/login", {"auth": (USER, "planted-wrong-2c9a")}, "the web service answered HTTP 401, not 200"),
        ("/key", {"headers": {"X-Key": "planted-wrong-2c9a"}}, "the web service answered HTTP 403, not 200"),
    ],
)
def test_http__not_as_expected(web: Web, path: str, options: dict[str, Any], error: str) -> None:
    """A page that answers something else is told by what it answered."""
    assert errors_of(check_of(web, path, **options)) == [f"unexpected result: {error}"]


def test_http__user_and_password_in_the_url(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """The login of a URL counts, and neither the client nor the check logs it."""
    caplog.set_level(logging.DEBUG)
    check = HTTP(web.url("/login", userinfo=USERINFO))
    assert errors_of(check) == []
    assert "/login" in caplog.text
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr(check)


@pytest.fixture
def service(web: Web) -> Service:
    """A web service, and the check of it."""
    return Service(
        server=web,
        build=lambda: check_of(web),
        failing=lambda: check_of(web, "/loop"),
        silent=r"unavailable: the web service did not answer in time \(ReadTimeout\)",
        gone=r"unavailable: cannot connect to the web service \(ConnectError\)",
    )


class TestContract(Contract):
    """The check of a web service."""


def test_tcp__whatever_happens(web: Web) -> None:
    """A bare connection is accepted also for a server that does nothing; not where it is gone; and none is left."""

    def check() -> TCP:
        return TCP("localhost", web.ports["plain"], timeout=BUDGET_SECONDS)

    assert errors_of(check()) == []
    web.pause()
    try:
        assert errors_of(check()) == []
    finally:
        web.resume()
    web.kill()
    try:
        assert errors_of(check()) == ["unavailable: no connection was accepted (ConnectionRefusedError)"]
    finally:
        web.start()
    eventually(lambda: errors_of(check()) == [], what="a server in order")
    with nothing_left():
        for _ in range(RUNS):
            check().run_check()


def test_http__large_body(web: Web) -> None:
    """Of a large body the beginning is read."""
    (web.folder / "files" / "large").write_bytes(b"begin" + b"x" * 10_000_000 + b"end")
    assert errors_of(check_of(web, "/files/large", match="^begin")) == []
    [error] = errors_of(check_of(web, "/files/large", match="end$"))
    assert error.endswith("but the first 2097152 bytes of the body is not as expected")
