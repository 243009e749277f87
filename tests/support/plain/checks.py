"""The site's own check, written as a user would write one."""

import dataclasses

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from tests.support.plain.data import price_list


@dataclasses.dataclass
class PriceList(HealthCheck):
    """Check that the shop has its price list."""

    max_age = 1

    def check_status(self) -> None:
        if not price_list().exists():
            raise ServiceUnavailable("the price list is missing: the shop cannot sell anything")
