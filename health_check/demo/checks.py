"""The demo's own checks, written as a user would write them."""

from __future__ import annotations

import dataclasses
import time

from django.db import DatabaseError, connection
from opentelemetry import trace

from health_check.backends import HealthCheck
from health_check.demo import data
from health_check.exceptions import ServiceUnavailable, ServiceWarning

LIMIT_SECONDS = 1.0
"""How long a charge may take."""

MOST_MEGABYTES = 10
"""How much room there is for uploads."""

tracer = trace.get_tracer("shop")


@dataclasses.dataclass
class Orders(HealthCheck):
    """Count the orders: the shop's pages read that table."""

    group = "Data"

    def check_status(self) -> None:
        try:
            with tracer.start_as_current_span("SELECT shop_order"), connection.cursor() as cursor:
                cursor.execute(f"SELECT count(*) FROM {data.ORDERS}")  # noqa: S608 - a constant
        except DatabaseError as error:
            raise ServiceUnavailable("the table of orders cannot be read") from error


@dataclasses.dataclass
class Payments(HealthCheck):
    """Ask the payment provider for a test charge, which takes 0.2 s on a good day."""

    group = "Services"
    timeout = 4

    def check_status(self) -> None:
        start = time.monotonic()
        with tracer.start_as_current_span("POST payments/charges"):
            time.sleep(1.4 if (data.marks() / "payments").exists() else 0.05)
        if (taken := time.monotonic() - start) > LIMIT_SECONDS:
            raise ServiceWarning(f"a charge took {taken:.1f} s, more than {LIMIT_SECONDS:g} s")


@dataclasses.dataclass
class Search(HealthCheck):
    """Ask the search engine for its state; the shop sells without it."""

    group = "Services"
    critical_service = False

    def check_status(self) -> None:
        with tracer.start_as_current_span("GET search/_cluster/health"):
            if (data.marks() / "search").exists() and time.time() // 6 % 2:
                raise ServiceUnavailable("the search engine has no master")


@dataclasses.dataclass
class PriceList(HealthCheck):
    """Read the price list from the mount of this host."""

    group = "Files"
    timeout = 2

    def check_status(self) -> None:
        if not data.price_list().read_text():  # a mount that hangs does not return
            raise ServiceUnavailable("the price list is empty")


@dataclasses.dataclass
class Uploads(HealthCheck):
    """Check that the folder for customers' files has room."""

    group = "Files"

    def check_status(self) -> None:
        used = sum(path.stat().st_size for path in data.uploads().iterdir()) / 1_000_000
        if used > MOST_MEGABYTES:
            raise ServiceUnavailable(f"uploads take {used:.0f} MB of {MOST_MEGABYTES} MB: no file can be saved")
