"""A host that is drained under real servers: all its processes say so, those to come, too, and in every trouble."""

from __future__ import annotations

import contextlib
import pathlib
import signal
import time
from collections.abc import Iterator

import pytest

from tests.support.client import eventually, get
from tests.support.files import replace_by_folder
from tests.support.readiness import ReadySite, answers_of_all, samples, statuses_of_all, workers_of
from tests.support.repetitions import long
from tests.support.servers import Server, gunicorn, manage

pytestmark = pytest.mark.server

WORKERS = 2

SERVERS = {
    "gthread": ([f"--workers={WORKERS}", "--threads=2"], "tests.support.plain.wsgi"),
    "uvicorn": (
        [f"--workers={WORKERS}", "--worker-class=uvicorn_worker.UvicornWorker"],
        "tests.support.plain.asgi:application",
    ),
}
"""How gunicorn is started."""

LEARN_SECONDS = 1.0
"""How soon all processes of the host know, as is promised."""

MARGIN_SECONDS = 5.0
"""What a busy machine may add to that."""

FAULT_SECONDS = 3.0
"""How long the store is broken: longer than processes take to notice."""

PAUSE_SECONDS = 0.1
"""How long to leave the machine to others between two looks at all workers."""

READINESS = ("/ready/", "/up/")
OTHERS = ("/health/", "/health/live/", "/plain/")


def site_of(folder: pathlib.Path) -> ReadySite:
    """Return a site that shares its records in the default file."""
    return ReadySite(folder=folder, checks=["tests.support.site.checks.Counting"], max_age=10.0)


@contextlib.contextmanager
def serving(site: ReadySite, kind: str = "gthread") -> Iterator[Server]:
    """Serve the site."""
    arguments, application = SERVERS[kind]
    with gunicorn(site.folder, site.environment(), *arguments, application=application) as server:
        yield server


