"""From an empty folder to a page, a scrape and an alert by the README alone: ``make first-five-minutes``."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Iterator

import pytest

from tests.support.alerting import alertmanager, prometheus, receiver, replaced
from tests.support.client import eventually, get
from tests.support.readme import start_project
from tests.support.scraping import query
from tests.support.servers import ROOT, await_answer, await_output, clean_environment, running
from tests.support.wheel import build_wheel, python_with, run

MOST_FILES = 2
MOST_LINES = 4

QUICK = ["scrape-interval=1s", "evaluation-interval=1s", "gap=15s", "failing-for=0s", "endpoint-for=0s"]
QUICK += ["keep-firing=1s", "group-wait=1s", "group-interval=1s"]
"""So that nobody has to wait: what takes minutes at night takes seconds here."""

SHOWS = """
import django, json; django.setup()
from django.test import Client
client = Client(headers={"host": "localhost"})
health = client.get("/health/", {"format": "json"})
metrics = client.get("/metrics").content.decode()
page = client.get("/health/", headers={"accept": "text/html"}).content.decode()
print(json.dumps([health.status_code, health.json(), client.get("/health/ready/").status_code, metrics, page]))
"""


@contextlib.contextmanager
def step(name: str) -> Iterator[None]:
    """Print how long a step takes."""
    start = time.monotonic()
    yield
    print(f"{name:<60} {time.monotonic() - start:6.1f} s")


def test_readme__on_a_new_project(tmp_path: pathlib.Path) -> None:
    """A project of this Django with what the README says is green, and shows what the README shows."""
    environment = {"PYTHONPATH": clean_environment()["PYTHONPATH"], "TMPDIR": str(tmp_path)}
    project = start_project(tmp_path / "project", sys.executable, environment)
    environment["DJANGO_SETTINGS_MODULE"] = "shop.settings"
    command = [sys.executable, "manage.py"]
    checked = run(
        [*command, "check", "--tag", "health_check", "--fail-level", "WARNING"], project.folder, environment=environment
    )
    assert "no issues" in checked
    warned = run([*command, "check", "--tag", "health_check", "--deploy"], project.folder, environment=environment)
    assert ("health_check.W022" in warned) is ("MAILERS" not in (project.folder / "shop" / "settings.py").read_text())
    shown = run([sys.executable, "-W", "ignore", "-c", SHOWS], project.folder, environment=environment)
    status, health, ready, metrics, page = json.loads(shown.splitlines()[-1])
    readme = (ROOT / "README.md").read_text()
    expected = json.loads(re.search(r"^\{.*\}$", readme, re.MULTILINE)[0])  # type: ignore[index]
    assert (status, ready, list(health)) == (200, 200, list(expected))
    assert {label for label, text in health.items() if text != "OK"} <= {"Mail"}
    assert health["Mail"] == "OK" or health["Mail"].startswith("warning: mail is not set up")
    assert re.search(r"<title>\s*✓ ", page)
    for name in re.findall(r"^(django_health_check_\w+\{[^}]*\})", readme, re.MULTILINE):
        assert f"{name} " in metrics


@pytest.mark.server
@pytest.mark.packaging
def test_first_five_minutes(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty folder, the wheel, the README, real servers, a broken database: and somebody is told."""
    with capsys.disabled(), contextlib.ExitStack() as stack:
        print()
        told = stack.enter_context(receiver())
        with step("build the wheel"):
            wheel = build_wheel(tmp_path / "dist")
        with step("install it"):
            python = str(python_with(wheel, tmp_path / "environment"))
        with step("start a project, and do what the README says"):
            project = start_project(tmp_path / "project", python)
            run([python, "manage.py", "migrate", "--verbosity=0"], project.folder)
        lines = sum(project.edited.values())
        print(f"edited: {len(project.edited)} files, {lines} lines")
        assert (len(project.edited), lines <= MOST_LINES) == (MOST_FILES, True)
        environment = {"PYTHONPATH": "", "TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]}
        with step("serve it with gunicorn, until the first page"):
            command = [python, "-m", "gunicorn", "--bind=127.0.0.1:0", "--no-control-socket", "shop.wsgi"]
            site = stack.enter_context(running(command, project.folder, environment))
            site.url = await_output(site, r"Listening at: (http://127\.0\.0\.1:\d+)")[1]
            await_answer(site, "/health/")
        run([python, "-m", "health_check.ping", f"{site.url}/health/ready/"], project.folder)
        with step("write the monitoring"):
            where = [f"--target={site.address}", f"--probe={site.url}/health/", f"--webhook={told.url}", "--job=shop"]
            quick = [f"--{option}" for option in QUICK]
            run([python, "-m", "health_check_dashboards", *where, *quick], project.folder)
        monitoring = project.folder / "monitoring"
        with step("start Prometheus and Alertmanager, until the first scrape"):
            manager = stack.enter_context(
                alertmanager(tmp_path / "am", monitoring / "alertmanager" / "alertmanager.yml")
            )
            configuration = monitoring / "prometheus" / "prometheus.yml"
            replaced(configuration, [("alertmanager:9093", manager.address)])
            scraper = stack.enter_context(prometheus(tmp_path / "prometheus", configuration))
            eventually(
                lambda: query(scraper, 'django_health_check_status{check="Database"}') != [], what="the first scrape"
            )
        with step("break the database, until the webhook is called"):
            (project.folder / "db.sqlite3").unlink()
            (project.folder / "db.sqlite3").mkdir()
            eventually(lambda: ("HealthCheckFailing", "firing") in told.read(), what="the webhook to be called")
        alert = next(one for one in told.alerts if one["labels"]["alertname"] == "HealthCheckFailing")
        assert (alert["labels"]["check"], alert["labels"]["job"]) == ("Database", "shop")
        answers = [get(f"{site.url}{path}").status for path in ("/health/", "/health/live/", "/health/ready/")]
        assert answers == [500, 200, 503]
        assert "Traceback" not in site.output()
