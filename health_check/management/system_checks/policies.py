"""The system checks of how checks are run, and of what they are called."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from django.core.cache import caches
from django.core.checks import CheckMessage
from django.core.files.storage import storages
from django.db import connections

from health_check.backends import HealthCheck
from health_check.checks.cache import Cache
from health_check.checks.database import Database
from health_check.checks.storage import Storage
from health_check.conf import DEFAULT_MAX_AGE_SECONDS, configured_keys, nearest, settings
from health_check.management.system_checks.messages import system_check, warning
from health_check.monitor import runtime
from health_check.registry.definitions import Definition, problem_of
from health_check.registry.labels import names_a_host
from health_check.stores import create_store
from health_check.stores.cache import DjangoCacheStore

ENTRIES = 10
"""How many entries a check has in a cache for each host: its record, leases, days and failures."""

LONGEST_MAX_AGE_SECONDS = 3600.0
"""The longest max_age that is plausible."""

SETTINGS_OF_ALIASES: Mapping[type[HealthCheck], tuple[str, Callable[[], Collection[str]]]] = {
    Database: ("DATABASES", lambda: connections.settings),
    Cache: ("CACHES", lambda: caches.settings),
    Storage: ("STORAGES", lambda: storages.backends),
}
"""Which setting has what a check is about."""


@system_check()
def check_policies() -> Iterator[CheckMessage]:
    """Report budgets over max_age (W008), odd max_ages (W009), hosts in labels (W010), too few threads (W026).

    And checks of what the settings do not have (W043), and a cache with too little room for their records (W044).
    """
    definitions = [each for each in runtime.get().catalogue.check_set.definitions.values() if not problem_of(each)]
    yield from _budgets(definitions)
    for definition in definitions:
        yield from _of_one(definition)
    yield from _threads(definitions)
    yield from _room(definitions)


def _budgets(definitions: Iterable[Definition]) -> Iterator[CheckMessage]:
    found: dict[tuple[float, float], list[str]] = {}
    for definition in definitions:
        max_age = _max_age(definition)
        if 0 < max_age < definition.timeout:
            found.setdefault((definition.timeout, max_age), []).append(definition.label)
    for (timeout, max_age), labels in found.items():
        yield warning(
            "W008",
            f"A run of {', '.join(labels)} may take {timeout:g} s (timeout), while its result is fresh for "
            f"{max_age:g} s only (max_age): where it is slow, readers wait for it, or see an older one.",
            "Lower timeout (HEALTH_CHECK['TIMEOUT']), or raise max_age (HEALTH_CHECK['MAX_AGE']).",
        )


def _of_one(definition: Definition) -> Iterator[CheckMessage]:
    label, max_age = definition.label, _max_age(definition)
    if max_age > LONGEST_MAX_AGE_SECONDS:
        yield warning(
            "W009",
            f"{label} has a max_age of {max_age:g} s: an outage may stay unseen for as long.",
            "Lower it. If it is meant as an option of the check's own, make it a field of the check.",
        )
    if names_a_host(label):
        yield warning(
            "W010",
            f"The label {label!r} seems to name a host: everybody may read it, and where the host is "
            "another one, so are the metrics and alerts.",
            "Give the entry a name, as in ('shop.checks.Search', {'name': 'Search'}).",
        )
    alias = getattr(definition.prototype, "alias", None)
    for check_class, (setting, known) in SETTINGS_OF_ALIASES.items():
        if issubclass(definition.check_class, check_class) and isinstance(alias, str) and alias not in known():
            yield warning(
                "W043",
                f"{label} is about {alias!r}, which is not in {setting}.{nearest(alias, known())}",
                f"Correct the option `alias`, or add it to {setting}. Until then the check fails.",
            )


def _threads(definitions: Iterable[Definition]) -> Iterator[CheckMessage]:
    busy = [each for each in definitions if not each.asynchronous and _max_age(each) > 0]
    needed = math.ceil(round(math.fsum(each.timeout / _max_age(each) for each in busy), 3))
    if 0 < settings.MAX_CONCURRENCY < needed:
        yield warning(
            "W026",
            f"If {len(busy)} checks take as long as they may (timeout), as they do in an outage, they need {needed} "
            f"threads to run as often as their results expire (max_age), and MAX_CONCURRENCY is "
            f"{settings.MAX_CONCURRENCY}: readers would see older results, or none.",
            "Raise HEALTH_CHECK['MAX_CONCURRENCY'] or max_age, or lower timeout to what the checks need.",
        )


def _room(definitions: Sequence[Definition]) -> Iterator[CheckMessage]:
    store = create_store()
    most = store.most_entries if isinstance(store, DjangoCacheStore) else None
    needed = 2 * ENTRIES * len(definitions)
    if most is not None and most < needed:
        yield warning(
            "W044",
            f"The records are in {store.describe()}, which drops entries at random beyond {most}: {len(definitions)} "
            f"checks have up to {ENTRIES * len(definitions)} for each host. Counters and history would be lost.",
            f"Set MAX_ENTRIES of its OPTIONS to {needed} or more, or use a cache on Redis or Memcached.",
        )


def _max_age(definition: Definition) -> float:
    """Return the max_age of a check outside of tests and debugging, where the default is shorter."""
    default = settings.MAX_AGE if "MAX_AGE" in configured_keys() else DEFAULT_MAX_AGE_SECONDS
    return min(default if policy.max_age is None else policy.max_age for policy in definition.policies)
