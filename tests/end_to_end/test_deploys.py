"""What endpoints say while a site is deployed: nobody is told of what was true before, and no counter starts again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from django.core import mail

from tests.support.caches import redis_server
from tests.support.client import eventually, get
from tests.support.readiness import answers_of_all, renew_workers
from tests.support.repetitions import LONG, long
from tests.support.servers import Server, clean_environment, manage, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

CHECKS = "tests.support.site.checks"
MAX_AGE = 60.0
"""So long that nothing expires meanwhile."""

WORKERS = ("--workers=2", "--threads=2")

SECONDS = 60.0 if LONG else 4.0
"""How long two releases, or workers that come and go, are watched."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What an endpoint said at a moment."""

    at: float
    """When it was asked, on the monotonic clock."""
    status: int
    """Its status code."""
    body: str
    """Its body."""


@contextlib.contextmanager
def watched(**urls: str) -> Iterator[dict[str, list[Said]]]:
    """Ask some URLs ten times a second meanwhile."""
    said: dict[str, list[Said]] = {name: [] for name in urls}
    done = threading.Event()

    def watch(name: str) -> None:
        while not done.wait(0.1):
            at = time.monotonic()
            with contextlib.suppress(ConnectionError):
                answer = get(urls[name])
                said[name].append(Said(at=at, status=answer.status, body=answer.body))

    threads = [threading.Thread(target=watch, args=(name,)) for name in urls]
    for thread in threads:
        thread.start()
    try:
        yield said
        eventually(lambda: all(said.values()), what="an answer from each URL")
    finally:
        done.set()
        for thread in threads:
            thread.join()


def first_answers(server: Server) -> set[int]:
    """Return the status codes of the first answers of a server, which several workers give."""
    return {get(f"{server.url}/health/").status for _ in range(12)}


APPS = ("django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sites")
SMTP = "django.core.mail.backends.smtp.EmailBackend"
NEWEST = {"MAILERS": {"default": {"BACKEND": SMTP, "OPTIONS": {"host": "127.0.0.1", "port": 9}}}}
WRONG = NEWEST if hasattr(mail, "mailers") else {"EMAIL_BACKEND": SMTP, "EMAIL_PORT": 9}
"""Settings of a mail server that is not there."""


@pytest.mark.parametrize("way", ["--preload", long("--worker-class=gevent")])
def test_restart__nobody_is_told_what_was_true_before(tmp_path: pathlib.Path, way: str) -> None:
    """After ``migrate``, corrected settings and a restart a site is 200 from its first answer on, after one run.

    A new release that needs another migration is 500 from its first answer.
    """
    checks = ["health_check.checks.Migrations", "health_check.Mail", f"{CHECKS}.FailingWhile"]
    old, fixed, new = (
        Site(folder=tmp_path, checks=checks, max_age=MAX_AGE, settings={"INSTALLED_APPS": apps, **more})
        for apps, more in ((APPS[:2], WRONG), (APPS[:2], {}), (APPS, {}))
    )
    (tmp_path / "broken").touch()
    with site_under_gunicorn(old, *WORKERS, way) as server:
        assert {text == "OK" for text in get(f"{server.url}/health/", format="json").json().values()} == {False}
        migrated = manage(old, "migrate")
        assert migrated.returncode == 0, migrated.stderr
        (tmp_path / "broken").unlink()
        assert first_answers(server) == {500}  # it is known for a minute: that is what max_age says
    before = len(noted_runs(tmp_path, "FailingWhile"))
    with site_under_gunicorn(fixed, *WORKERS, way) as server:
        assert first_answers(server) == {200}
        assert len(noted_runs(tmp_path, "FailingWhile")) == before + 1
    with site_under_gunicorn(new, *WORKERS, way) as server:
        assert first_answers(server) == {500}


CODE = """
from health_check.exceptions import ServiceUnavailable
from tests.support.site.checks import Noting

class Deployed(Noting):
    def check_status(self):
        self.note()
        if {fails}:
            raise ServiceUnavailable("this code finds fault")
"""


@pytest.mark.parametrize(("arguments", "reloads"), [((), True), long(("--preload",), False)])
def test_reload__of_new_code(tmp_path: pathlib.Path, arguments: tuple[str, ...], reloads: bool) -> None:
    """``kill -HUP`` that loads new code is a start: each check runs once for all workers. Preloaded code stays."""
    code = tmp_path / "deployed.py"
    code.write_text(CODE.format(fails=False))
    site = Site(folder=tmp_path, checks=["deployed.Deployed"], max_age=MAX_AGE)
    with site_under_gunicorn(site, *WORKERS, *arguments) as server:
        assert "OK" in said(server)
        code.write_text(CODE.format(fails=True))
        os.utime(code, (1, 1))  # as where a deploy keeps the times of files
        renew_workers(server)
        assert ("OK" in said(server)) is not reloads
        assert len(noted_runs(tmp_path, "Deployed")) == 1 + reloads


def said(server: Server) -> set[str]:
    """Return what the workers say of the check."""
    answers = answers_of_all(server, "/health/").values()
    return {answer.json()["Deployed"] for of_worker in answers for answer in of_worker}


