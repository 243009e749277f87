"""The checks of what is read over HTTP, with TLS and without, and of what listens, against a real nginx."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from health_check.backends import HealthCheck
from health_check.contrib.atlassian import SUMMARY, AtlassianStatusPage
from health_check.contrib.elasticsearch import PATH, Elasticsearch
from health_check.contrib.http import HTTP
from health_check.contrib.rss import Feed
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.web import PASSWORD, USER, Authority, Web, nginx

pytestmark = pytest.mark.server

USERINFO = f"{USER}:{PASSWORD}@"

WRONG = "planted-wrong-2c9a"

DAYS_LEFT = 3.5


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who issues the certificates."""
    return Authority(folder=tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def web(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An nginx with a port without TLS, and one for each certificate."""
    certificates = {
        "good": authority.certificate(days=90),
        "ending": authority.certificate(days=DAYS_LEFT),
        "expired": authority.certificate(days=-1),
        "future": authority.certificate(days=110),
        "other": authority.certificate(days=90, name="planted.example"),
        "alone": authority.self_signed(),
    }
    with nginx(tmp_path_factory.mktemp("nginx"), certificates) as web:
        yield web


def check_of(web: Web, path: str = "/", **options: Any) -> HTTP:
    """Return a check of one of its pages."""
    return HTTP(web.url(path), timeout=BUDGET_SECONDS, **options)


def secure_check_of(web: Web, kind: str, authority: Authority, path: str = "/", **options: Any) -> HTTP:
    """Return a check of a page by the port of a certificate, which trusts the authority."""
    return HTTP(web.url(path, kind=kind), ca_file=authority.ca_file, timeout=BUDGET_SECONDS, **options)


@pytest.mark.parametrize(
    ("path", "options", "error"),
    [
        ("/", {}, None),
        ("/", {"method": "HEAD"}, None),
        ("/", {"match": r"shop is (open|closed)"}, None),
        ("/", {"match": "shop is closed"}, "the web service answered, but the body is not as expected"),
        ("/moved", {"match": "open"}, None),
        ("/moved", {"expected_status": 302}, None),
        ("/moved", {"expected_status": [301, 308]}, "the web service answered HTTP 302, not 301 or 308"),
        ("/loop", {}, "the web service redirects too often (TooManyRedirects)"),
        ("/down", {"expected_status": {200, 503}}, None),
        ("/down", {}, "the web service answered HTTP 503, not 200"),
        ("/login", {"auth": (USER, PASSWORD), "match": "welcome"}, None),
        ("/login", {"auth": (USER, WRONG)}, "the web service answered HTTP 401, not 200"),
        ("/key", {"headers": {"X-Key": PASSWORD}}, None),
        ("/key", {"headers": {"X-Key": WRONG}}, "the web service answered HTTP 403, not 200"),
    ],
)
def test_http__as_expected_or_not(web: Web, path: str, options: dict[str, Any], error: str | None) -> None:
    """A page that answers something else is told by what it answered; a redirect is followed unless one is expected."""
    assert errors_of(check_of(web, path, **options)) == ([f"unexpected result: {error}"] if error else [])


def test_http__user_and_password_in_the_url(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    """The login of a URL counts, and neither the client nor the check logs it."""
    caplog.set_level(logging.DEBUG)
    check = HTTP(web.url("/login", userinfo=USERINFO))
    assert errors_of(check) == []
    assert "/login" in caplog.text
    assert PASSWORD not in caplog.text + repr(check)


def test_http__large_body(web: Web) -> None:
    """Of a large body the beginning is read."""
    (web.folder / "files" / "large").write_bytes(b"begin" + b"x" * 10_000_000 + b"end")
    assert errors_of(check_of(web, "/files/large", match="^begin")) == []
    [error] = errors_of(check_of(web, "/files/large", match="end$"))
    assert error.endswith("but the first 2097152 bytes of the body is not as expected")


@pytest.fixture(params=["plain", "good"])
def service(web: Web, authority: Authority, request: pytest.FixtureRequest) -> Service:
    """A web service without TLS and with it, and the check of it."""
    if request.param == "plain":
        return Service(
            server=web,
            build=lambda: check_of(web),
            failing=lambda: check_of(web, "/loop"),
            silent=r"unavailable: the web service did not answer in time \(ReadTimeout\)",
            gone=r"unavailable: cannot connect to the web service \(ConnectError\)",
        )
    return Service(
        server=web,
        build=lambda: secure_check_of(web, "good", authority),
        failing=lambda: secure_check_of(web, "expired", authority),
        silent=r"unavailable: cannot connect to the web service in time \(ConnectTimeout\)",
        gone=r"unavailable: cannot connect to the web service \(ConnectError\)",
    )


class TestContract(Contract):
    """The check of a web service."""


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("good", {"match": "open"}, None),
        ("good", {"path": "/insecure"}, "unexpected result: the web service redirects from https to http"),
        ("ending", {}, "warning: the certificate of the web service expires in 3.5 days"),
        ("ending", {"expiry_days": DAYS_LEFT - 1}, None),
        ("ending", {"expiry_days": None}, None),
        ("ending", {"match": "closed"}, "unexpected result: the web service answered, but the body is not as expected"),
        ("expired", {}, "unavailable: the certificate of the web service has expired"),
        ("future", {}, "unavailable: the certificate of the web service is not valid yet"),
        ("other", {}, "unavailable: the certificate of the web service is for another name"),
        ("alone", {}, "unavailable: the certificate of the web service is not trusted"),
    ],
)
def test_http__certificate(
    web: Web, authority: Authority, kind: str, options: dict[str, Any], error: str | None
) -> None:
    """A certificate that cannot be used, or will soon expire, is told after a wrong answer, and names no host."""
    assert errors_of(secure_check_of(web, kind, authority, **options)) == ([error] if error else [])


def test_http__other_addresses(web: Web, authority: Authority) -> None:
    """An unknown authority, an address in place of the name, and a port without TLS are told."""
    address, plain = web.url(kind="good", host="127.0.0.1"), web.url().replace("http://", "https://")
    for check, error in (
        (HTTP(web.url(kind="good")), "the certificate of the web service is not trusted"),
        (HTTP(address, ca_file=authority.ca_file), "the certificate of the web service is for another address"),
        (HTTP(plain), "cannot connect to the web service (ConnectError)"),
    ):
        assert errors_of(check) == [f"unavailable: {error}"]


def test_elasticsearch__certificate(web: Web, authority: Authority) -> None:
    """Other checks over HTTP trust the authorities of a file, too, and no certificate without."""
    trusting = Elasticsearch(web.url("", kind="good"), ca_file=authority.ca_file, timeout=BUDGET_SECONDS)
    assert errors_of(trusting) == ["unexpected result: Elasticsearch answered HTTP 404"]
    assert errors_of(Elasticsearch(web.url("", kind="good"), timeout=BUDGET_SECONDS)) == [
        "unavailable: the certificate of Elasticsearch is not trusted"
    ]


class Told(AtlassianStatusPage):
    """A page like Atlassian's."""

    base_url: ClassVar[str] = ""


class Fed(Feed):
    """A feed."""

    feed_url: ClassVar[str] = ""


@pytest.mark.parametrize(
    ("check", "place", "good", "bad", "error"),
    [
        (
            Told(timeout=BUDGET_SECONDS),
            ("base_url", SUMMARY),
            '{"incidents": []}',
            '{"incidents": [{"name": "outage", "status": "investigating"}]}',
            "warning: outage",
        ),
        (
            Fed(timeout=BUDGET_SECONDS),
            ("feed_url", ""),
            '<rss version="2.0"><channel></channel></rss>',
            '<rss version="2.0"><channel><item><title>outage</title></item></channel></rss>',
            "warning: outage",
        ),
        (
            Elasticsearch(timeout=BUDGET_SECONDS),
            ("url", PATH),
            '{"status": "green"}',
            '{"status": "red"}',
            "unavailable: Elasticsearch is red: some data cannot be reached",
        ),
    ],
    ids=["atlassian", "rss", "elasticsearch"],
)
def test_page__bad_news_and_good_again(
    web: Web,
    monkeypatch: pytest.MonkeyPatch,
    check: HealthCheck,
    place: tuple[str, str],
    good: str,
    bad: str,
    error: str,
) -> None:
    """What a page says to be wrong is told, until that is over; a page that is missing, likewise."""
    option, path = place
    page = web.folder / "files" / option / "page" / path.strip("/")
    page.parent.mkdir(parents=True)
    address = web.url(f"/files/{option}/page", userinfo=USERINFO)
    monkeypatch.setattr(check, option, address)
    for text, errors in ((bad, [error]), (good, []), (bad, [error])):
        page.write_text(text)
        assert errors_of(check) == errors
    page.unlink()
    [error] = errors_of(check)
    assert error.endswith(" answered HTTP 404")
