"""The levers of the demo: each breaks something real, and fixes it again."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import threading
import time
from collections.abc import Callable

from django.core.management import call_command
from django.db import connection

from health_check.demo import data, hosts


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lever:
    """Something to break.

    Args:
        name: What the form, and the lever's mark, call it.
        title: What it does, for the button.
        fix: What undoes it, for the button.
        effect: What there is to see.
        check: The label of the check that finds it; empty where none does.
        pull: Breaks it.
        release: Fixes it.
    """

    name: str
    title: str
    fix: str
    effect: str
    check: str = ""
    pull: Callable[[], None]
    release: Callable[[], None]

    @property
    def is_pulled(self) -> bool:
        """Whether it is broken."""
        return (data.marks() / self.name).exists()


_lock = threading.Lock()  # two clicks at one time
_moved_at: dict[str, float] = {}  # under the lock; for how long ago it was


def move(name: str, *, pull: bool) -> None:
    """Break or fix something; a lever that is where it should be stays there.

    Raises:
        KeyError: If there is no such lever.
    """
    lever = BY_NAME[name]
    with _lock:
        if lever.is_pulled is pull:
            return
        (lever.pull if pull else lever.release)()
        mark = data.marks() / name
        mark.touch() if pull else mark.unlink(missing_ok=True)
        _moved_at[name] = time.time()


def moved_at(check: str) -> float | None:
    """Return when the lever of a check was moved last, Unix time in seconds; None if it never was."""
    with _lock:
        names = [lever.name for lever in LEVERS if lever.check == check]
        return max((_moved_at[name] for name in names if name in _moved_at), default=None)


def _rename_table(name: str, to: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {name} RENAME TO {to}")


def _hang_mount() -> None:
    """Put a pipe that nobody writes to in place of the price list: a process that opens it waits."""
    pipe = data.price_list().with_name("pipe")
    os.mkfifo(pipe, 0o600)
    pipe.replace(data.price_list())


def _release_mount() -> None:
    """Put the price list back, and let go who waits for the pipe."""
    pipe = data.price_list().with_name("pipe")
    os.link(data.price_list(), pipe)
    data.write_price_list()
    with contextlib.suppress(OSError):  # nobody waits
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    pipe.unlink()


def _drain(*arguments: str) -> None:
    call_command("health_drain", *arguments, stdout=io.StringIO(), stderr=io.StringIO())


def _nothing() -> None:
    """Do nothing but move the lever: the check looks at it."""


LEVERS = (
    Lever(
        name="orders",
        title="Break the table of orders",
        fix="Put the table back",
        effect="Orders fails on both hosts, /health/ answers 500.",
        check="Orders",
        pull=lambda: _rename_table(data.ORDERS, "shop_order_lost"),
        release=lambda: _rename_table("shop_order_lost", data.ORDERS),
    ),
    Lever(
        name="payments",
        title="Slow down payments",
        fix="Make payments fast",
        effect="Payments takes 1.4 s and says so as a warning, which counts as a failure here.",
        check="Payments",
        pull=_nothing,
        release=_nothing,
    ),
    Lever(
        name="mount",
        title="Hang the mount of web-1",
        fix="Let the mount go on",
        effect="PriceList times out on web-1 alone, one thread is stuck, and the page answers as fast as before.",
        check="PriceList",
        pull=_hang_mount,
        release=_release_mount,
    ),
    Lever(
        name="search",
        title="Have search flap",
        fix="Keep search up",
        effect="Search fails every other 6 s; it is not critical: /health/ stays 200, and it is one incident.",
        check="Search",
        pull=_nothing,
        release=_nothing,
    ),
    Lever(
        name="uploads",
        title="Fill the disk",
        fix="Empty the disk",
        effect="Uploads has no room.",
        check="Uploads",
        pull=lambda: data.fill_uploads(12),
        release=data.empty_uploads,
    ),
    Lever(
        name="web-2",
        title="Kill host web-2",
        fix="Start host web-2",
        effect="web-2 falls silent: the banner and the table of hosts say so after some seconds.",
        pull=hosts.kill,
        release=hosts.start,
    ),
    Lever(
        name="drain",
        title="Drain web-1",
        fix="Take requests again",
        effect="/health/ready/ answers 503: load balancers send no new requests. No check fails.",
        pull=_drain,
        release=lambda: _drain("--undo"),
    ),
)
BY_NAME = {lever.name: lever for lever in LEVERS}