def drain(site: ReadySite, *arguments: str) -> tuple[int, str]:
    """Run the command, and return its exit code and what it printed."""
    done = manage(site, "health_drain", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    assert "This host is drained" not in done.stderr  # it is said once
    return done.returncode, done.stdout


def await_status(server: Server, status: int) -> float:
    """Wait until all workers answer so on the readiness endpoints, and return how many seconds that took."""
    start = time.monotonic()
    for path in READINESS:
        eventually(lambda path=path: statuses_of_all(server, path) == {status}, what=f"{status} of {path}")  # type: ignore[misc]
    return time.monotonic() - start


def assert_others_are_well(server: Server) -> None:
    """Assert that all other endpoints answer 200."""
    for path in OTHERS:
        assert statuses_of_all(server, path) == {200} if path != "/plain/" else get(server.url + path).status == 200


def one_worker_more(server: Server) -> int:
    """Have the server start one more worker, and return its process id."""
    before = workers_of(server)
    server.process.send_signal(signal.SIGTTIN)
    eventually(lambda: workers_of(server) - before, what="one more worker")
    (new,) = workers_of(server) - before
    return new


def default_file(site: ReadySite) -> pathlib.Path:
    """Return the file that the site's processes share."""
    (file,) = (site.folder / "tmp").glob("django-health-check-*/*.sqlite3")
    return file


@pytest.mark.parametrize("kind", ["gthread", long("uvicorn")])
def test_drain__all_workers_and_those_to_come(kind: str, tmp_path: pathlib.Path) -> None:
    """All workers answer 503 within a second, on readiness endpoints alone, and a new one from its first answer on."""
    site = site_of(tmp_path)
    with serving(site, kind) as server:
        await_status(server, 200)
        assert samples(server, "draining") == {"": 0}

        assert drain(site) == (0, "This host is drained: ready, up will answer 503 within a second.\n")
        seconds = await_status(server, 503)
        print(f"all workers drained after {seconds:.2f} s")
        assert seconds < LEARN_SECONDS + MARGIN_SECONDS
        assert_others_are_well(server)
        assert samples(server, "draining") == {"": 1}
        endpoints = samples(server, "endpoint_status")
        assert {name for name, value in endpoints.items() if value == 0} == {'{url_name="ready"}', '{url_name="up"}'}
        assert drain(site, "--status") == (1, "This host is drained.\n")

        new = one_worker_more(server)
        for path in READINESS:
            answers = answers_of_all(server, path)
            assert {answer.status for answer in answers[new]} == {503}
        seen = workers_of(server)
        server.process.send_signal(signal.SIGHUP)
        eventually(lambda: not workers_of(server) & seen, what="new workers in the place of all")
        assert statuses_of_all(server, "/up/") == statuses_of_all(server, "/ready/") == {503}
        assert server.output().count("This host is drained") == len(seen) + len(workers_of(server))

        assert drain(site, "--undo") == (0, "This host is no longer drained.\n")
        seconds = await_status(server, 200)
        print(f"no worker drained after {seconds:.2f} s")
        assert seconds < LEARN_SECONDS + MARGIN_SECONDS
        assert samples(server, "draining") == {"": 0}
        assert drain(site, "--status") == (0, "This host is not drained.\n")


def test_drain__before_the_server_is_started(tmp_path: pathlib.Path) -> None:
    """A site that was drained before it was started answers so from the beginning; the command that asks says so, too.

    It says so over HTTP and without.
    """
    site = site_of(tmp_path)
    assert drain(site)[0] == 0
    line = "draining                 ... unavailable: this host is drained\n"
    with serving(site) as server:
        for path in READINESS:
            answers = answers_of_all(server, path)
            assert {answer.status for several in answers.values() for answer in several} == {503}
        assert_others_are_well(server)
        asked = manage(site, "health_check", "ready", server.address)
        assert (asked.returncode, asked.stdout) == (1, f"{line}Counting                 ... OK\n")
        asked = manage(site, "health_check", "up", server.address)
        assert (asked.returncode, asked.stdout) == (1, line)
        assert manage(site, "health_check", "live", server.address).returncode == 0
        here = manage(site, "health_check")
        assert (here.returncode, here.stdout) == (1, f"{line}Counting                 ... OK\n")


def test_lost_file__is_told_by_those_that_know(tmp_path: pathlib.Path) -> None:
    """Where the records are lost the host stays drained, also for workers that come later, until it is undone."""
    site = site_of(tmp_path)
    with serving(site) as server:
        await_status(server, 200)
        drain(site)
        await_status(server, 503)
        default_file(site).unlink()
        eventually(
            lambda: statuses_of_all(server, "/ready/") == {503} and drain(site, "--status")[0] == 1,
            what="the new file to be told",
        )
        one_worker_more(server)
        assert statuses_of_all(server, "/ready/") == {503}

        default_file(site).unlink()
        assert drain(site, "--undo")[0] == 0
        await_status(server, 200)
        time_to_forget = time.monotonic() + 2 * LEARN_SECONDS
        while time.monotonic() < time_to_forget:
            assert statuses_of_all(server, "/ready/") == {200}
            time.sleep(PAUSE_SECONDS)
        assert drain(site, "--status")[0] == 0


def test_broken_store__does_not_put_the_host_back_into_service(tmp_path: pathlib.Path) -> None:
    """While the records cannot be read a drained host stays so; the command says that it can do nothing."""
    site = site_of(tmp_path)
    with serving(site) as server:
        await_status(server, 200)
        drain(site)
        await_status(server, 503)
        file = default_file(site)
        replace_by_folder(file)
        eventually(lambda: samples(server, "store_up") == {"": 0}, what="the store to be down")
        broken_until = time.monotonic() + FAULT_SECONDS
        while time.monotonic() < broken_until:
            assert statuses_of_all(server, "/ready/") == statuses_of_all(server, "/up/") == {503}
            assert get(f"{server.url}/health/live/").status == 200
            assert samples(server, "draining") == {"": 1}
            time.sleep(PAUSE_SECONDS)
        assert drain(site, "--undo") == (2, "")
        assert drain(site, "--status") == (2, "")
        assert statuses_of_all(server, "/ready/") == {503}

        file.rmdir()
        eventually(
            lambda: statuses_of_all(server, "/ready/") == {503} and drain(site, "--status")[0] == 1,
            what="the new file to be told",
        )
        assert statuses_of_all(server, "/ready/") == {503}
        assert drain(site, "--undo")[0] == 0
        await_status(server, 200)
