"""The demo's data, which its checks look at: a table, a folder of uploads, a document, and the levers' marks."""

from __future__ import annotations

import pathlib
import secrets

from django.core.management import call_command
from django.db import connection

from health_check.demo.settings import FOLDER, HOST

ORDERS = "shop_order"


def marks() -> pathlib.Path:
    """Return the folder with a file for each lever that is pulled: both hosts look there."""
    return FOLDER / "levers"


def uploads() -> pathlib.Path:
    """Return the folder that customers' files go to."""
    return FOLDER / "uploads"


def price_list() -> pathlib.Path:
    """Return the document that the site reads from a mount of each host."""
    return FOLDER / "mount" / HOST / "prices.csv"


def prepare() -> None:
    """Make the folders, the tables and the documents, unless they were made before."""
    for path in (FOLDER / "db", FOLDER / "media", marks(), uploads(), price_list().parent):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not price_list().exists():
        write_price_list()
    if HOST == "web-1":  # a host that is started again leaves alone what is broken
        call_command("createcachetable", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE TABLE IF NOT EXISTS {ORDERS} (number INTEGER PRIMARY KEY, total REAL)")
        connection.close()


def write_price_list() -> None:
    """Put the document of this host in its place, in one step: a check may be about to read it."""
    made = price_list().with_suffix(".new")
    made.write_text("tea,2.50\ncoffee,3.00\n")
    made.replace(price_list())


def fill_uploads(megabytes: int) -> None:
    """Write a file of this size to the folder of uploads."""
    (uploads() / f"{secrets.token_hex(4)}.bin").write_bytes(bytes(megabytes * 1_000_000))


def empty_uploads() -> None:
    """Remove what is in the folder of uploads."""
    for path in uploads().iterdir():
        path.unlink()
