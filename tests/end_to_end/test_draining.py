"""A host that is drained under real servers: all its processes say so, those to come, too, and in every trouble."""

from __future__ import annotations

import pathlib
import signal
import time

import pytest

from tests.support.client import eventually, get
from tests.support.files import replace_by_folder
from tests.support.readiness import READY, answers_of_all, samples, statuses_of_all, workers_of
from tests.support.repetitions import long
from tests.support.servers import Server, gunicorn, manage
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

SERVERS = {
    "gthread": (["--workers=2", "--threads=2"], "tests.support.plain.wsgi"),
    "uvicorn": (
        ["--workers=2", "--worker-class=uvicorn_worker.UvicornWorker"],
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

PAUSE_SECONDS = 0.2
"""How long to leave the machine to others between two looks at all workers."""

READINESS = ("/ready/", "/up/")
LINE = "draining                 ... unavailable: this host is drained\n"
COUNTING = "Counting                 ... OK\n"


def drain(site: Site, *arguments: str) -> tuple[int, str]:
    """Run the command, and return its exit code and what it printed."""
    done = manage(site, "health_drain", *arguments)
    assert "Traceback" not in done.stderr, done.stderr
    assert "This host is drained" not in done.stderr  # it is said once
    return done.returncode, done.stdout


def says(server: Server, status: int) -> bool:
    """Tell whether all workers answer so on the readiness endpoints."""
    return all(statuses_of_all(server, path) == {status} for path in READINESS)


def await_status(server: Server, status: int) -> None:
    """Wait until they do, which is soon."""
    start = time.monotonic()
    eventually(lambda: says(server, status), what=f"{status} of all")
    seconds = time.monotonic() - start
    print(f"{status} of all after {seconds:.2f} s")
    assert seconds < LEARN_SECONDS + MARGIN_SECONDS


def default_file(site: Site) -> pathlib.Path:
    """Return the file that the site's processes share."""
    (file,) = (site.folder / "tmp").glob("django-health-check-*/*.sqlite3")
    return file


@pytest.mark.parametrize("kind", ["gthread", long("uvicorn")])
def test_drained_host__says_so_whatever_happens(kind: str, tmp_path: pathlib.Path) -> None:
    """It was drained before its server was started; workers come and are renewed, its records break and are lost."""
    site = Site(settings=READY, folder=tmp_path, checks=["tests.support.site.checks.Counting"], max_age=10.0)
    assert drain(site) == (0, "This host is drained: ready, up will answer 503 within a second.\n")
    arguments, application = SERVERS[kind]
    with gunicorn(site.folder, site.environment(), *arguments, application=application) as server:
        assert says(server, 503)
        endpoints_and_commands_say_so(site, server)
        new_workers_say_so(server)
        a_broken_store_changes_nothing(site, server)
        a_lost_file_is_told_by_those_that_know(site, server)
        assert drain(site) == (0, "This host is drained: ready, up will answer 503 within a second.\n")
        await_status(server, 503)


def endpoints_and_commands_say_so(site: Site, server: Server) -> None:
    """Only readiness endpoints answer 503; what asks for one says why, over HTTP and without."""
    for path in ("/health/", "/health/live/"):
        assert statuses_of_all(server, path) == {200}
    assert get(f"{server.url}/plain/").status == 200
    assert samples(server, "draining") == {"": 1}
    endpoints = samples(server, "endpoint_status")
    assert {name for name, value in endpoints.items() if value == 0} == {'{url_name="ready"}', '{url_name="up"}'}
    assert drain(site, "--status") == (1, "This host is drained.\n")
    asked = {("ready", server.address): f"{LINE}{COUNTING}", ("up", server.address): LINE, (): f"{LINE}{COUNTING}"}
    for arguments, text in asked.items():
        done = manage(site, "health_check", *arguments)
        assert (done.returncode, done.stdout) == (1, text)


def new_workers_say_so(server: Server) -> None:
    """One worker more, and those that take the place of all, know from their first answer on."""
    before = workers_of(server)
    server.process.send_signal(signal.SIGTTIN)
    eventually(lambda: workers_of(server) - before, what="one more worker")
    (new,) = workers_of(server) - before
    for path in READINESS:
        assert {answer.status for answer in answers_of_all(server, path)[new]} == {503}
    seen = workers_of(server)
    server.process.send_signal(signal.SIGHUP)  # after which there are as many as at first
    eventually(lambda: not workers_of(server) & seen, what="new workers in the place of all")
    assert says(server, 503)
    assert server.output().count("This host is drained") == len(seen) + len(workers_of(server))


def a_broken_store_changes_nothing(site: Site, server: Server) -> None:
    """While the records cannot be read the host stays drained; the command says that it can do nothing."""
    file = default_file(site)
    replace_by_folder(file)
    eventually(lambda: samples(server, "store_up") == {"": 0}, what="the store to be down")
    broken_until = time.monotonic() + FAULT_SECONDS
    while time.monotonic() < broken_until:
        assert says(server, 503)
        assert get(f"{server.url}/health/live/").status == 200
        assert samples(server, "draining") == {"": 1}
        time.sleep(PAUSE_SECONDS)
    assert drain(site, "--undo") == (2, "")
    assert drain(site, "--status") == (2, "")
    assert says(server, 503)
    file.rmdir()
    await_told(site, server)


def await_told(site: Site, server: Server) -> None:
    """Wait until the processes that know have told a new file, and assert that nobody was wrong meanwhile."""
    eventually(lambda: statuses_of_all(server, "/ready/") == {503} and drain(site, "--status")[0] == 1, what="the file")
    assert says(server, 503)


def a_lost_file_is_told_by_those_that_know(site: Site, server: Server) -> None:
    """Where the records are lost the host stays drained until that is undone, which stays so, too."""
    default_file(site).unlink()
    await_told(site, server)
    default_file(site).unlink()
    assert drain(site, "--undo") == (0, "This host is no longer drained.\n")
    await_status(server, 200)
    time_to_forget = time.monotonic() + 2 * LEARN_SECONDS
    while time.monotonic() < time_to_forget:
        assert statuses_of_all(server, "/ready/") == {200}
        time.sleep(PAUSE_SECONDS)
    assert samples(server, "draining") == {"": 0}
    assert drain(site, "--status") == (0, "This host is not drained.\n")
