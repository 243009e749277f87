"""The settings of the demo site, with a made-up past."""

from tests.support.plain.settings import *  # noqa: F403

ROOT_URLCONF = "tests.support.site.past_urls"

HEALTH_CHECK = {
    "MAX_AGE": 60,
    "SITE": "shop",
    "ENVIRONMENT": "production",
    "RELEASE": "2026.11.3",
    "TRACE_URL": "https://tempo.example.com/trace/{trace_id}",
    "STORE": {"BACKEND": "tests.support.site.past.PastStore"},
}
