"""The check of name resolution, as far as it needs no server."""

from __future__ import annotations

import importlib
import socket

import dns.rdatatype
import dns.resolver
import pytest

from health_check import DNS
from health_check.registry.definitions import label_of


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (DNS(), "DNS"),
        (DNS("planted.internal", nameservers=["10.0.0.53"]), "DNS"),
        (DNS(record_type=dns.rdatatype.A), "DNS"),  # type: ignore[arg-type]
        (DNS(record_type="mx"), "DNS(record_type='MX')"),
    ],
)
def test_label__record_type_alone(check: DNS, label: str) -> None:
    """The label has the type where it is not the default, however it was spelt, and no host."""
    assert label_of(check) == label


def test_defaults() -> None:
    """By default the address of this very host is asked for."""
    assert (DNS().hostname, DNS().record_type, DNS().nameservers) == (socket.gethostname(), "A", None)


def test_record_type__unknown() -> None:
    """A record type that does not exist is refused."""
    with pytest.raises(dns.rdatatype.UnknownRdatatype):
        DNS(record_type="planted")


@pytest.mark.parametrize("servers", [["planted.internal"], ["127.0.0.1", None]])
def test_nameservers__no_address(servers: list[str]) -> None:
    """A name server that is not an address is told, without being shown."""
    check = DNS(nameservers=servers)
    check.run_check()
    assert [str(error) for error in check.errors] == ["unavailable: the name cannot be resolved (ValueError)"]


def test_check__no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that names no name server is told."""
    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", _unconfigured)
    check = DNS()
    check.run_check()
    assert [str(error) for error in check.errors] == [
        "unavailable: the name cannot be resolved (NoResolverConfiguration)"
    ]


def _unconfigured(resolver: dns.resolver.Resolver, place: object) -> None:
    raise dns.resolver.NoResolverConfiguration


def test_health_check__nothing_else_is_lazy() -> None:
    """The package has no other names than its own."""
    with pytest.raises(AttributeError, match="no attribute 'Planted'"):
        importlib.import_module("health_check").Planted  # noqa: B018
