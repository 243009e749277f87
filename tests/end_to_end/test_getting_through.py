"""Probes by address of a site that answers its own name only, and that by TLS only."""

from __future__ import annotations

import contextlib
import pathlib
import sys
from collections.abc import Iterator

import pytest

from tests.support.client import eventually, get, send
from tests.support.servers import Server, await_output, running
from tests.support.services import require
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MIDDLEWARE = "health_check.middleware.HealthCheckMiddleware"
SETTINGS = "tests.support.site.strict_settings"

WORKERS: dict[str, tuple[str, ...]] = {
    "gthread": ("--workers=2", "--threads=4", "tests.support.plain.wsgi"),
    "uvicorn": ("--workers=2", "--worker-class=uvicorn_worker.UvicornWorker", "tests.support.plain.asgi:application"),
}
"""How gunicorn is started."""


@contextlib.contextmanager
def strict_site(site: Site, first: str, arguments: tuple[str, ...] = WORKERS["gthread"]) -> Iterator[Server]:
    """Serve a site that refuses probes unless its first middleware does otherwise."""
    environment = {**site.environment(), "DJANGO_SETTINGS_MODULE": SETTINGS, "TEST_SITE_FIRST": first}
    options = ["--bind=127.0.0.1:0", "--timeout=120", "--no-control-socket"]
    with running([sys.executable, "-m", "gunicorn", *options, *arguments], site.folder, environment) as server:
        server.url = await_output(server, r"Listening at: (http://127\.0\.0\.1:\d+)")[1]
        eventually(lambda: get(f"{server.url}/health/live/").status, what="an answer of any kind")
        yield server


@contextlib.contextmanager
def blackbox_exporter(folder: pathlib.Path) -> Iterator[Server]:
    """Run a blackbox exporter."""
    program = require("prometheus-blackbox-exporter", package="prometheus-blackbox-exporter")
    folder.mkdir()
    configuration = folder / "blackbox.yml"
    configuration.write_text(
        "modules: {http_2xx: {prober: http, timeout: 30s, http: {preferred_ip_protocol: ip4, no_follow_redirects: "
        "true}}}\n"
    )
    options = [f"--config.file={configuration}", "--web.listen-address=127.0.0.1:0"]
    with running([program, *options], folder) as server:
        server.url = "http://" + await_output(server, r"address=(127\.0\.0\.1:\d+)")[1]
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
    with strict_site(site, MIDDLEWARE, WORKERS[workers]) as server, blackbox_exporter(tmp_path / "prober") as prober:
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
    with strict_site(site, "") as server, blackbox_exporter(tmp_path / "prober") as prober:
        assert {get(server.url + path).status for path in ("/health/", "/health/live/", "/metrics")} <= {301, 400}
        assert probed(prober, f"{server.url}/health/") == (0, 400)
