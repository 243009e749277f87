"""The command ``manage.py health_drain``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser

from health_check.conf import in_test_environment, settings
from health_check.management.arguments import HealthCommand, seconds, where_records_are
from health_check.monitor import runtime
from health_check.registry.endpoints import discover
from health_check.stores import create_store
from health_check.stores.base import Key, Query
from health_check.stores.client import StoreClient

EPILOG = """
Readiness endpoints are those mounted with HealthCheckView.as_view(readiness=True), and those whose URL name or path
says so (ready, readyz, readiness). While the host is drained they answer 503, even if their checks are ok, and load
balancers send it no new requests; all other endpoints, those for liveness above all, answer as before. The server
processes of the host learn of it within a second, from the store of their records, and those started later, too: the
host stays drained until --undo.

The command says where the records are. They have to be those of the servers: run it as the same user, with the same
settings and folder for temporary files, or give the store a path of its own.

exit codes:
  0  done; with --status, the host is not drained
  1  with --status, the host is drained
  2  the servers of this host cannot be told, or there is no readiness endpoint

examples:
  before a deployment, or maintenance:
    manage.py health_drain
  as a preStop hook: return when load balancers have had the time to notice:
    manage.py health_drain --wait 15
  take requests again:
    manage.py health_drain --undo
"""

UNUSED = (
    "Warning: no server has run a check with these records for a minute. One that runs has others then, and is not "
    "drained: run this as its user, with its settings and its folder for temporary files, or give the store a path."
)

CANNOT = "The servers of this host cannot be notified"

UNUSED_SECONDS = 60.0
"""How long ago a server has run a check at most, or three times its ``max_age``, if it uses the records."""

TRY_SECONDS = 5.0
"""For how long to try where the store does not answer at once."""

PAUSE_SECONDS = 0.1


class Command(HealthCommand):
    """Take this host out of service, or back into it."""

    help = "Have the readiness endpoints of this host answer 503, so that load balancers send it no new requests."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--undo", action="store_true", help="end that: they answer by their checks again")
        what.add_argument("--status", action="store_true", help="only say whether the host is drained")
        what.add_argument(
            "--wait",
            type=seconds,
            default=0.0,
            metavar="SECONDS",
            help="return only after SECONDS, when load balancers have noticed (default: 0)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.log_only_if_verbose(options["verbosity"])
        _refuse_unshared()
        store_client = runtime.get().monitor.store_client
        undo, status = options["undo"], options["status"]
        readiness = None if status or undo else _readiness_endpoints()
        done = _in_time(lambda: _is_known(store_client) if status else runtime.drain(undo=undo))
        if options["verbosity"] > 0:
            self.stderr.write(where_records_are()[0], str)
        if not done:
            what = "It cannot be known whether this host is drained" if status else CANNOT
            raise CommandError(f"{what}: {store_client.trouble or 'the store does not answer'}.")
        if not undo and _is_unused(store_client):
            self.stderr.write(UNUSED, self.style.WARNING)
        if status:
            is_drained = runtime.is_draining()
            self.stdout.write(f"This host is {'' if is_drained else 'not '}drained.")
            if is_drained:
                sys.exit(1)
        elif undo:
            self.stdout.write("This host is no longer drained.")
        else:
            self.stdout.write(f"This host is drained: {readiness} will answer 503 within a second.")
            self.stdout.flush()
            time.sleep(options["wait"])


def _in_time(act: Callable[[], bool]) -> bool:
    """Do something until it works, for ``TRY_SECONDS`` at most; return whether it did."""
    end = time.monotonic() + TRY_SECONDS
    while not (done := act()) and time.monotonic() < end:
        time.sleep(PAUSE_SECONDS)
    return done


def _is_known(store_client: StoreClient) -> bool:
    """Return whether the store says if this host is drained."""
    runtime.is_draining()
    return store_client.up


def _is_unused(store_client: StoreClient) -> bool:
    """Return whether the records are such that no server seems to use them: each check of the site is overdue."""
    try:
        definitions = list(runtime.get().catalogue.check_set.definitions.values())
    except ImproperlyConfigured:
        return False  # what is broken must not keep the host in service
    now = store_client.now()
    entries = store_client.look([Query(key=Key(each.label, each.scope)) for each in definitions])
    return bool(entries) and all(
        entry.latest is None or now - entry.latest.result.started > max(UNUSED_SECONDS, 3 * each.max_age)
        for each, entry in zip(definitions, entries or (), strict=True)
    )


def _readiness_endpoints() -> str:
    """Return the names of the endpoints for load balancers, in a sentence.

    Raises:
        CommandError: If there is none.
    """
    try:
        names = [endpoint.name for endpoint in discover(settings.URLCONF) if endpoint.is_readiness]
    except ImproperlyConfigured:  # what is broken must not keep the host in service
        return "its readiness endpoints"
    if not names:
        raise CommandError(
            "There is nothing to drain, as no endpoint is for readiness: mount one at ready/, or with "
            "HealthCheckView.as_view(readiness=True)."
        )
    return ", ".join(names)


def _refuse_unshared() -> None:
    """Refuse where no server would see it.

    Raises:
        CommandError: If the records are in the memory of each process.
        ImproperlyConfigured: If there is no such store.
    """
    store = create_store()
    if not (store.shared and store.reaches_others) and not in_test_environment():
        raise CommandError(
            f"{CANNOT}: the records are in {store.describe()}, which they do not see. Leave HEALTH_CHECK['STORE'] out, "
            "or name a cache on Redis or Memcached."
        )
