"""The WSGI application of the plain site, for any server."""

import os

from django.core.wsgi import get_wsgi_application

from tests.support.plain.data import prepare

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.plain.settings")

application = get_wsgi_application()
prepare()
