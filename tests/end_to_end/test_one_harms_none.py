"""One check that says too much, or one process that has run out of something, harms no other."""

from __future__ import annotations

import contextlib
import pathlib
import re
import resource
import socket
import time

import psutil
import pytest

from tests.support.caches import memcached_server, redis_server
from tests.support.client import eventually, get, get_at_once
from tests.support.repetitions import LONG, long
from tests.support.servers import site_under_gunicorn, standalone_exporter, worker_of
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site
from tests.support.site.views import PROCESS_HEADER

pytestmark = pytest.mark.server

MAX_AGE = 0.3
OBSERVED_SECONDS = 6.0 if LONG else 3.0
MOST_PAGE_BYTES = 300_000


@pytest.mark.parametrize("store", ["file", "redis"])
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


def test_verbose_check__fits_a_memcached(tmp_path: pathlib.Path) -> None:
    """A check that reports a hundred times ten thousand letters takes neither the store nor a readable page away."""
    checks = ["tests.support.site.checks.Verbose", "tests.support.site.checks.Counting"]
    with memcached_server(tmp_path / "memcached") as memcached:
        site = Site(
            folder=tmp_path,
            checks=checks,
            max_age=MAX_AGE,
            caches={"default": memcached.configuration()},
            health_check={"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}},
        )
        with site_under_gunicorn(site, "--workers=2", "--threads=1") as server:
            for _ in range(20):
                metrics = get(f"{server.url}/metrics").body
                assert "django_health_check_store_up 1.0" in metrics
                time.sleep(MAX_AGE / 2)
            page = get(f"{server.url}/health/", format="html")
            assert "… and 9" in page.body
            assert len(page.body) < MOST_PAGE_BYTES
            for label in ("Verbose", "Counting"):
                runs = re.findall(rf'runs_total{{check="{label}",outcome="\w+"}} (\S+)', metrics)
                assert len(noted_runs(tmp_path, label)) - 3 <= sum(map(float, runs)), "all runs are counted"
            assert "cannot be used" not in server.output()


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


HALF = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
CONNECTIONS = 1_100


def test_exporter__half_sent_requests_harm_nobody(tmp_path: pathlib.Path) -> None:
    """1,100 requests that do not end take no descriptor that a check needs, and the others of the host stay well."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with redis_server(tmp_path / "redis") as redis, contextlib.ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, max(before, 2 * CONNECTIONS)), most))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (before, most))
        site = Site(
            folder=tmp_path,
            checks=["tests.support.site.checks.SocketPair"],
            max_age=MAX_AGE,
            caches={"default": redis.configuration()},
            health_check={"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}},
        )
        exporter = stack.enter_context(standalone_exporter(site))
        server = stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=2"))
        psutil.Process(exporter.process.pid).rlimit(resource.RLIMIT_NOFILE, (1024, 1024))
        host, port = exporter.address.split(":")
        for number in range(CONNECTIONS):
            client = stack.enter_context(socket.create_connection((host, int(port)), 10))
            client.sendall(HALF)
            if number % 220 == 219:
                answers = [get(f"{url}/health/", format="json") for url in (exporter.url, server.url)]
                assert [(answer.status, answer.body) for answer in answers] == [(200, '{"SocketPair": "OK"}')] * 2
                assert "django_health_check_store_up 1.0" in get(f"{exporter.url}/metrics").body
        assert psutil.Process(exporter.process.pid).num_fds() < 200
        assert "cannot be used" not in exporter.output() + server.output()
