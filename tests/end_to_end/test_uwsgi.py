"""uWSGI, which forks its workers without a word to Python: each starts afresh."""

from __future__ import annotations

import contextlib
import pathlib
import subprocess
import sys
import sysconfig
from collections.abc import Iterator

import pytest

from tests.support.client import get
from tests.support.readiness import workers_of
from tests.support.repetitions import long
from tests.support.servers import ROOT, Server, await_answer, free_port, running
from tests.support.services import require
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

PACKAGES = sysconfig.get_paths()["platlib"]
"""The packages of the tests, which the system's Python may have without the rest of their environment."""

FLAGS = ["--master", "--processes=2", "--enable-threads", "--die-on-term", "--need-app"]
"""What docs/explanation/security.md says."""


def plugin() -> str:
    """Return the program, if its Python is the tests' own."""
    program = require("uwsgi", package="uwsgi-core uwsgi-plugin-python3")
    listed = subprocess.run(
        [program, "--plugin=python3", "--python-version"], capture_output=True, text=True, check=False
    )
    version = ".".join(map(str, sys.version_info[:2]))
    if version not in listed.stdout + listed.stderr:
        pytest.skip(f"uWSGI's plugin is of another Python: {listed.stdout.strip() or listed.stderr.strip()}")
    return program


@contextlib.contextmanager
def uwsgi(site: Site, module: str) -> Iterator[Server]:
    """Serve a site."""
    port = free_port()
    command = [plugin(), "--plugin=python3", f"--http-socket=127.0.0.1:{port}", f"--pythonpath={PACKAGES}", *FLAGS]
    with running([*command, f"--chdir={ROOT}", f"--module={module}"], site.folder, site.environment()) as server:
        server.url = f"http://127.0.0.1:{port}"
        await_answer(server, "/health/live/")
        yield server


@pytest.mark.parametrize("module", ["tests.support.site.warm_wsgi", long("tests.support.plain.wsgi")])
def test_uwsgi__workers_start_afresh(tmp_path: pathlib.Path, module: str) -> None:
    """A site that has read its checks as it was loaded reads them in every worker, and shares the records."""
    checks = ["tests.support.site.checks.Counting", "tests.support.site.checks.CountingAsync", "health_check.Database"]
    site = Site(folder=tmp_path, checks=checks, max_age=0.5)
    with uwsgi(site, module) as server:
        workers, answered = workers_of(server), set()
        for _ in range(200):
            answer = get(f"{server.url}/health/", format="json")
            assert (answer.status, set(answer.json().values())) == (200, {"OK"}), answer.body
            answered.add(int(answer.headers[PROCESS_HEADER]))
            if answered == workers:
                break
        assert answered == workers
        assert "django_health_check_store_up 1.0" in get(f"{server.url}/metrics").body
