"""A site with django-health-check, which has the same import name as ours and so a process of its own.

Reads lines from standard input: each is a number of requests to make, and is answered by the seconds that one takes.
"""

from __future__ import annotations

import pathlib
import sys


def main() -> None:
    """Serve the numbers."""
    sys.path[:] = [sys.argv[1], *(entry for entry in sys.path if pathlib.Path(entry or ".").resolve() != REPOSITORY)]
    from django.conf import settings

    settings.configure(
        ALLOWED_HOSTS=["*"], INSTALLED_APPS=["health_check"], ROOT_URLCONF=__name__, SECRET_KEY="peer", USE_TZ=True
    )
    import django
    from django.core.handlers.wsgi import WSGIHandler

    django.setup()
    mount(int(sys.argv[2]))
    sys.path.append(str(REPOSITORY))
    from benchmarks.requests import wsgi_request
    from benchmarks.timing import Local

    timed = Local(wsgi_request(WSGIHandler(), "/health/", "application/json"))
    for line in sys.stdin:
        print(timed.seconds(int(line)), flush=True)


REPOSITORY = pathlib.Path(__file__).resolve().parents[1]

urlpatterns: list[object] = []


def mount(checks: int) -> None:
    """Mount an endpoint of so many checks that do nothing."""
    import dataclasses

    from django.urls import path

    from health_check.views import HealthCheckView

    try:
        from health_check.base import HealthCheck
    except ImportError:
        from health_check.backends import HealthCheck

    @dataclasses.dataclass
    class Nothing(HealthCheck):
        number: int = 0

        def run(self) -> None:
            pass

        def check_status(self) -> None:
            pass

    entries = [(Nothing, {"number": number}) for number in range(checks)]
    urlpatterns.append(path("health/", HealthCheckView.as_view(checks=entries)))


if __name__ == "__main__":
    main()