def test_two_releases_side_by_side(tmp_path: pathlib.Path) -> None:
    """During a rollout each release shows its own results, runs once per max_age, and no counter goes back."""
    store = {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {"path": f"{tmp_path}/health.sqlite3"}}
    old, new = (
        Site(
            folder=tmp_path,
            checks=[f"{CHECKS}.FailingIn"],
            max_age=1.0,
            health_check={"RELEASE": release, "SITE": "shop", "STORE": store},
        )
        for release in ("1", "2")
    )
    with site_under_gunicorn(old, *WORKERS) as first:
        assert first_answers(first) == {200}
        with site_under_gunicorn(new, *WORKERS) as second:
            pages = {"old": f"{first.url}/health/", "new": f"{second.url}/health/"}
            with watched(**pages, metrics=f"{first.url}/metrics", new_metrics=f"{second.url}/metrics") as said:
                start, before = time.monotonic(), len(noted_runs(tmp_path, "FailingIn"))
                time.sleep(SECONDS)
                taken = time.monotonic() - start
                runs = len(noted_runs(tmp_path, "FailingIn")) - before
    assert {one.status for one in said["old"]} == {200}
    assert {one.status for one in said["new"]} == {500}
    assert runs <= 2 * (taken + 2)
    assert_counters_go_on([*said["metrics"], *said["new_metrics"]], at_least=runs - 2)


def assert_counters_go_on(scrapes: list[Said], *, at_least: float) -> None:
    """Assert that no counter is less than it was a second before: pages asked for at once may overtake."""
    readings = [counted(one.body) for one in sorted(scrapes, key=lambda one: one.at)]
    for number, reading in enumerate(readings):
        for name, value in reading.items():
            earlier = [former[name] for former in readings[: max(0, number - 20)] if name in former]
            assert value >= max(earlier, default=0.0), f"{name} at {number}"
    assert max(sum(reading.values()) for reading in readings) >= at_least


def counted(body: str) -> dict[str, float]:
    """Return how many runs a metrics page counts, by outcome; nothing where it shows no counters."""
    found = re.findall(r'(?m)^django_health_check_runs_total{.*outcome="(\w+)"} (\S+)$', body)
    return {outcome: float(value) for outcome, value in found}


def test_forced_run__all_servers_show_it(tmp_path: pathlib.Path) -> None:
    """When ``health_check --fresh`` returns, all workers of two hosts on Redis show what it has found.

    With ``--wait-until ok`` it waits until all is well.
    """
    broken = tmp_path / "broken"
    with redis_server(tmp_path / "redis") as redis, contextlib.ExitStack() as stack:
        sites = [
            Site(
                folder=tmp_path,
                checks=[f"{CHECKS}.FleetWhile"],
                max_age=MAX_AGE,
                caches={"default": redis.configuration()},
                health_check={
                    "SITE": "shop",
                    "STORE": {
                        "BACKEND": "health_check.stores.cache.DjangoCacheStore",
                        "OPTIONS": {"host": name},
                    },
                },
            )
            for name in ("east", "west")
        ]
        broken.touch()
        servers = [stack.enter_context(site_under_gunicorn(site, *WORKERS)) for site in sites]
        assert {status for server in servers for status in first_answers(server)} == {500}
        broken.unlink()
        with watched(east=f"{servers[0].url}/health/", west=f"{servers[1].url}/health/") as said:
            done = manage(sites[0], "health_check", "--check", "FleetWhile", "--fresh")
            returned = time.monotonic()
            time.sleep(1.0)
        assert done.returncode == 0, done.stderr
        for name, answers in said.items():
            assert {one.status for one in answers if one.at > returned} == {200}, name
        assert len(noted_runs(tmp_path, "FleetWhile")) == 2

        broken.touch()
        arguments = ["health_check", "/health/", servers[0].address, "--fresh", "--wait-until", "ok", "--for"]
        assert manage(sites[0], *arguments, "0.5").returncode == 1
        command = subprocess.Popen(
            [sys.executable, "-m", "django", *arguments, "60"],
            cwd=tmp_path,
            env={**clean_environment(), **sites[0].environment()},
            stdout=subprocess.PIPE,
            text=True,
        )
        with command:
            runs = len(noted_runs(tmp_path, "FleetWhile"))
            eventually(lambda: len(noted_runs(tmp_path, "FleetWhile")) > runs, what="a run that fails")
            broken.unlink()
            output, _ = command.communicate(timeout=60)
        assert (command.returncode, output.strip()) == (0, "FleetWhile               ... OK")


def test_settings_that_differ_from_process_to_process(tmp_path: pathlib.Path) -> None:
    """Workers that come and go, each with a key and options of its own, are one site: one file, and counts go on."""
    store = {"STORE": {"BACKEND": "health_check.stores.sqlite.SQLiteStore"}}
    checks = [f"{CHECKS}.Counting"]
    site = Site(folder=tmp_path, checks=checks, max_age=0.5, random_settings=True, health_check=store)
    with (
        site_under_gunicorn(site, *WORKERS, "--max-requests=25") as server,
        watched(health=f"{server.url}/health/", metrics=f"{server.url}/metrics") as said,
    ):
        start = time.monotonic()
        eventually(lambda: server.output().count("Booting worker") > 3, what="workers that replace others")
        time.sleep(2.0)
        taken = time.monotonic() - start
        runs = len(noted_runs(tmp_path, "Counting"))
    assert {one.status for one in said["health"]} == {200}
    assert runs <= taken / 0.5 + 4
    assert_counters_go_on(said["metrics"], at_least=runs - 4)
    assert len(list((tmp_path / "tmp").glob("django-health-check-*/*.sqlite3"))) == 1
