"""Keep a view out of ATOMIC_REQUESTS: it must answer when the databases do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

V = TypeVar("V", bound=Callable[..., object])


class _EveryDatabase(frozenset[str]):
    """The aliases of all databases, also of those that settings add later."""

    def __contains__(self, alias: object) -> bool:
        return True


def non_atomic_requests(view: V) -> V:
    """Exempt a view from ``ATOMIC_REQUESTS`` of every database; Django's own decorator exempts from one."""
    vars(view)["_non_atomic_requests"] = _EveryDatabase()
    return view
