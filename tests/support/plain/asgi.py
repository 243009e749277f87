"""The ASGI application of the plain site, for any server."""

import os

from django.core.asgi import get_asgi_application

from tests.support.plain.data import prepare

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.plain.settings")

application = get_asgi_application()
prepare()
