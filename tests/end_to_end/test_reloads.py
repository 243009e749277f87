"""Servers that load a site again without being restarted: what was measured under the old code is not shown."""

from __future__ import annotations

import os
import pathlib
import signal

import pytest

from tests.support.client import eventually
from tests.support.readiness import answers_of_all, workers_of
from tests.support.repetitions import long
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

CODE = """
from health_check.exceptions import ServiceUnavailable
from tests.support.site.checks import Noting

class Deployed(Noting):
    def check_status(self):
        self.note()
        if {fails}:
            raise ServiceUnavailable("this code finds fault")
"""


def reload(server: Server) -> None:
    """Have gunicorn start other workers, and wait until the former ones are gone."""
    before = workers_of(server)
    server.process.send_signal(signal.SIGHUP)

    def replaced() -> bool:
        now = workers_of(server)
        return len(now) == len(before) and not now & before

    eventually(replaced, what="other workers")


def said(server: Server) -> set[str]:
    """Return what the workers say of the check."""
    answers = answers_of_all(server, "/health/").values()
    return {answer.json()["Deployed"] for of_worker in answers for answer in of_worker}


@pytest.mark.parametrize(("arguments", "reloads"), [((), True), long(("--preload",), False)])
def test_gunicorn__hup(tmp_path: pathlib.Path, arguments: tuple[str, ...], reloads: bool) -> None:
    """``kill -HUP`` that loads new code is a start: each check runs once for all workers. Preloaded code stays."""
    code = tmp_path / "deployed.py"
    code.write_text(CODE.format(fails=False))
    site = Site(folder=tmp_path, checks=["deployed.Deployed"], max_age=60.0)
    with site_under_gunicorn(site, "--workers=2", "--threads=2", *arguments) as server:
        assert "OK" in said(server)
        code.write_text(CODE.format(fails=True))
        os.utime(code, (1, 1))  # as where a deploy keeps the times of files
        reload(server)
        assert ("OK" in said(server)) is not reloads
        assert len(noted_runs(tmp_path, "Deployed")) == 1 + reloads
