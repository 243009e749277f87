"""One process that has run out of something harms no other."""

from __future__ import annotations

import pathlib
import resource
import time

import psutil
import pytest

from tests.support.caches import redis_server
from tests.support.client import eventually, get, get_at_once
from tests.support.repetitions import LONG, long
from tests.support.servers import site_under_gunicorn, worker_of
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

MAX_AGE = 0.3
OBSERVED_SECONDS = 6.0 if LONG else 3.0


@pytest.mark.parametrize("store", ["file", long("redis")])
def test_process_without_descriptors__is_not_the_truth_of_its_host(tmp_path: pathlib.Path, store: str) -> None:
    """A worker that cannot open a socket tells of that itself; the others of its host answer 200 all the time."""
    with redis_server(tmp_path / "redis") as redis:
        kept = {} if store == "file" else {"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}}
        site = Site(
            folder=tmp_path,
            checks=["tests.support.site.checks.SocketPair"],
            max_age=MAX_AGE,
            caches={"default": redis.configuration()},
            health_check=kept,
        )
        with site_under_gunicorn(site, "--workers=2", "--threads=1") as server:
            health = f"{server.url}/health/"
            workers = [child.pid for child in psutil.Process(server.process.pid).children()]
            eventually(
                lambda: {get(health).headers[PROCESS_HEADER] for _ in range(20)} == set(map(str, workers)),
                what="an answer of each worker",
            )
            sick = psutil.Process(workers[0])
            most = sick.num_fds() + 3  # for the connection of the client, and not for all that the check opens
            sick.rlimit(resource.RLIMIT_NOFILE, (most, most))
            answers = []
            end = time.monotonic() + OBSERVED_SECONDS
            while time.monotonic() < end:
                answer = get(health, format="json")
                answers.append((answer.headers[PROCESS_HEADER] == str(sick.pid), answer.status, answer.body))
                time.sleep(0.01)
    assert [body for is_sick, status, body in answers if not is_sick and status != 200] == []
    assert any("this process has no file descriptors left" in body for is_sick, _, body in answers if is_sick)


@pytest.mark.parametrize("kind", ["sync", long("gthread")])
def test_process_without_memory_for_threads__says_so_once(tmp_path: pathlib.Path, kind: str) -> None:
    """Under a memory limit at which no thread can start each answer says so, and the log does once."""
    checks = ["tests.support.site.checks.Counting", "tests.support.site.checks.CountingAsync"]
    site = Site(folder=tmp_path, checks=checks, max_age=MAX_AGE)
    with site_under_gunicorn(
        site, f"--worker-class={kind}", "--threads=1" if kind == "sync" else "--threads=4"
    ) as server:
        if kind == "gthread":
            get_at_once([f"{server.url}/plain/"] * 20)
        worker = worker_of(server)
        _, most = worker.rlimit(resource.RLIMIT_AS)
        worker.rlimit(resource.RLIMIT_AS, (worker.memory_info().vms + 2**22, most))  # less than the stack of a thread
        told = []
        for _ in range(20):
            answers = [get(f"{server.url}{path}") for path in ("/health/?format=json", "/metrics", "/health/live/")]
            assert [answer.status for answer in answers] == [500, 200, 200]
            for text in answers[0].json().values():
                assert "no thread could be started" in text
            told.append(server.output().count("Traceback"))
            time.sleep(MAX_AGE / 4)
        assert "can't start new thread" in server.output()
        assert told[1:] == [told[1]] * (len(told) - 1)
        assert told[-1] <= 2, server.output()
        worker.rlimit(resource.RLIMIT_AS, (most, most))
        eventually(lambda: get(f"{server.url}/health/").status == 200, what="checks that run again")
