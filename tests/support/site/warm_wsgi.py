"""A WSGI application that has read its checks before a server forks its workers."""

from django.core.wsgi import get_wsgi_application
from django.test import Client

application = get_wsgi_application()

answer = Client(headers={"host": "127.0.0.1"}).get("/health/", {"format": "json"})
if answer.status_code != 200:
    raise RuntimeError(f"The checks are not in order before the fork: {answer.content!r}")
