"""Views that use a database as a site does, and let a test look at its connections."""

from __future__ import annotations

import time
from typing import Any

from django.db import connections
from django.http import HttpRequest, JsonResponse

from tests.support.site.checks import POLL_SECONDS
from tests.support.site.configuration import configured

HELD = "held"
"""The file that is there while a request holds its connection."""


def backend(request: HttpRequest, alias: str) -> JsonResponse:
    """Tell which process of the database server serves this request."""
    return JsonResponse({"pid": _backend_pid(alias)})


def holding(request: HttpRequest, alias: str) -> JsonResponse:
    """Tell the same, but keep the connection until the test says so."""
    pid, held = _backend_pid(alias), configured().folder / HELD
    held.touch()
    while held.exists():
        time.sleep(POLL_SECONDS)
    return JsonResponse({"pid": pid})


def pool(request: HttpRequest, alias: str) -> JsonResponse:
    """Show the figures of a pool."""
    wrapper: Any = connections[alias]
    return JsonResponse(wrapper.pool.get_stats())


def _backend_pid(alias: str) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid: int = cursor.fetchone()[0]
        return pid
