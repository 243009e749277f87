"""The system checks of the settings and the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from health_check import conf
from health_check.redaction import mask
from health_check.stores import Store, create_store
from health_check.stores.site import base_folder, looks_like_a_release
from health_check.stores.site_folder import changed_since_last_start
from health_check.stores.sqlite import SQLiteStore
from health_check.views import access


def check_settings(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report settings that cannot be used (E001), are unknown (W001) or outdated (W002)."""
    found = unusable(dict.fromkeys([*conf.problems(), *access.problems()]))
    unknown = [
        CheckWarning(text, hint="Correct its name, or take it out.", id="health_check.W001") for text in conf.unknown()
    ]
    return [*found, *unknown, *_outdated_settings()]


def check_store(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a store that cannot be used (E001), that shares nothing (W004), or whose place is no good (W005).

    Also one whose records another release, or the next start, would not find (W030).
    """
    try:
        store = create_store()
    except ImproperlyConfigured as error:
        return unusable([text for text in [str(error)] if text not in conf.problems()])
    return [*_unshared(store), *_bad_place(store), *_unnamed_site(store)]


def unusable(
    texts: Iterable[str], *, hint: str = "See the section on settings in the documentation."
) -> list[CheckMessage]:
    """Return an error for each text that says why something cannot be used (E001)."""
    return [Error(text, hint=hint, id="health_check.E001") for text in texts]


def _unshared(store: Store) -> Iterable[CheckMessage]:
    if not store.reaches_others:
        yield CheckWarning(
            f"The store of the health checks is {store.describe()}, which no other process sees.",
            hint="Use a cache on Redis or Memcached, or leave HEALTH_CHECK['STORE'] out: its default is shared.",
            id="health_check.W004",
        )


def _bad_place(store: Store) -> Iterable[CheckMessage]:
    try:
        trouble = store.trouble()
    except Exception as error:  # of a store of the site's own: what describes a failure does not fail itself
        trouble = f"{type(error).__name__}: {error}"
    if trouble:
        yield CheckWarning(
            f"The store of the health checks cannot be used: {mask(trouble)}.",
            hint="Until then each process keeps its records in its own memory.",
            id="health_check.W005",
        )


def _unnamed_site(store: Store) -> Iterable[CheckMessage]:
    if not store.shared or conf.settings.SITE:
        return
    folder, changed = base_folder(), []
    if isinstance(store, SQLiteStore) and store.is_default and not store.trouble():
        changed = changed_since_last_start(store.path.parent)
    if looks_like_a_release(folder):
        reason = f"BASE_DIR is {folder}, which looks like the folder of one release"
    elif changed:
        reason = f"since its last start this has changed: {'; '.join(changed)}"
    else:
        return
    yield CheckWarning(
        f"The site has no name by which its records are found again: {reason}.",
        hint="Set HEALTH_CHECK['SITE'] to the name of the site, so that records, counters and history go on.",
        id="health_check.W030",
    )


def _outdated_settings() -> Iterable[CheckMessage]:
    configured = conf.configured_keys()
    for key, remedy in {**conf.LEGACY, **conf.REMOVED}.items():
        if key in configured:
            effect = "is deprecated" if key in conf.LEGACY else "has no effect"
            yield CheckWarning(f"HEALTH_CHECK[{key!r}] {effect}.", hint=f"Please {remedy}.", id="health_check.W002")
