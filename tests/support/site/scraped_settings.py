"""The settings of a site that Prometheus scrapes: the tests' own, with traces."""

from tests.support.site.settings import *  # noqa: F403 - a site that derives from another's settings

ROOT_URLCONF = "tests.support.site.scraped_urls"
