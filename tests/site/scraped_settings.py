"""The settings of a site that Prometheus scrapes: the tests' own, with traces."""

from tests.site.settings import *  # noqa: F403 - a site that derives from another's settings

ROOT_URLCONF = "tests.site.scraped_urls"
