"""What tests of checks that ask real servers have in common."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gc
import io
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator

import psutil

from health_check.backends import HealthCheck
from health_check.monitor.reports import Reading
from health_check.registry.definitions import Definition, label_of
from tests.support.bench import Bench
from tests.support.client import Lag, eventually
from tests.support.recording import CHECK, meter_provider, recording_spans
from tests.support.repetitions import times

BUDGET_SECONDS = 2.0
"""The time budget of checks whose server does not answer: long enough for a busy machine to answer in."""

LATE_SECONDS = 1.0
"""By how much a check may miss its budget on a machine that is not late; retrying clients miss it by far more."""

RUNS = times(200)
"""After how many runs nothing is to be left."""

SECRETS = ("planted", "shopkeeper", "127.0.0.1")
"""What is in every password, user and address of the tests, and in nothing that is shown."""

PASSWORDS = ("planted-password", "planted-wrong", "planted-right", "planted-secret")
"""How every password begins: logs may have users, addresses and the names of buckets, but none of these."""

SECONDS_TO_GO = 20.0
"""How long it may take until what was closed is gone."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seen:
    """What can be seen of a run."""

    reading: Reading
    """How the monitor shows the check afterwards."""
    seconds: float
    """How long it took."""
    slack: float
    """How much of that may be the machine's fault."""
    told: str
    """The spans and the metrics of it."""
    logged: str
    """What was logged meanwhile, from DEBUG on, by us and by the clients."""


def errors_of(check: HealthCheck) -> list[str]:
    """Return the texts of the errors of a run, which has to end within the check's budget, and to keep secrets.

    It is run as a site's is, by a monitor, with the exporter of spans and metrics; secrets are looked for in these and
    in the log, too.

    Args:
        check: A check whose budget is ``BUDGET_SECONDS``, or that ends sooner.
    """
    seen = seen_of(check)
    allowed = BUDGET_SECONDS + LATE_SECONDS + seen.slack
    assert seen.seconds < allowed, f"It took {seen.seconds:.1f} s, not {allowed:.1f}: {check.errors}"
    texts = [str(error) for error in check.errors]
    shown = " ".join([*texts, seen.reading.pretty_status, repr(check), label_of(check), seen.told])
    assert not [secret for secret in SECRETS if secret in shown], shown
    assert not password_in(seen.logged), seen.logged
    assert [message.text for message in seen.reading.messages] == [*dict.fromkeys(texts)], seen.logged
    return texts


def seen_of(check: HealthCheck) -> Seen:
    """Run a check in this thread, and return what can be seen of that."""
    with meter_provider() as (provider, metrics), recording_spans(metrics=provider) as spans, _logged() as text:
        lag, start = Lag(), time.monotonic()
        with lag.measured():
            [reading] = Bench().monitor.read([_defined(check)], inline=True)
            seconds = time.monotonic() - start
        written = [span.to_json() for span in spans.finished]
        measured = metrics.reader.get_metrics_data()
    assert measured is not None
    assert any(f"{CHECK} " in span for span in written), written
    return Seen(
        reading=reading, seconds=seconds, slack=lag.slack, told="\n".join([*written, measured.to_json()]), logged=text()
    )


def password_in(text: str) -> bool:
    """Tell whether a password of the tests is in a text, as it is or as a part of something in base64."""
    return any(re.search(_anyhow(password), text) for password in PASSWORDS)


def _anyhow(password: str) -> str:
    """Return a regular expression for a text and for all that it may become within something in base64."""
    found = [password]
    for before, cut in ((0, 0), (1, 2), (2, 3)):  # how many bytes are before it in a group of three
        whole = (before + len(password)) // 3 * 3 - before
        found.append(base64.b64encode(b"." * before + password[:whole].encode()).decode()[cut:])
    return "|".join(map(re.escape, found))


def _defined(check: HealthCheck) -> Definition:
    """Return the definition of this very instance."""
    return Definition(
        label=label_of(check), check_class=type(check), build=lambda: check, prototype=check, options=None
    )


@contextlib.contextmanager
def _logged() -> Iterator[Callable[[], str]]:
    """Have all loggers log everything, and yield what returns it."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream.getvalue
    finally:
        root.setLevel(level)
        root.removeHandler(handler)


@contextlib.contextmanager
def nothing_left() -> Iterator[None]:
    """Verify that this process has as many threads and open files afterwards, connections among them, as before."""
    before = _open()
    yield
    what = f"no more threads and files than {before}, as after the last run {_open()}, {threading.enumerate()}"
    eventually(lambda: _no_more(before), what=what, seconds=SECONDS_TO_GO)


def _no_more(before: tuple[int, int]) -> bool:
    gc.collect()
    return all(now <= then for now, then in zip(_open(), before, strict=True))


def _open() -> tuple[int, int]:
    """Return how many threads, of any library, and how many open files there are."""
    return psutil.Process().num_threads(), psutil.Process().num_fds()
