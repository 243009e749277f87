"""The check of name resolution, against a real name server."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import dns.rdatatype
import dns.resolver
import pytest

from health_check import DNS
from tests.support.checked import BUDGET_SECONDS, RUNS, errors_of, nothing_left
from tests.support.client import eventually
from tests.support.names import DOMAIN, NameServer, name_server

pytestmark = pytest.mark.server

SILENT = "unavailable: no name server answered in time"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    """A name server."""
    with name_server(tmp_path_factory.mktemp("dnsmasq")) as names:
        yield names


def check_of(names: NameServer, host: str = "shop", **options: Any) -> DNS:
    """Return a check of a name of the server's domain."""
    return DNS(f"{host}.{DOMAIN}", nameservers=[names.address], timeout=BUDGET_SECONDS, **options)


@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("shop", {}),
        ("alias", {}),
        ("text", {"record_type": "TXT"}),
        ("text", {"record_type": "txt"}),
        ("text", {"record_type": dns.rdatatype.TXT}),
    ],
)
def test_dns__ok(names: NameServer, host: str, options: dict[str, Any]) -> None:
    """A name with a record of the type that is asked for is in order."""
    assert errors_of(check_of(names, host, **options)) == []


@pytest.mark.parametrize(
    ("host", "record_type", "error"),
    [
        ("missing", "A", "the name does not exist"),
        ("shop", "AAAA", "the name has no AAAA record"),
        ("text", "A", "the name has no A record"),
        ("x" * 64, "A", "the name cannot be resolved (LabelTooLong)"),
    ],
)
def test_dns__no_record(names: NameServer, host: str, record_type: str, error: str) -> None:
    """A name that does not exist, or has no such record, is told, without being shown."""
    assert errors_of(check_of(names, host, record_type=record_type)) == [f"unavailable: {error}"]


def test_dns__refused(names: NameServer) -> None:
    """A server that refuses to answer is told."""
    [error] = errors_of(DNS("elsewhere.example", nameservers=[names.address], timeout=BUDGET_SECONDS))
    assert error == "unavailable: no name server gave an answer"


def test_dns__paused_and_on_again(names: NameServer) -> None:
    """A server that does nothing is told in time, and in order again as soon as it goes on."""
    names.pause()
    try:
        assert errors_of(check_of(names)) == [SILENT]
    finally:
        names.resume()
    assert errors_of(check_of(names)) == []


def test_dns__next_server(names: NameServer) -> None:
    """Where the first name server is silent, the next one counts."""
    check = check_of(names)
    check.nameservers = ["192.0.2.1", names.address]
    check.timeout = 10 * BUDGET_SECONDS
    check.run_check()
    assert check.errors == []


def test_dns__killed_and_started_again(tmp_path: pathlib.Path) -> None:
    """A server that is gone is told in time, and in order when it is back."""
    with name_server(tmp_path) as names:
        names.server.process.kill()
        names.server.process.wait()
        [error] = errors_of(check_of(names))
        assert error in (SILENT, "unavailable: no name server gave an answer")
    with name_server(tmp_path, names.port) as names:
        eventually(lambda: errors_of(check_of(names)) == [], what="a server in order")


def test_dns__search_domain(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host name without domain is looked for in the domains that the system has for that."""

    def configure(resolver: dns.resolver.Resolver, place: object) -> None:
        resolver.nameservers = [names.address]
        resolver.search = [dns.name.from_text(domain) for domain in ("first.planted.example", DOMAIN)]

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", configure)
    assert errors_of(DNS("shop", timeout=BUDGET_SECONDS)) == []
    assert errors_of(DNS("missing", timeout=BUDGET_SECONDS)) != []


def test_dns__leaves_nothing(names: NameServer) -> None:
    """After many runs, good and bad, there is no file or thread that was not there before."""
    assert errors_of(check_of(names)) == []
    with nothing_left():
        for _ in range(RUNS // 2):
            check_of(names).run_check()
            check_of(names, "missing").run_check()
