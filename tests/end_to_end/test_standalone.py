"""``manage.py health_exporter``: a process of its own that serves the health of the site, and nothing else of it."""

from __future__ import annotations

import concurrent.futures
import pathlib
import signal
import socket
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.client import Lag, eventually, get, send
from tests.support.faces import query
from tests.support.servers import Server, manage, prometheus, site_under_gunicorn, standalone_exporter
from tests.support.site.checks import gaps, noted_runs, release
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

MAX_AGE = 1.0

COUNTING = "tests.support.site.checks.Counting"


def site_of(folder: pathlib.Path, *checks: object) -> Site:
    """Return a site with a check that counts, and others."""
    return Site(folder=folder, checks=[COUNTING, *checks], max_age=MAX_AGE)


def test_exporter__serves_the_health_of_the_site_and_nothing_else(tmp_path: pathlib.Path) -> None:
    """It says where it listens and where the records are; the site's other pages are not there."""
    site = site_of(tmp_path, "health_check.Database", "tests.support.site.checks.CountingAsync")
    with standalone_exporter(site) as server:
        assert f"on {server.url}\n" in server.output()
        assert "/metrics, /health/, /others/, /health/live/" in server.output()
        records = eventually(lambda: server.output().partition("Records: ")[2].strip(), what="the place of the records")
        assert pathlib.Path(records).is_relative_to(tmp_path / "tmp")

        health = get(f"{server.url}/health/", format="json")
        assert (health.status, health.json()) == (200, {"Counting": "OK", "Database": "OK", "CountingAsync": "OK"})
        assert get(f"{server.url}/health/").body.startswith("<!doctype html>")
        assert get(f"{server.url}/health/live/").status == 200
        assert 'django_health_check_status{check="Database"} 1.0' in get(f"{server.url}/metrics").body

        index = get(f"{server.url}/")
        assert (index.status, index.headers.get_content_type()) == (200, "text/plain")
        assert index.body.split() == ["/metrics", "/health/", "/others/", "/health/live/"]
        for path in ("/plain/", "/orm/", "/nowhere/", "/health", "/static/x.css"):
            answer = get(server.url + path)
            assert (answer.status, answer.body) == (404, index.body), path

        for path in ("/", "/metrics", "/health/", "/health/live/", "/nowhere/"):
            head, whole = send("HEAD", server.url + path), get(server.url + path)
            assert (head.status, head.body) == (whole.status, ""), path
            assert head.headers["Content-Type"] == whole.headers["Content-Type"], path


def test_exporter__runs_the_checks_as_their_results_expire(tmp_path: pathlib.Path) -> None:
    """It needs no requests to run the checks, and runs none more often than it may."""
    with standalone_exporter(site_of(tmp_path)):
        eventually(lambda: len(noted_runs(tmp_path, "Counting")) >= 4, what="four runs")
        runs = noted_runs(tmp_path, "Counting")
        assert len(runs) <= (time.monotonic() - runs[0].started) / MAX_AGE + 1


def test_exporter__shares_the_records_of_the_web_workers(tmp_path: pathlib.Path) -> None:
    """The workers of the site show the same runs as the exporter, and none of them runs a check again."""
    site = site_of(tmp_path, "tests.support.site.checks.Flip")
    with site_under_gunicorn(site, "--workers=2", "--threads=1") as workers, standalone_exporter(site) as exporter:
        compared: set[str] = set()

        def several_runs_were_compared() -> bool:
            before, between, after = shown(exporter), shown(workers), shown(exporter)
            if before == after:
                assert between == before
                compared.add(before["Flip"][0])
            return len(compared) >= 3

        eventually(several_runs_were_compared, what="three runs that both have shown")
        for name in ("Counting", "Flip"):
            runs = noted_runs(tmp_path, name)
            assert len(runs) <= (time.monotonic() - runs[0].started) / MAX_AGE + 1


