"""``manage.py health_exporter``: a process of its own that serves the health of the site, and nothing else of it."""

from __future__ import annotations

import concurrent.futures
import pathlib
import signal
import socket
import time

import pytest

from tests.support.client import Lag, eventually, get
from tests.support.scraping import prometheus, query
from tests.support.servers import Server, site_under_gunicorn, standalone_exporter
from tests.support.site.checks import noted_runs, release
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 1.0

EXIT_SECONDS = 5.0
"""How long the end may take that is to come at once: a fraction of a second where nothing else runs."""

CHECKS = ["tests.support.site.checks.Counting", "tests.support.site.checks.Flip", "health_check.Database"]


def test_exporter__shares_the_records_of_the_web_workers(tmp_path: pathlib.Path) -> None:
    """It runs the checks as results expire, shows the same runs as the workers and Prometheus, and nothing else."""
    site = Site(folder=tmp_path / "site", checks=CHECKS, max_age=MAX_AGE)
    with standalone_exporter(site) as exporter, prometheus(tmp_path / "prometheus", exporter) as scraper:
        assert "/metrics, /health/, /others/, /health/live/" in exporter.output()
        records = eventually(lambda: exporter.output().partition("Records: ")[2].strip(), what="where the records are")
        assert pathlib.Path(records).is_relative_to(site.folder / "tmp")
        eventually(lambda: len(noted_runs(site.folder, "Counting")) >= 3, what="runs that nobody asks for")
        eventually(lambda: [value for _, value in query(scraper, "up")] == [1.0], what="Prometheus to find it up")
        found = {labels["check"] for labels, _ in query(scraper, "django_health_check_status")}
        assert found == {"Counting", "Flip", "Database"}
        index = get(f"{exporter.url}/")
        assert index.body.split() == ["/metrics", "/health/", "/others/", "/health/live/"]
        assert [get(f"{exporter.url}{path}").status for path in ("/plain/", "/orm/", "/health")] == [404] * 3

        with site_under_gunicorn(site, "--workers=2", "--threads=1") as workers:
            compared: set[str] = set()

            def several_runs_were_compared() -> bool:
                before, between, after = shown(exporter), shown(workers), shown(exporter)
                if before == after:
                    assert between == before
                    compared.add(before["Flip"][0])
                return len(compared) >= 3

            eventually(several_runs_were_compared, what="three runs that both have shown")
        for name in ("Counting", "Flip"):
            runs = noted_runs(site.folder, name)
            assert len(runs) <= (time.monotonic() - runs[0].started) / MAX_AGE + 2  # the workers began after a result


def shown(server: Server) -> dict[str, tuple[str, str]]:
    """Return the time of the last run of each check, and the state it found."""
    checks = get(f"{server.url}/health/", format="health+json").json()["checks"]
    return {label: (check["time"], check["state"]) for label, (check,) in checks.items()}


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_exporter__gives_the_answers_that_were_asked_for(tmp_path: pathlib.Path, signal_number: signal.Signals) -> None:
    """An answer that is being made when the signal comes is still given; after that it ends at once."""
    hanging = ["tests.support.site.checks.Hang", {"max_age": 0, "timeout": 60}]
    site, lag = Site(folder=tmp_path, checks=[CHECKS[0], hanging]), Lag()
    with standalone_exporter(site) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, f"{server.url}/health/", format="json")
        eventually(lambda: noted_runs(tmp_path, "Hang"), what="the start of the slow check")
        server.process.send_signal(signal_number)
        try:
            eventually(lambda: is_closed(server), what="that it accepts nothing new", seconds=20)
            assert not answer.done()
        finally:
            release(tmp_path)
        with lag.measured():
            released = time.monotonic()
            assert answer.result().json() == {"Counting": "OK", "Hang": "OK"}
            assert server.process.wait(20) == 0
        assert time.monotonic() - released < EXIT_SECONDS + lag.slack
        assert "Traceback" not in server.output()


def is_closed(server: Server) -> bool:
    """Tell whether a server accepts no connection."""
    host, _, port = server.address.partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except ConnectionRefusedError:
        return True
    return False
