"""What endpoints say while a site is deployed: nobody is told of what was true before, and no counter starts again."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping

import pytest
from django.core import mail

from tests.support.caches import redis_server
from tests.support.client import eventually, get
from tests.support.repetitions import LONG, long
from tests.support.servers import Server, clean_environment, manage, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

CHECKS = "tests.support.site.checks"
MAX_AGE = 60.0
"""So long that nothing expires meanwhile."""

WORKERS = ("--workers=2", "--threads=2")
SHOWN_SECONDS = 2.0
"""Within how long all servers show what a forced run has found, as is promised."""


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
    """Ask some URLs ten times a second meanwhile, and print what each said in each second, for who reads a failure."""
    said: dict[str, list[Said]] = {name: [] for name in urls}
    done, start = threading.Event(), time.monotonic()

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
        for name, answers in said.items():
            print(f"{name:>12}", *_by_second(answers, start))


def _by_second(answers: list[Said], start: float) -> list[str]:
    """Return the status codes of each second."""
    seconds: dict[int, set[int]] = {}
    for one in answers:
        seconds.setdefault(int(one.at - start), set()).add(one.status)
    return ["/".join(map(str, sorted(statuses))) for _, statuses in sorted(seconds.items())]


def first_answers(server: Server, path: str = "/health/", *, asked: int = 12) -> set[int]:
    """Return the status codes of the first answers of a server, which several workers give."""
    return {get(f"{server.url}{path}").status for _ in range(asked)}


APPS = ("django.contrib.contenttypes", "django.contrib.auth")


def site_with_apps(folder: pathlib.Path, *apps: str) -> Site:
    """Return a site that has these apps, and looks for migrations that are not applied."""
    checks, settings = ["health_check.checks.Migrations"], {"INSTALLED_APPS": apps}
    return Site(folder=folder, checks=checks, max_age=MAX_AGE, settings=settings)


def test_migrate_and_restart(tmp_path: pathlib.Path) -> None:
    """A site with a pending migration is 500; from the first answer after ``migrate`` and a restart it is 200."""
    site = site_with_apps(tmp_path, *APPS)
    with site_under_gunicorn(site, *WORKERS) as server, watched(before=f"{server.url}/health/") as said:
        assert first_answers(server) == {500}
        migrated = manage(site, "migrate")
        assert migrated.returncode == 0, migrated.stderr
        assert first_answers(server) == {500}  # it is known for a minute: that is what max_age says
    with site_under_gunicorn(site, *WORKERS) as server, watched(after=f"{server.url}/health/") as said_after:
        assert first_answers(server) == {200}
    assert {one.status for one in said["before"]} == {500}
    assert {one.status for one in said_after["after"]} == {200}


def test_release_with_an_unapplied_migration(tmp_path: pathlib.Path) -> None:
    """A new release that needs a migration is 500 from its first answer, though the one before it was 200."""
    old, new = site_with_apps(tmp_path, *APPS[:1]), site_with_apps(tmp_path, *APPS)
    assert manage(old, "migrate").returncode == 0
    with site_under_gunicorn(old, *WORKERS) as server, watched(before=f"{server.url}/health/") as said:
        assert first_answers(server) == {200}
    with site_under_gunicorn(new, *WORKERS) as server, watched(after=f"{server.url}/health/") as said_after:
        assert first_answers(server) == {500}
    assert {one.status for one in said["before"]} == {200}
    assert {one.status for one in said_after["after"]} == {500}


@pytest.mark.parametrize("arguments", ["--preload", long("--worker-class=gevent")])
def test_restart__other_ways_to_serve(tmp_path: pathlib.Path, arguments: str) -> None:
    """However workers are made, the first answers after a restart are of a run after it: one for all workers."""
    site = Site(folder=tmp_path, checks=[f"{CHECKS}.FailingWhile"], max_age=MAX_AGE)
    (tmp_path / "broken").touch()
    with site_under_gunicorn(site, *WORKERS, arguments) as server:
        assert first_answers(server) == {500}
    (tmp_path / "broken").unlink()
    before = len(noted_runs(tmp_path, "FailingWhile"))
    with site_under_gunicorn(site, *WORKERS, arguments) as server:
        assert first_answers(server) == {200}
        assert len(noted_runs(tmp_path, "FailingWhile")) == before + 1


def test_corrected_settings(tmp_path: pathlib.Path) -> None:
    """A site whose mail server was not configured is 200 from the first answer after that is corrected."""
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    newest = {"MAILERS": {"default": {"BACKEND": smtp, "OPTIONS": {"host": "127.0.0.1", "port": 9}}}}
    settings = newest if hasattr(mail, "mailers") else {"EMAIL_BACKEND": smtp, "EMAIL_PORT": 9}
    wrong = Site(folder=tmp_path, checks=["health_check.Mail"], max_age=MAX_AGE, settings=settings)
    with site_under_gunicorn(wrong, *WORKERS) as server:
        assert first_answers(server) == {500}
    with site_under_gunicorn(dataclasses.replace(wrong, settings={}), *WORKERS) as server:
        assert first_answers(server) == {200}


def test_two_releases_side_by_side(tmp_path: pathlib.Path) -> None:
    """During a rollout each release shows its own results, runs once per max_age, and no counter goes back."""
    max_age, seconds = 1.0, 60.0 if LONG else 5.0
    sites = {
        release: Site(
            folder=tmp_path, checks=[f"{CHECKS}.FailingIn"], max_age=max_age, health_check=sharing(tmp_path, release)
        )
        for release in ("1", "2")
    }
    with site_under_gunicorn(sites["1"], *WORKERS) as old:
        assert first_answers(old) == {200}
        with (
            site_under_gunicorn(sites["2"], *WORKERS) as new,
            watched(
                old=f"{old.url}/health/",
                new=f"{new.url}/health/",
                metrics_of_old=f"{old.url}/metrics",
                metrics_of_new=f"{new.url}/metrics",
            ) as said,
        ):
            start, before = time.monotonic(), len(noted_runs(tmp_path, "FailingIn"))
            eventually(lambda: time.monotonic() > start + seconds, what="some seconds to go by")
            taken = time.monotonic() - start
            runs = len(noted_runs(tmp_path, "FailingIn")) - before
    assert {one.status for one in said["old"]} == {200}
    assert {one.status for one in said["new"]} == {500}
    assert runs <= 2 * (taken / max_age + 2)
    metrics = sorted([*said["metrics_of_old"], *said["metrics_of_new"]], key=lambda one: one.at)
    assert went_back([counted(one.body) for one in metrics]) == []
    assert max(map(sum, (counted(one.body).values() for one in metrics))) >= runs - 2


def sharing(folder: pathlib.Path, release: str) -> dict[str, object]:
    """Return the settings of a release of a site whose releases share a file."""
    backend = "health_check.stores.sqlite.SQLiteStore"
    store = {"BACKEND": backend, "OPTIONS": {"path": str(folder / "health.sqlite3")}}
    return {"RELEASE": release, "SITE": "shop", "STORE": store}


def counted(body: str) -> dict[str, float]:
    """Return how many runs a metrics page counts, by outcome; nothing where it shows no counters."""
    return {
        outcome: float(value)
        for outcome, value in re.findall(r'(?m)^django_health_check_runs_total{.*outcome="(\w+)"} (\S+)$', body)
    }


def went_back(readings: list[dict[str, float]]) -> list[str]:
    """Return where a counter is less than it was a second before: pages that were asked for at once may overtake."""
    found = []
    for number, reading in enumerate(readings):
        for name, value in reading.items():
            if any(earlier.get(name, 0.0) > value for earlier in readings[: max(0, number - 20)]):
                found.append(f"{name} {value} at {number}")
    return found


def test_forced_run__all_servers_show_it(tmp_path: pathlib.Path) -> None:
    """When ``health_check --fresh`` returns, all workers of two hosts on Redis show what it has found."""
    with redis_server(tmp_path / "redis") as redis, contextlib.ExitStack() as stack:
        sites = {
            name: Site(
                folder=tmp_path,
                checks=[f"{CHECKS}.FleetWhile"],
                max_age=MAX_AGE,
                caches={"default": redis.configuration()},
                health_check={"SITE": "shop", "STORE": on_cache(name)},
            )
            for name in ("east", "west")
        }
        (tmp_path / "broken").touch()
        servers = {name: stack.enter_context(site_under_gunicorn(site, *WORKERS)) for name, site in sites.items()}
        assert {status for server in servers.values() for status in first_answers(server)} == {500}
        (tmp_path / "broken").unlink()
        with watched(**{name: f"{server.url}/health/" for name, server in servers.items()}) as said:
            done = manage(sites["east"], "health_check", "--check", "FleetWhile", "--fresh")
            returned = time.monotonic()
            eventually(lambda: time.monotonic() > returned + 1.0, what="a second to go by")
    assert done.returncode == 0, done.stderr
    for name, answers in said.items():
        after = [one.status for one in answers if one.at > returned]
        assert set(after) == {200}, name
    assert len(noted_runs(tmp_path, "FleetWhile")) == 2


def on_cache(host: str) -> Mapping[str, object]:
    """Return the store of a host of a fleet."""
    return {"BACKEND": "health_check.stores.cache.DjangoCacheStore", "OPTIONS": {"host": host}}


def test_forced_run__at_the_end_of_a_deploy(tmp_path: pathlib.Path) -> None:
    """``health_check NAME --fresh --wait-until ok`` waits until the server says that all is well."""
    site = Site(folder=tmp_path, checks=[f"{CHECKS}.FailingWhile"], max_age=MAX_AGE)
    (tmp_path / "broken").touch()
    with site_under_gunicorn(site, *WORKERS) as server:
        assert first_answers(server) == {500}
        arguments = ["health_check", "/health/", server.address, "--fresh", "--wait-until", "ok", "--for"]
        assert manage(site, *arguments, "0.5").returncode == 1
        command = subprocess.Popen(
            [sys.executable, "-m", "django", *arguments, "60"],
            cwd=tmp_path,
            env={**clean_environment(), **site.environment()},
            stdout=subprocess.PIPE,
            text=True,
        )
        with command:
            runs = len(noted_runs(tmp_path, "FailingWhile"))
            eventually(lambda: len(noted_runs(tmp_path, "FailingWhile")) > runs, what="a run that fails")
            (tmp_path / "broken").unlink()
            output, _ = command.communicate(timeout=60)
        assert (command.returncode, output.strip()) == (0, "FailingWhile             ... OK")
        assert first_answers(server) == {200}


def test_settings_that_differ_from_process_to_process(tmp_path: pathlib.Path) -> None:
    """Workers that come and go, each with a key and options of its own, are one site: one file, and counts go on."""
    site = Site(folder=tmp_path, checks=[f"{CHECKS}.Counting"], max_age=0.5, random_settings=True)
    store = {"STORE": {"BACKEND": "health_check.stores.sqlite.SQLiteStore"}}
    site = dataclasses.replace(site, health_check=store)
    with (
        site_under_gunicorn(site, "--workers=2", "--threads=2", "--max-requests=25") as server,
        watched(health=f"{server.url}/health/", metrics=f"{server.url}/metrics") as said,
    ):
        start = time.monotonic()
        for _ in range(60):
            with contextlib.suppress(ConnectionError):
                get(f"{server.url}/health/")
        eventually(lambda: time.monotonic() > start + 3.0, what="some seconds to go by")
        taken = time.monotonic() - start
        runs = len(noted_runs(tmp_path, "Counting"))
    assert server.output().count("Booting worker") > 3
    assert {one.status for one in said["health"]} == {200}
    assert runs <= taken / 0.5 + 4
    readings = [counted(one.body) for one in sorted(said["metrics"], key=lambda one: one.at)]
    assert went_back(readings) == []
    assert max(sum(reading.values()) for reading in readings) >= runs - 4
    assert len(list((tmp_path / "tmp").glob("django-health-check-*/*.sqlite3"))) == 1
