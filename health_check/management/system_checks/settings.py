"""The system checks of the settings and the store."""

from __future__ import annotations

from collections.abc import Iterator

from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from health_check import conf
from health_check.management.system_checks.messages import system_check, unusable, warning
from health_check.monitor import runtime
from health_check.redaction import mask
from health_check.stores import Store, create_store
from health_check.stores.site import base_folder, looks_like_a_release
from health_check.stores.site_folder import changed_since_last_start
from health_check.stores.sqlite import SQLiteStore
from health_check.views import access


@system_check()
def check_settings() -> Iterator[CheckMessage]:
    """Report settings that cannot be used, also for a URLconf or a store (E001), unknown (W001) or outdated (W002)."""
    problems = dict.fromkeys([*conf.problems(), *access.problems()])
    for use in (lambda: runtime.get().catalogue, create_store):
        try:
            use()
        except ImproperlyConfigured as error:
            problems[str(error)] = None
    yield from map(unusable, problems)
    for text in conf.unknown():
        yield warning("W001", text, "Correct its name, or take it out.")
    configured = conf.configured_keys()
    for key, remedy in {**conf.LEGACY, **conf.REMOVED}.items():
        if key in configured:
            effect = "is deprecated" if key in conf.LEGACY else "has no effect"
            yield warning("W002", f"HEALTH_CHECK[{key!r}] {effect}.", f"Please {remedy}.")


@system_check()
def check_store() -> Iterator[CheckMessage]:
    """Report a store that shares nothing (W004), has no good place (W005), or is lost with a release (W030)."""
    store = create_store()
    if not store.reaches_others:
        yield warning(
            "W004",
            f"The store of the health checks is {store.describe()}, which no other process sees.",
            "Use a cache on Redis or Memcached, or leave HEALTH_CHECK['STORE'] out: its default is shared.",
        )
    try:
        trouble = store.trouble()
    except Exception as error:  # of a store of the site's own: what describes a failure does not fail itself
        trouble = f"{type(error).__name__}: {error}"
    if trouble:
        yield warning(
            "W005",
            f"The store of the health checks cannot be used: {mask(trouble)}.",
            "Until then each process keeps its records in its own memory.",
        )
    reason = _unnamed(store, trouble)
    if reason:
        yield warning(
            "W030",
            f"The site has no name by which its records are found again: {reason}.",
            "Set HEALTH_CHECK['SITE'] to the name of the site, so that records, counters and history go on.",
        )


def _unnamed(store: Store, trouble: str | None) -> str | None:
    """Return why another release, or the next start, would not find the records; None if it would."""
    if not store.shared or conf.settings.SITE:
        return None
    folder, changed = base_folder(), []
    if looks_like_a_release(folder):
        return f"BASE_DIR is {folder}, which looks like the folder of one release"
    if isinstance(store, SQLiteStore) and store.is_default and not trouble:
        changed = changed_since_last_start(store.path.parent)
    return f"since its last start this has changed: {'; '.join(changed)}" if changed else None
