"""The check of Memcached, where no server is needed."""

from __future__ import annotations

from health_check.contrib.memcached import Memcached
from health_check.registry.definitions import label_of


def test_server__that_cannot_be_used() -> None:
    """A place that is none is told, and not shown."""
    check = Memcached("memcached.internal:planted")
    check.run_check()
    assert [str(error) for error in check.errors] == [
        "unavailable: the option `server` of Memcached cannot be used: use HOST:PORT"
    ]


def test_label__no_host() -> None:
    """The label is the same on every site."""
    assert label_of(Memcached("memcached.internal:11211")) == "Memcached"
