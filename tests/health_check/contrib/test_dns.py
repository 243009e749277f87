"""The check of name resolution, as far as it needs no server."""

from __future__ import annotations

import dns.resolver
import pytest

from health_check import DNS
from tests.support.checks import messages_of


def test_check__no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that names no name server is told."""

    def fail(resolver: dns.resolver.Resolver, place: object) -> None:
        raise dns.resolver.NoResolverConfiguration

    monkeypatch.setattr(dns.resolver.Resolver, "read_resolv_conf", fail)
    assert messages_of(DNS()) == ["unavailable: the name cannot be resolved (NoResolverConfiguration)"]