def shown(server: Server) -> dict[str, tuple[str, str]]:
    """Return the time of the last run of each check, and the state it found."""
    checks = get(f"{server.url}/health/", format="health+json").json()["checks"]
    return {label: (check["time"], check["state"]) for label, (check,) in checks.items()}


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_exporter__ends_at_once_when_idle(tmp_path: pathlib.Path, signal_number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C end it within a second, with exit code 0; a busy machine gets some more tries at that."""
    tries = []
    for number in range(4):
        lag = Lag()
        with standalone_exporter(site_of(tmp_path / str(number))) as server, lag.measured():
            assert get(f"{server.url}/health/").status == 200
            code, seconds = server.stop(signal_number)
        assert code == 0
        assert "Traceback" not in server.output()
        tries.append((seconds, 0.8 + lag.slack))  # a second where nothing is late
        if seconds < 0.8 + lag.slack:
            return
    raise AssertionError(f"It never ended in time; seconds taken and allowed: {tries}")


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_exporter__gives_the_answers_that_were_asked_for(tmp_path: pathlib.Path, signal_number: signal.Signals) -> None:
    """An answer that is being made when the signal comes is still given; after that it ends."""
    site = site_of(tmp_path, ["tests.support.site.checks.Hang", {"max_age": 0, "timeout": 60}])
    with standalone_exporter(site) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(get, f"{server.url}/health/", format="json")
        eventually(lambda: noted_runs(tmp_path, "Hang"), what="the start of the slow check")
        server.process.send_signal(signal_number)
        try:
            eventually(lambda: is_closed(server), what="that it accepts nothing new", seconds=20)
            assert not answer.done()
        finally:
            release(tmp_path)
        assert answer.result().json() == {"Counting": "OK", "Hang": "OK"}
        assert server.process.wait(20) == 0


def is_closed(server: Server) -> bool:
    """Tell whether a server accepts no connection."""
    host, _, port = server.address.partition(":")
    try:
        socket.create_connection((host, int(port)), 1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_exporter__says_that_the_port_is_taken(tmp_path: pathlib.Path) -> None:
    """Where another server has the port, it ends with exit code 2 and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = manage(site_of(tmp_path), "health_exporter", f"--port={port}")
    assert done.returncode == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert noted_runs(tmp_path, "Counting") == []


def test_exporter__says_that_there_is_nothing_to_serve(tmp_path: pathlib.Path) -> None:
    """A site without endpoints makes it end with exit code 2 and say how to add one."""
    site = Site(folder=tmp_path, health_check={"URLCONF": "django.conf.urls.i18n"})
    for arguments in (["--port=0"], ["--once"]):
        done = manage(site, "health_exporter", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert 'There is no health endpoint: add path("health/"' in done.stderr
        assert "Traceback" not in done.stderr


def test_exporter__explains_itself(tmp_path: pathlib.Path) -> None:
    """Its help names the options, their defaults and the exit codes."""
    done = manage(site_of(tmp_path), "health_exporter", "--help")
    assert done.returncode == 0
    for text in ("--host", "127.0.0.1", "--port", "9808", "--once", "exit codes:\n  0  ", "examples:\n"):
        assert text in done.stdout


def test_once__prints_the_metrics(tmp_path: pathlib.Path) -> None:
    """With ``--once`` it runs what is due, prints metrics that Prometheus' own parser reads, and ends."""
    site = site_of(tmp_path, ["tests.support.site.checks.Flip", {"max_age": 60}])
    for _ in range(2):
        done = manage(site, "health_exporter", "--once")
        assert done.returncode == 0, done.stderr
        families = {family.name: family for family in text_string_to_metric_families(done.stdout)}
        status = {sample.labels["check"]: sample.value for sample in families["django_health_check_status"].samples}
        assert status == {"Counting": 1.0, "Flip": 1.0}
        assert [sample.value for sample in families["django_health_check_store_up"].samples] == [1.0]
    assert len(noted_runs(tmp_path, "Flip")) == 1
    assert min(gaps(noted_runs(tmp_path, "Counting")), default=MAX_AGE) >= MAX_AGE


def test_exporter__is_scraped_by_prometheus(tmp_path: pathlib.Path) -> None:
    """A real Prometheus finds it up, and has the series of the checks."""
    with (
        standalone_exporter(site_of(tmp_path / "site", "health_check.Database")) as server,
        prometheus(tmp_path / "prometheus", server) as scraper,
    ):
        eventually(lambda: [value for _, value in query(scraper, "up")] == [1.0], what="Prometheus to find it up")
        found = {labels["check"]: value for labels, value in query(scraper, "django_health_check_status")}
        assert found == {"Counting": 1.0, "Database": 1.0}
