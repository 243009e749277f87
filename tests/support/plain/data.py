"""The site's data: what its checks look at, to be broken and fixed."""

import pathlib

from django.conf import settings


def folder() -> pathlib.Path:
    """Return where the site keeps its data."""
    return pathlib.Path(settings.DATABASES["default"]["NAME"]).parent.parent


def price_list() -> pathlib.Path:
    """Return the file that the shop depends on."""
    return folder() / "prices.csv"


def prepare() -> None:
    """Make the folders and the price list, unless they were made before."""
    if not (folder() / "db").exists():
        for name in ("db", "media"):
            (folder() / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        price_list().write_text("tea,2.50\ncoffee,3.00\n")
