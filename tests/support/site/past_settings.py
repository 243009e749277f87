"""The settings of the demo site, with a made-up past."""

import os

from tests.support.plain.settings import *  # noqa: F403
from tests.support.plain.settings import MIDDLEWARE as OF_SITE
from tests.support.site.past import MIDDLEWARE as OF_POLICY
from tests.support.site.past import POLICY

MIDDLEWARE = [*filter(None, [OF_POLICY.get(os.environ.get("PAST_POLICY", ""))]), *OF_SITE]
SECURE_CSP = POLICY
CONTENT_SECURITY_POLICY = {"DIRECTIVES": POLICY}

ROOT_URLCONF = "tests.support.site.past_urls"

HEALTH_CHECK = {
    "MAX_AGE": 60,
    "SITE": "shop",
    "ENVIRONMENT": "production",
    "RELEASE": "2026.11.3",
    "TRACE_URL": "https://tempo.example.com/trace/{trace_id}",
    "STORE": {"BACKEND": "tests.support.site.past.PastStore", "OPTIONS": {"host": "web-1"}},
}
