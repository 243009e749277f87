"""What tests ask running servers with."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

ANSWER_SECONDS = 60.0
"""How long a server may take to answer before it counts as stuck."""

POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    """Its status code."""
    body: str
    """Its body."""
    headers: http.client.HTTPMessage
    """Its headers."""
    seconds: float
    """How long it took."""

    def json(self) -> Any:
        """Return the body, parsed."""
        return json.loads(self.body)


def get(url: str, **query: str) -> Answer:
    """Ask for a URL."""
    return send("GET", f"{url}?{urllib.parse.urlencode(query)}" if query else url)


def send(method: str, url: str, *, headers: Mapping[str, str] | None = None, body: str | None = None) -> Answer:
    """Send a request on a connection of its own; follows no redirect."""
    parts = urllib.parse.urlsplit(url)
    start = time.monotonic()
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    with contextlib.closing(connection):
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, body=body, headers={"Connection": "close", **(headers or {})})
        response = connection.getresponse()
        text = response.read().decode()
    return Answer(status=response.status, body=text, headers=response.headers, seconds=time.monotonic() - start)


def get_at_once(urls: list[str]) -> list[Answer]:
    """Ask for several URLs at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(get, urls))


def eventually(condition: Callable[[], T | None], *, what: str, seconds: float = 120.0, pause: float = 0.05) -> T:
    """Return what a condition returns as soon as that is true.

    Args:
        condition: Called again and again; a connection that is refused or reset counts as false.
        what: What is awaited, for the message of the failure.
        seconds: How long to try.
        pause: How many seconds to wait from one call to the next.

    Raises:
        AssertionError: If it did not become true in time.
    """
    until = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ConnectionError):
            if value := condition():
                return value
        if time.monotonic() > until:
            raise AssertionError(f"Not within {seconds:g} s: {what}")
        time.sleep(pause)


@contextlib.contextmanager
def repeated(work: Callable[[], object]) -> Iterator[None]:
    """Do something again and again on another thread; what it raises is raised at the end."""
    done = threading.Event()
    failures: list[BaseException] = []

    def repeat() -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if failures:
        raise failures[0]


class Lag:
    """How late this machine lets a thread run that has nothing to do but wake up."""

    def __init__(self) -> None:
        self._worst = 0.0

    @property
    def slack(self) -> float:
        """What to add to an upper bound on a time measured meanwhile: that lag in every one of its steps."""
        return 0.2 + 10 * self._worst

    def measured(self) -> contextlib.AbstractContextManager[None]:
        """Measure it meanwhile."""
        return repeated(self._measure)

    def _measure(self) -> None:
        start = time.monotonic()
        time.sleep(0.01)
        self._worst = max(self._worst, time.monotonic() - start - 0.01)
