"""A process that is frozen, has run out of something, or has a check that is slow to construct: others go on."""

from __future__ import annotations

import pathlib
import resource
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.support.caches import redis_server
from tests.support.client import Answer, Lag, eventually, get, get_at_once
from tests.support.repetitions import LONG, long
from tests.support.servers import site_under_gunicorn, uvicorn, worker_of
from tests.support.site.checks import noted_runs, release
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


FROZEN_SECONDS = 4.0
"""Longer than the checks may take."""


@pytest.mark.parametrize("kind", ["threads", long("event loop")])
def test_frozen_process__times_nothing_out(tmp_path: pathlib.Path, kind: str) -> None:
    """Checks of half a second with a budget of one are ok, though their process stood still for four seconds.

    What it lost is given back once: a check that hangs times out all the same.
    """
    names = ["Slow", "SlowAsync"]
    checks = [[f"tests.support.site.checks.{name}", {"timeout": 1}] for name in [*names, "Hang"]]
    site = Site(folder=tmp_path, checks=checks, max_age=0)
    serving = site_under_gunicorn(site) if kind == "threads" else uvicorn(tmp_path, site.environment())
    with serving as server, ThreadPoolExecutor(1) as pool:
        process = worker_of(server) if kind == "threads" else psutil.Process(server.process.pid)
        for number in range(1, 3):
            asked = pool.submit(get, f"{server.url}/health/", format="json")
            eventually(lambda number=number: len(noted_runs(tmp_path, "Slow")) >= number, what="a run")  # type: ignore[misc]
            process.suspend()
            threading.Event().wait(FROZEN_SECONDS)
            process.resume()
            resumed = time.monotonic()
            said = asked.result().json()
            hung = said.pop("Hang")
            assert said == dict.fromkeys(names, "OK")
            if number == 1:
                assert "after 1 s" in hung or "still running" in hung  # the reader, too, may have been late again
                assert time.monotonic() - resumed > 0.5
        eventually(
            lambda: "Hang is error: unavailable: timed out after 1 s" in server.output(), what="the end of its time"
        )
        assert not [line for line in server.output().splitlines() if "is error" in line and "Hang" not in line]


@pytest.mark.parametrize("worker", [long("gthread"), "gevent"])
def test_constructor__slow_and_failing(tmp_path: pathlib.Path, worker: str) -> None:
    """Probes of others with a limit of a second get their answer, also while it is tried again."""
    site = Site(
        folder=tmp_path,
        checks=["tests.support.site.hostile.SlowlyBuilt"],
        others=["tests.support.site.checks.Counting"],
        health_check={"STORE": {"BACKEND": "health_check.stores.memory.MemoryStore"}},
    )
    lag = Lag()
    with (
        site_under_gunicorn(site, f"--worker-class={worker}", "--threads=20") as server,
        ThreadPoolExecutor(20) as pool,
    ):
        with lag.measured():
            asked = pool.submit(get, f"{server.url}/health/", format="json")
            probes = [pool.submit(get, f"{server.url}{path}") for path in ["/health/live/"] * 8 + ["/others/"]]
            until = time.monotonic() + 10
            answers: list[Answer] = [probe.result() for probe in probes]
            while time.monotonic() < until:
                answers.append(get(f"{server.url}/health/live/"))
                time.sleep(0.25)
        assert {answer.status for answer in answers} == {200}
        slowest = max(answer.seconds for answer in answers)
        print(f"{len(answers)} probes, the slowest took {slowest:.3f} s")
        assert slowest < 1 + lag.slack
        found = asked.result()
        assert found.status == 500
        assert [text[:13] for text in found.json().values()] == ["unavailable: "]
        assert "ConnectionRefusedError" in found.body
        assert "nobody meant" not in found.body
        release(tmp_path)
        eventually(lambda: get(f"{server.url}/health/").status == 200, what="the service is back")
