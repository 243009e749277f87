"""Probes by address of a site that answers its own name only, and that by TLS only."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Iterator

import pytest

from tests.support.alerting import blackbox_exporter
from tests.support.client import eventually, get, send
from tests.support.plain.settings import MIDDLEWARE as OF_PLAIN
from tests.support.servers import Server, listening
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MIDDLEWARE = "health_check.middleware.HealthCheckMiddleware"

WORKERS: dict[str, tuple[str, str]] = {
    "gthread": ("gthread", "tests.support.plain.wsgi"),
    "uvicorn": ("uvicorn_worker.UvicornWorker", "tests.support.plain.asgi:application"),
}
"""Classes of gunicorn's workers, and the applications for them."""


@contextlib.contextmanager
def strict_site(site: Site, *first: str, workers: str = "gthread") -> Iterator[Server]:
    """Serve a site that refuses probes unless its first middleware does otherwise."""
    others = ["django.middleware.security.SecurityMiddleware", "tests.support.site.middleware.touches_host"]
    settings = {
        "ALLOWED_HOSTS": ["shop.example"],
        "SECURE_SSL_REDIRECT": True,
        "MIDDLEWARE": [*first, *others, "tests.support.site.views.name_process", *OF_PLAIN],
    }
    kind, application = WORKERS[workers]
    options = ["--bind=127.0.0.1:0", "--workers=2", "--no-control-socket", f"--worker-class={kind}", application]
    environment = dataclasses.replace(site, settings=settings).environment()
    address = r"Listening at: http://(127\.0\.0\.1:\d+)"
    command = [sys.executable, "-m", "gunicorn", *options]
    with listening(command, site.folder, environment, address=address, path="") as server:
        eventually(lambda: get(f"{server.url}/health/live/").status, what="an answer of any kind")
        yield server


BLACKBOX = "modules: {http_2xx: {prober: http, http: {preferred_ip_protocol: ip4, no_follow_redirects: true}}}\n"


@contextlib.contextmanager
def probing(folder: pathlib.Path) -> Iterator[Server]:
    """Run a blackbox exporter that probes by address."""
    folder.mkdir()
    configuration = folder / "blackbox.yml"
    configuration.write_text(BLACKBOX)
    with blackbox_exporter(folder, configuration) as server:
        yield server


def probed(prober: Server, url: str) -> tuple[int, int]:
    """Return whether a probe was a success, and the status it met."""
    found = dict(
        line.rsplit(" ", 1)
        for line in get(f"{prober.url}/probe", target=url, module="http_2xx").body.split("\n")
        if " " in line
    )
    return int(found["probe_success"]), int(found["probe_http_status_code"])


HOSTS: list[dict[str, str]] = [
    {},
    {"Host": "10.0.0.7:8000"},
    {"Host": "-"},
    {"X-Forwarded-Host": "evil.example"},
]
"""Headers by which probes ask."""


@pytest.mark.parametrize("workers", WORKERS)
def test_probe__by_address(workers: str, tmp_path: pathlib.Path) -> None:
    """With the middleware first probes by address get their answer, by GET and HEAD; other pages refuse them.

    A real prober says that the site is up or down. Probe after probe of a failing site is logged once.
    """
    site = Site(
        folder=tmp_path / "site",
        checks=["tests.support.site.checks.Counting"],
        others=["tests.support.checks.Broken"],
        max_age=60,
        health_check={"EARLY_METRICS": True},
    )
    with strict_site(site, MIDDLEWARE, workers=workers) as server, probing(tmp_path / "prober") as prober:
        for path in ("/health/", "/health/?format=json", "/health/live/", "/metrics"):
            for headers in HOSTS:
                answer = send("GET", server.url + path, headers=headers)
                assert answer.status == 200, (path, headers)
                assert int(answer.headers["Content-Length"]) == len(answer.body.encode())
                head = send("HEAD", server.url + path, headers=headers)
                assert (head.status, head.body) == (200, ""), (path, headers)
        assert get(f"{server.url}/plain/").status in (301, 400)
        assert "Traceback" not in server.output()
        probes = {path: probed(prober, f"{server.url}{path}") for path in ("/health/", "/health/live/", "/others/")}
        assert probes == {"/health/": (1, 200), "/health/live/": (1, 200), "/others/": (0, 500)}
        assert {get(f"{server.url}/others/", format="json").status for _ in range(40)} == {500}
        assert server.output().count("Broken is error") == 1
        assert "Internal Server Error" not in server.output()


def test_probe__without_the_middleware(tmp_path: pathlib.Path) -> None:
    """Without the middleware the same probes are refused, or sent where they cannot go, and the site seems down."""
    site = Site(folder=tmp_path / "site", checks=["tests.support.site.checks.Counting"])
    with strict_site(site) as server, probing(tmp_path / "prober") as prober:
        assert {get(server.url + path).status for path in ("/health/", "/health/live/", "/metrics")} <= {301, 400}
        assert probed(prober, f"{server.url}/health/") == (0, 400)
