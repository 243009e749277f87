"""The WSGI application of the demo site, for any server."""

import os

from django.core.wsgi import get_wsgi_application

from health_check.demo.data import prepare

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "health_check.demo.settings")

application = get_wsgi_application()
prepare()
