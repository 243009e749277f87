"""A client that keeps asking a site of several processes, and what holds for the answers whatever happens."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import http.client
import itertools
import pathlib
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import psutil

from tests.support.client import Lag, eventually, get, repeated
from tests.support.servers import Server
from tests.support.site.checks import noted_runs
from tests.support.site.views import PROCESS_HEADER

MAX_AGE = 1.0
"""The ``max_age`` of the checks of sites under observation, in seconds."""

STORE_SECONDS = 0.25
"""How much longer than ever an answer may take because of the store."""

PAUSE_SECONDS = 0.06
"""How long a client pauses between two answers: the other programs on this machine want to run, too."""

HEALTH = "/health/?format=json"
METRICS = "/metrics"

SAMPLE = re.compile(r'^django_health_check_(\w+)(?:\{(?:check="([^"]*)")?(?:,?(?:outcome|state)="(\w+)")?\})? (\S+)$')

WARNING = "The store of the health checks cannot be used"
"""How the log line begins that says so."""

STALL = "does not answer. Until it can"
"""What that line says where the store took too long."""

MOST_STALLS = 12
"""How often it may say so in a test, in which hundreds of requests are made."""

MOST_ATTEMPTS = 5
"""How often to begin anew to observe where the machine stands still."""

Counters = Mapping[tuple[str, str], float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """An answer, or why there was none."""

    path: str
    """What was asked for."""
    asked: float
    """When, on the monotonic clock."""
    answered: float
    """When the answer was there, on the same."""
    status: int = 0
    """Its status code."""
    pid: int = 0
    """The process that gave it."""
    health: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """What JSON says of each check."""
    ran_at: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """When each check last ran, as metrics say, Unix time."""
    runs: Counters = dataclasses.field(default_factory=dict)
    """How many runs there were by check and outcome, as metrics say."""
    unknown: frozenset[str] = frozenset()
    """Of which checks metrics say that their state is unknown."""
    store_up: bool | None = None
    """Whether the store can be used, as metrics say."""
    failure: str = ""
    """Why there is no answer."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.answered - self.asked

    @property
    def is_shared(self) -> bool:
        """Whether the process had all that it shares with others."""
        return bool(self.store_up) and bool(self.runs)


