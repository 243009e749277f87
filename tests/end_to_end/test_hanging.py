"""A check that hangs costs one thread, never the page."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import pathlib
import signal
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.support.client import Answer, Lag, eventually, get, get_at_once, send
from tests.support.repetitions import long
from tests.support.servers import STOP_SECONDS, Server, site_under_gunicorn, uvicorn, worker_of
from tests.support.site.checks import noted_runs, release
from tests.support.site.configuration import Site
from tests.support.site.views import THREADS

pytestmark = pytest.mark.server

TIMEOUT = 1
TIMED_OUT = f"unavailable: timed out after {TIMEOUT} s"

STUCK = ["Hang", "HangOnLoop", "HangOffLoop", "HangDeaf"]
"""Checks that nothing can end: a thread, a blocked event loop, a thread behind a coroutine, a deaf coroutine."""

OTHERS = ["Counting", "CountingAsync", "SlowAsync"]
IN_ORDER = dict.fromkeys(OTHERS, "OK")

SCRAPE_WAIT_SECONDS = 2.0
"""``HEALTH_CHECK["SCRAPE_WAIT"]`` unless configured."""

QUICK_SECONDS = 0.5
"""How long an answer may take that waits for no check."""


def site_with(folder: pathlib.Path, name: str, *, timeout: float = TIMEOUT) -> Site:
    """Return a site with a check that hangs, among others that do not."""
    hanging = [f"tests.support.site.checks.{name}", {"timeout": timeout}]
    others = [f"tests.support.site.checks.{other}" for other in OTHERS]
    return Site(folder=folder, checks=[others[0], hanging, *others[1:]], others=others)


@dataclasses.dataclass(kw_only=True)
class Scene:
    """A server with a check that hangs."""

    name: str
    """The class of the check."""
    site: Site
    """The site."""
    server: Server
    """Serves it."""
    lag: Lag
    """How late this machine is."""

    def health(self) -> dict[str, str]:
        """Return what ``/health/`` says, which is never that all is in order."""
        answer = get(f"{self.server.url}/health/", format="json")
        assert answer.status == 500
        found: dict[str, str] = answer.json()
        return found

    @property
    def starts(self) -> int:
        """How often the check was started."""
        return len(noted_runs(self.site.folder, self.name))


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Scene]:
    """A site under gunicorn with the check that the test names; its threads are there, its checks have not run."""
    site, lag = site_with(tmp_path, request.param), Lag()
    with site_under_gunicorn(site) as server:
        get_at_once([f"{server.url}/gather/"] * THREADS)
        with lag.measured():
            yield Scene(name=request.param, site=site, server=server, lag=lag)


def while_waiting(urls: list[str], answer_of: Callable[[], Answer]) -> tuple[Answer, list[Answer]]:
    """Return an answer that takes its time, and those of other URLs asked for meanwhile."""
    meanwhile: list[Answer] = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(answer_of)
        while not waiting.done():
            meanwhile += [get(url) for url in urls]
            time.sleep(0.02)
        return waiting.result(), meanwhile


@pytest.mark.parametrize("scene", STUCK, indirect=True)
def test_hanging_check__costs_one_thread_and_nothing_else(scene: Scene) -> None:
    """The page answers in time, tells what hangs, starts it no more, all else goes on, and the process ends at once."""
    url, worker = scene.server.url, worker_of(scene.server)
    assert get(f"{url}/others/", format="json").json() == IN_ORDER
    threads_before = worker.num_threads()

    first, meanwhile = while_waiting(
        [f"{url}/nowhere/", f"{url}/health/live/"], lambda: get(f"{url}/health/", format="json")
    )

    assert first.status == 500
    assert first.json() == {scene.name: TIMED_OUT, **IN_ORDER}
    assert first.seconds < TIMEOUT + 1 + scene.lag.slack
    assert {answer.status for answer in meanwhile} == {404, 200}
    assert max(answer.seconds for answer in meanwhile) < QUICK_SECONDS + scene.lag.slack

    runs_before = len(noted_runs(scene.site.folder, "Counting"))
    eventually(lambda: "still running, started" in said_of_hanging(scene), what="the page to say: still running")
    eventually(
        lambda: said_of_hanging(scene) and len(noted_runs(scene.site.folder, "Counting")) >= runs_before + 2,
        what="the other checks to be run again",
    )
    assert scene.starts == 1
    assert threads_of(worker) <= threads_before + 2  # the one that hangs, and the one that logs
    assert sample(scene, "status") == sample(scene, 'runs_total{outcome="ok"}') == 0
    assert sample(scene, "in_progress") == sample(scene, 'runs_total{outcome="timeout"}') == 1
    code, seconds = scene.server.stop()
    assert code == 0
    assert seconds < 3 + scene.lag.slack < STOP_SECONDS, "it holds up the exit"


def said_of_hanging(scene: Scene) -> str:
    """Return what the page says of the check that hangs, having checked that it takes no time to say so."""
    answer = get(f"{scene.server.url}/health/", format="json")
    assert answer.status == 500
    assert answer.seconds < QUICK_SECONDS + scene.lag.slack
    said: dict[str, str] = answer.json()
    assert {label: said[label] for label in OTHERS} == IN_ORDER
    return said[scene.name]


def threads_of(process: psutil.Process) -> int:
    """Return how many threads a process has, as ``/proc/PID/status`` tells."""
    return process.num_threads()


def sample(scene: Scene, name: str) -> float:
    """Return a sample of the check that hangs."""
    metric, _, more = name.rstrip("}").partition("{")
    labels = f'check="{scene.name}"{"," + more if more else ""}'
    start = f"django_health_check_{metric}{{{labels}}} "
    (line,) = [line for line in get(f"{scene.server.url}/metrics").body.splitlines() if line.startswith(start)]
    return float(line.removeprefix(start))


@pytest.mark.parametrize("scene", [long("Hang"), "HangOnLoop", long("HangOffLoop"), "HangDeaf"], indirect=True)
def test_hanging_check__runs_again_once_it_has_returned(scene: Scene) -> None:
    """A check that hung and came back is as good as any other."""
    assert scene.health() == {scene.name: TIMED_OUT, **IN_ORDER}
    release(scene.site.folder)
    eventually(
        lambda: get(f"{scene.server.url}/health/", format="json").json() == {scene.name: "OK", **IN_ORDER},
        what="the check to be in order again",
    )
    assert scene.starts == 2


def test_hanging_check__costs_no_scrape_at_its_deadline(tmp_path: pathlib.Path) -> None:
    """A scrape gets all series even while the outcome is just being noted, which a slow exporter of spans prolongs."""
    site = dataclasses.replace(site_with(tmp_path, "Hang"), spans=True, export_seconds=0.3)
    with site_under_gunicorn(site) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(get, f"{server.url}/health/", format="json")
        while not first.done():
            impatient = {"X-Prometheus-Scrape-Timeout-Seconds": "0.1"}
            scrape = send("GET", f"{server.url}/metrics", headers=impatient).body
            assert 'django_health_check_status{check="Hang"} 0.0' in scrape
            assert "django_health_check_store_up 1.0" in scrape
        assert first.result().json()["Hang"] == TIMED_OUT


def test_hanging_check__costs_no_scrape(tmp_path: pathlib.Path) -> None:
    """A scrape gets all series in its time, however long a check may take, and learns what is not known."""
    site, lag = site_with(tmp_path, "Hang", timeout=60), Lag()
    with site_under_gunicorn(site) as server, lag.measured():
        for headers, seconds in (({"X-Prometheus-Scrape-Timeout-Seconds": "1"}, 0.8), ({}, SCRAPE_WAIT_SECONDS)):
            scrape = send("GET", f"{server.url}/metrics", headers=headers)
            assert scrape.status == 200
            assert scrape.seconds < seconds + lag.slack
            for label in OTHERS:
                assert f'django_health_check_status{{check="{label}"}} 1.0' in scrape.body
            assert 'django_health_check_status{check="Hang"} 0.0' in scrape.body
            assert 'django_health_check_state{check="Hang",state="unknown"} 1.0' in scrape.body
        assert len(noted_runs(site.folder, "Hang")) == 1


@pytest.mark.parametrize("scene", ["HangAsync"], indirect=True)
def test_hanging_check__is_cancelled_where_that_is_possible(scene: Scene) -> None:
    """A coroutine that times out is cancelled, keeps no thread, and is run again when its result is old."""
    url, worker = scene.server.url, worker_of(scene.server)
    assert get(f"{url}/others/", format="json").json() == IN_ORDER
    threads_before = worker.num_threads()

    def started_again() -> bool:
        said = scene.health()
        assert said == {scene.name: TIMED_OUT, **IN_ORDER}
        return scene.starts >= 3

    eventually(started_again, what="the check to be run again")
    assert worker.num_threads() <= threads_before + 1  # the one that logs


@pytest.mark.parametrize("name", ["Hang", "HangOnLoop", long("HangOffLoop"), long("HangDeaf")])
def test_hanging_check__does_not_stall_an_event_loop_server(tmp_path: pathlib.Path, name: str) -> None:
    """Under ASGI, where Django shares threads among requests, a hung check stalls no other page either."""
    site, lag = site_with(tmp_path, name), Lag()
    with uvicorn(site.folder, site.environment()) as server, lag.measured():
        assert get(f"{server.url}/others/", format="json").json() == IN_ORDER
        url = f"{server.url}/health/?format=json"
        first, meanwhile = while_waiting([f"{server.url}/nowhere/", f"{server.url}/health/live/"], lambda: get(url))
        assert first.json() == {name: TIMED_OUT, **IN_ORDER}
        assert first.seconds < TIMEOUT + 1 + lag.slack
        assert {answer.status for answer in meanwhile} == {404, 200}
        assert max(answer.seconds for answer in meanwhile) < QUICK_SECONDS + lag.slack
        code, seconds = server.stop()
        assert code in (0, -signal.SIGTERM)
        assert seconds < 3 + lag.slack
