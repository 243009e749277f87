"""The check of name resolution, against a real name server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dns.resolver
import pytest

from health_check import DNS
from tests.services.contract import Contract, Service
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.checks import messages_of
from tests.support.names import DOMAIN, NameServer

pytestmark = pytest.mark.server

SILENT = "unavailable: no name server answered in time"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    """A name server."""
    with NameServer(folder=tmp_path_factory.mktemp("dnsmasq")).started() as names:
        yield names


def check_of(names: NameServer, host: str = "shop", **options: Any) -> DNS:
    """Return a check of a name of the server's domain."""
    return DNS(f"{host}.{DOMAIN}", nameservers=[names.address], timeout=BUDGET_SECONDS, **options)


@pytest.mark.parametrize(
    ("host", "record_type", "errors"),
    [
        ("shop", "A", []),
        ("alias", "A", []),
        ("text", "txt", []),
        ("missing", "A", ["unavailable: the name does not exist"]),
        ("shop", "AAAA", ["unavailable: the name has no AAAA record"]),
        ("text", "A", ["unavailable: the name has no A record"]),
        ("x" * 64, "A", ["unavailable: the name cannot be resolved (LabelTooLong)"]),
    ],
)
def test_dns__record_or_none(names: NameServer, host: str, record_type: str, errors: list[str]) -> None:
    """A name that does not exist, or has no record of the type that is asked for, is told, without being shown."""
    assert errors_of(check_of(names, host, record_type=record_type)) == errors


@pytest.fixture
def service(names: NameServer) -> Service:
    """A name server, and the check of it."""
    return Service(
        server=names,
        build=lambda: check_of(names),
        failing=lambda: check_of(names, "missing"),
        silent=SILENT,
        gone=f"{SILENT}|unavailable: no name server gave an answer",
    )


class TestContract(Contract):
    """The check of a name server."""


def test_dns__other_servers(names: NameServer) -> None:
    """Where the first name server is silent, the next one counts; one that refuses to answer is told."""
    [error] = errors_of(DNS("elsewhere.example", nameservers=[names.address], timeout=BUDGET_SECONDS))
    assert error == "unavailable: no name server gave an answer"
    check = check_of(names)
    check.nameservers = ["192.0.2.1", names.address]
    check.timeout = 10 * BUDGET_SECONDS
    assert messages_of(check) == []


def test_dns__search_domain(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name without domain is looked for in the domains that the system has for that."""

    def configure(resolver: dns.resolver.Resolver, place: object) -> None:
        resolver.nameservers = [names.address]
        resolver.search = [dns.name.from_text(domain) for domain in ("first.planted.example", DOMAIN)]

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", configure)
    assert errors_of(DNS("shop", timeout=BUDGET_SECONDS)) == []
    assert errors_of(DNS("missing", timeout=BUDGET_SECONDS)) != []
