"""The certificates of web services, on a real nginx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from health_check.contrib.elasticsearch import Elasticsearch
from health_check.contrib.http import HTTP
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.web import Authority, Web, nginx

pytestmark = pytest.mark.server

DAYS_LEFT = 3.5


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who issues the certificates."""
    return Authority(folder=tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def web(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """An nginx with a port for each certificate."""
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


def check_of(web: Web, kind: str, authority: Authority | None, **options: Any) -> HTTP:
    """Return a check of the port of a certificate, which trusts an authority."""
    ca_file = authority.ca_file if authority is not None else None
    return HTTP(web.url(kind=kind), ca_file=ca_file, timeout=BUDGET_SECONDS, **options)


def test_http__certificate_for_long(web: Web, authority: Authority) -> None:
    """A certificate that holds for long is in order."""
    assert errors_of(check_of(web, "good", authority, match="open")) == []


def test_http__certificate_near_its_expiry(web: Web, authority: Authority) -> None:
    """A certificate that expires within the days that the check says is warned of, with how many are left."""
    assert errors_of(check_of(web, "ending", authority)) == [
        "warning: the certificate of the web service expires in 3.5 days"
    ]
    assert errors_of(check_of(web, "ending", authority, expiry_days=DAYS_LEFT + 1)) != []
    assert errors_of(check_of(web, "ending", authority, expiry_days=DAYS_LEFT - 1)) == []
    assert errors_of(check_of(web, "ending", authority, expiry_days=None)) == []


def test_http__redirect_from_https_to_http(web: Web, authority: Authority) -> None:
    """What is sent over TLS is not sent without, whatever the service wants."""
    check = HTTP(web.url("/insecure", kind="good"), ca_file=authority.ca_file, timeout=BUDGET_SECONDS)
    assert errors_of(check) == ["unexpected result: the web service redirects from https to http"]


def test_http__wrong_answer_before_expiry(web: Web, authority: Authority) -> None:
    """An answer that is not as expected counts for more than a certificate near its expiry."""
    [error] = errors_of(check_of(web, "ending", authority, match="closed"))
    assert error.startswith("unexpected result: ")


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("expired", "has expired"),
        ("future", "is not valid yet"),
        ("other", "is for another name"),
        ("alone", "is not trusted"),
    ],
)
def test_http__certificate_that_cannot_be_used(web: Web, authority: Authority, kind: str, problem: str) -> None:
    """A certificate that cannot be used is told by what is wrong with it, and names no host."""
    assert errors_of(check_of(web, kind, authority)) == [f"unavailable: the certificate of the web service {problem}"]


def test_http__authority_that_is_not_known(web: Web) -> None:
    """A certificate of an authority that nobody told of is not trusted."""
    assert errors_of(check_of(web, "good", None)) == ["unavailable: the certificate of the web service is not trusted"]


def test_http__address_instead_of_the_name(web: Web, authority: Authority) -> None:
    """A certificate for a name does not do for an address."""
    url = web.url(kind="good", host="127.0.0.1")
    [error] = errors_of(HTTP(url, ca_file=authority.ca_file, timeout=BUDGET_SECONDS))
    assert error == "unavailable: the certificate of the web service is for another address"


def test_http__tls_where_there_is_none(web: Web) -> None:
    """A port without TLS is told as one that no connection can be made to."""
    url = web.url().replace("http://", "https://")
    assert errors_of(HTTP(url, timeout=BUDGET_SECONDS)) == [
        "unavailable: cannot connect to the web service (ConnectError)"
    ]


@pytest.fixture
def service(web: Web, authority: Authority) -> Service:
    """A web service with TLS, and the check of it."""
    return Service(
        server=web,
        build=lambda: check_of(web, "good", authority),
        failing=lambda: check_of(web, "expired", authority),
        silent=r"unavailable: cannot connect to the web service in time \(ConnectTimeout\)",
        gone=r"unavailable: cannot connect to the web service \(ConnectError\)",
    )


class TestContract(Contract):
    """The check of a web service with TLS."""


def test_elasticsearch__certificate(web: Web, authority: Authority) -> None:
    """Other checks over HTTP trust the authorities of a file, too, and no certificate without."""
    trusting = Elasticsearch(web.url("", kind="good"), ca_file=authority.ca_file, timeout=BUDGET_SECONDS)
    assert errors_of(trusting) == ["unexpected result: Elasticsearch answered HTTP 404"]
    assert errors_of(Elasticsearch(web.url("", kind="good"), timeout=BUDGET_SECONDS)) == [
        "unavailable: the certificate of Elasticsearch is not trusted"
    ]
