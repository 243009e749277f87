"""The ASGI application of the demo site, for any server."""

import os

from django.core.asgi import get_asgi_application

from health_check.demo.data import prepare

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "health_check.demo.settings")

application = get_asgi_application()
prepare()
