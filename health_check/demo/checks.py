"""The demo's own check, written as a user would write one."""

import dataclasses
import pathlib

from django.conf import settings

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable


def price_list() -> pathlib.Path:
    """Return the file that the demo's shop depends on."""
    return pathlib.Path(settings.DATABASES["default"]["NAME"]).parent.parent / "prices.csv"


def mend() -> None:
    """Put the price list in its place."""
    price_list().parent.mkdir(parents=True, exist_ok=True)
    price_list().write_text("tea,2.50\ncoffee,3.00\n")


def break_it() -> None:
    """Take the price list away."""
    price_list().unlink(missing_ok=True)


@dataclasses.dataclass
class PriceList(HealthCheck):
    """Check that the shop has its price list."""

    max_age = 1

    def check_status(self) -> None:
        if not price_list().exists():
            raise ServiceUnavailable("the price list is missing: the shop cannot sell anything")