class Observer:
    """Ask a site for health and metrics again and again, on fresh connections, so that all its processes are met.

    Args:
        server: Serves the site.
        folder: Where its checks note their runs.
        labels: Its checks.
    """

    def __init__(self, server: Server, folder: pathlib.Path, labels: Sequence[str]) -> None:
        self.server = server
        self.folder = folder
        self.labels = labels
        self.seen: list[Seen] = []
        self.normal = 0.0
        self.lag = Lag()
        self._old_log = 0

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Ask meanwhile; begins once all processes share what they know, and it is clear what takes how long."""
        health, metrics = (repeated(functools.partial(self._ask, path)) for path in (HEALTH, METRICS))
        with self.lag.measured(), health, metrics:
            yield

    def _ask(self, path: str) -> None:
        self.seen.append(look(self.server.url, path))
        time.sleep(PAUSE_SECONDS)

    def learn_what_is_normal(self) -> None:
        """Measure how long answers take when nothing is amiss."""
        self.await_shared()
        answers = self.period(1.5 * MAX_AGE)
        self.normal = max(seen.seconds for seen in answers)
        self.assert_right(answers)
        self._old_log = len(self.server.output())

    @property
    def limit(self) -> float:
        """How long an answer may take in seconds, whatever happens to the store."""
        return self.normal + STORE_SECONDS + self.lag.slack

    def since(self, moment: float) -> list[Seen]:
        """Return the answers to what was asked from a moment of the monotonic clock on."""
        return [seen for seen in list(self.seen) if seen.asked >= moment]

    def period(self, seconds: float) -> list[Seen]:
        """Return the answers of a period that begins now."""
        start = time.monotonic()
        time.sleep(seconds)
        return self.since(start)

    def quiet_period(self, seconds: float) -> tuple[list[Seen], float]:
        """Return the answers of a period, and when it began, on the monotonic clock.

        Where the machine stood still for so long that a process went on without the store, begin anew.
        """
        for _ in range(MOST_ATTEMPTS):
            before, start = self.stalls, time.monotonic()
            time.sleep(seconds)
            if before == self.stalls:
                break
            self.await_shared()
        return self.since(start), start

    def workers(self) -> set[int]:
        """Return the processes that answer."""
        return {child.pid for child in psutil.Process(self.server.process.pid).children()}

    def await_all(self, condition: Callable[[Seen], bool], *, what: str, seconds: float = 60.0) -> None:
        """Wait until the newest scrapes of all processes, made from now on, are as they should be."""
        start = time.monotonic()

        def all_are() -> bool:
            newest = {seen.pid: seen for seen in self.since(start) if seen.path == METRICS}
            return self.workers() == newest.keys() and all(condition(seen) for seen in newest.values())

        eventually(all_are, what=what, seconds=seconds)

    def await_shared(self) -> None:
        """Wait until all processes use the store, and show the same runs."""
        start = time.monotonic()

        def agree() -> bool:
            newest = {seen.pid: seen for seen in self.since(start) if seen.path == METRICS}
            shown = {tuple(sorted(seen.ran_at.items())) for seen in newest.values()}
            known = self.workers() == newest.keys() and all(seen.is_shared for seen in newest.values())
            return known and len(shown) == 1

        eventually(agree, what="all processes to share what they know", seconds=30.0)

    def await_down(self) -> float:
        """Wait until all processes have noticed that the store cannot be used, and return since when they say so."""
        self.await_all(lambda seen: seen.store_up is False, what="all processes to be without the store", seconds=10.0)
        return time.monotonic()

    def assert_right(self, answers: Sequence[Seen]) -> None:
        """Assert that answers are given, and that they are right."""
        assert answers
        for seen in answers:
            assert not seen.failure, seen
            assert seen.status == 200, seen
            if seen.path == HEALTH:
                assert seen.health.keys() == set(self.labels), seen
                assert all(_is_right(label, text) for label, text in seen.health.items()), seen
            else:
                assert seen.ran_at.keys() == set(self.labels), seen
                assert not seen.unknown, seen

    def assert_quick(self, answers: Sequence[Seen]) -> None:
        """Assert that no answer took much longer than what is normal."""
        slowest = max(answers, key=lambda seen: seen.seconds)
        print(f"slowest {slowest.seconds:.3f} s of {len(answers)}, normal {self.normal:.3f}, limit {self.limit:.3f}")
        assert slowest.seconds <= self.limit, slowest

    def assert_counters_never_fall(self) -> None:
        """Assert that no scrape, whichever process it met, had less than the ones before; it may have none."""
        before: Counters = {}
        for seen in list(self.seen):
            fallen = {
                key: (value, seen.runs[key]) for key, value in before.items() if seen.runs.get(key, value) < value
            }
            assert not fallen, f"{fallen} in {seen}, {seen.asked - self.seen[0].asked:.2f} s from the beginning"
            before = {**before, **seen.runs}

    def assert_one_truth(self, seconds: float) -> None:
        """Observe for a while, and assert that all processes show the same runs, of which there is one per max_age."""
        answers, start = self.quiet_period(seconds)
        elapsed = time.monotonic() - start
        self.assert_right(answers)
        scrapes = [seen for seen in answers if seen.path == METRICS]
        for label in self.labels:
            for earlier, later in itertools.pairwise(scrapes):
                assert earlier.ran_at[label] <= later.ran_at[label], f"{label}: {earlier} contradicts {later}"
            by_worker = {pid: {seen.ran_at[label] for seen in scrapes if seen.pid == pid} for pid in self.workers()}
            for some, others in itertools.combinations(by_worker.values(), 2):
                assert some & others, f"{label}: {by_worker}"
            runs = [run for run in noted_runs(self.folder, label) if run.started >= start]
            assert len(runs) <= elapsed / MAX_AGE + 1, f"{label}: {runs} in {elapsed:.2f} s"

    def missing(self, label: str) -> float | None:
        """Return how many of the runs that a check has noted are not counted; None while counters are absent."""
        scrape = look(self.server.url, METRICS)
        noted = len(noted_runs(self.folder, label))
        return noted - sum(scrape.runs[key] for key in scrape.runs if key[0] == label) if scrape.is_shared else None

    def assert_all_counted(self, *, lost: int | None = 0) -> None:
        """Assert that the counters have all the runs that checks have noted, and no more.

        Args:
            lost: How many runs of each check may be missing, or be counted twice; None if any number of those before
                this, as of a time without the store.
        """
        before = dict.fromkeys(self.labels, 0.0)
        if lost is None:
            self.await_shared()
            before = {label: self.missing(label) or 0.0 for label in self.labels}
            self.period(2 * MAX_AGE)

        def counted(label: str) -> bool:
            missing = self.missing(label)
            return missing is not None and abs(missing - before[label]) <= (1 if lost is None else lost)

        for label in self.labels:
            eventually(functools.partial(counted, label), what=f"{label} to be counted", seconds=4 * MAX_AGE)

    @property
    def stalls(self) -> int:
        """How often a process has said that the store does not answer, as it does where the machine stands still."""
        return self.server.output().count(STALL)

    def assert_log(self, *, warnings: int) -> None:
        """Assert that the log has no traceback, and says only once in each process that the store cannot be used.

        What it said before it was known what is normal does not count. That the store does not answer may be said
        more often, as a machine under load may stand still now and then, but by far not at each request.
        """
        output = self.server.output()[self._old_log :]
        assert "Traceback" not in output
        stalls = output.count(STALL)
        assert output.count(WARNING) - stalls <= warnings, output
        assert stalls <= MOST_STALLS, output

    def kill_worker(self, pid: int) -> None:
        """Kill a process, which the server replaces."""
        psutil.Process(pid).send_signal(signal.SIGKILL)


def look(url: str, path: str) -> Seen:
    """Ask once."""
    asked = time.monotonic()
    try:
        answer = get(url + path)
    except (OSError, http.client.HTTPException) as error:
        return Seen(path=path, asked=asked, answered=time.monotonic(), failure=repr(error))
    answered = time.monotonic()
    pid = int(answer.headers.get(PROCESS_HEADER, "0"))
    seen = Seen(path=path, asked=asked, answered=answered, status=answer.status, pid=pid)
    if answer.headers.get_content_type() == "application/json":
        return dataclasses.replace(seen, health=answer.json())
    if path != METRICS or answer.status != 200:
        return dataclasses.replace(seen, failure="" if path != HEALTH else answer.body[:1000])
    return _with_samples(seen, answer.body)


def _with_samples(seen: Seen, page: str) -> Seen:
    samples = [match.groups() for line in page.splitlines() if (match := SAMPLE.match(line))]
    return dataclasses.replace(
        seen,
        ran_at={check: float(value) for name, check, _, value in samples if name == "last_run_timestamp_seconds"},
        runs={(check, outcome): float(value) for name, check, outcome, value in samples if name == "runs_total"},
        unknown=frozenset(check for name, check, state, value in samples if (name, state, value) == UNKNOWN),
        store_up=next((value == "1.0" for name, _, _, value in samples if name == "store_up"), None),
    )


UNKNOWN = ("state", "unknown", "1.0")


def _is_right(label: str, text: str) -> bool:
    match = re.fullmatch(r"unavailable: run (\d+) fails", text)
    return text == "OK" or (label == "Flip" and match is not None and int(match[1]) % 2 == 0)
