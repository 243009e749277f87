"""What real servers answer: requests a second, a crowd at the moment of expiry, and memory over many requests."""

from __future__ import annotations

import asyncio
import contextlib
import pathlib
import sys
import time
from collections.abc import Iterator

import psutil

from benchmarks.figures import Figure
from tests.support.servers import Server, site_under_gunicorn
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

SECONDS = 1.5
"""How long a server is asked in one turn."""

TURNS = 5
"""How many turns there are."""

CONNECTIONS = 8
"""How many connections ask at once."""

CROWD = 200
"""How many clients ask at once at the moment of expiry."""

CHECK_SECONDS = 0.5
"""How long the check takes that they ask for."""

GROWTH_REQUESTS = 50_000
"""Over how many requests memory is watched."""


def figures(folder: pathlib.Path) -> Iterator[Figure]:
    """Yield the figures of gunicorn with two sync workers, and of a crowd before four with threads."""
    with contextlib.redirect_stdout(sys.stderr):  # what the servers print
        found = [*_busy(folder), *_crowd(folder)]
    yield from found


def _busy(folder: pathlib.Path) -> Iterator[Figure]:
    site = Site(folder=folder / "speed", checks=["tests.support.checks.Fine"], max_age=3600.0)
    with site_under_gunicorn(site, "--workers=2", "--worker-class=sync", "--threads=1") as server:
        _rate(server, "/health/")
        rates = [(_rate(server, "/plain/"), _rate(server, "/health/")) for _ in range(TURNS)]
        shares = [bare / health for bare, health in rates]
        yield Figure.of("requests/s of a bare view, by those of /health/", shares, "×", target=1.18)
        yield Figure.of("requests/s of /health/, two sync workers", [health for _, health in rates], "1/s")
        yield from _growth(server)


def _growth(server: Server) -> Iterator[Figure]:
    workers = psutil.Process(server.process.pid).children()
    before = sum(worker.memory_info().rss for worker in workers)
    asyncio.run(_ask(server, "/health/", requests=GROWTH_REQUESTS))
    after = sum(worker.memory_info().rss for worker in workers)
    yield Figure.of(f"memory of both over {GROWTH_REQUESTS} requests", [(after - before) / 2**20], "MiB", target=2)


def _crowd(folder: pathlib.Path) -> Iterator[Figure]:
    site = Site(folder=folder / "crowd", checks=["tests.support.site.checks.Slow"], max_age=3.0)
    with site_under_gunicorn(site, "--workers=4", "--threads=8") as server:
        late, alone, runs = [], [], []
        for _ in range(TURNS):
            asyncio.run(_ask(server, "/health/", requests=1))
            time.sleep(site.max_age * 1.05)
            before = len(noted_runs(site.folder, "Slow"))
            late.append(_slowest(server, "/health/") - CHECK_SECONDS * 1000)
            runs.append(len(noted_runs(site.folder, "Slow")) - before)
            alone.append(_slowest(server, "/plain/"))
        yield Figure.of(f"runs of a check that {CROWD} clients ask for", runs, "", target=1)
        yield Figure.of(f"p99 of {CROWD} clients beyond the {CHECK_SECONDS:g} s of the check", late, "ms", target=50)
        yield Figure.of(f"p99 of {CROWD} clients at a bare view", alone, "ms")


def _slowest(server: Server, path: str) -> float:
    """Return how many milliseconds 99 % of a crowd wait at most."""
    times = sorted(asyncio.run(_crowd_at_once(server, path)))
    return times[int(0.99 * len(times))] * 1000


def _rate(server: Server, path: str) -> float:
    """Return how many requests a second are answered."""
    return asyncio.run(_ask(server, path, seconds=SECONDS)) / SECONDS


async def _ask(server: Server, path: str, *, seconds: float = 3600.0, requests: int = 10**9) -> int:
    """Ask on several connections, until time or requests are spent; return how many answers came."""
    end, left, answered = time.monotonic() + seconds, requests, 0

    async def client() -> None:
        nonlocal left, answered
        while left > 0 and time.monotonic() < end:
            left -= 1
            await _request(server, path)
            answered += 1

    await asyncio.gather(*(client() for _ in range(min(CONNECTIONS, requests))))
    return answered


async def _crowd_at_once(server: Server, path: str) -> list[float]:
    async def client() -> float:
        start = time.perf_counter()
        await _request(server, path)
        return time.perf_counter() - start

    return await asyncio.gather(*(client() for _ in range(CROWD)))


async def _request(server: Server, path: str) -> bytes:
    host, _, port = server.address.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {server.address}\r\nConnection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert b" 200 OK" in answer[:20], answer[:200]
    return answer
