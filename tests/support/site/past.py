"""A site with a made-up past: checks of all states, 24 hours and 90 days of runs, and other hosts.

``python -m tests.support.site.past --checks 9`` serves it until it is stopped; the first line is its address. It has
a strict Content-Security-Policy: a header of all answers, or one that a middleware sets.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import hashlib
import os
import random
import socketserver
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.past import DAY
from health_check.records import Message, Record, Result
from health_check.stores import Key
from health_check.stores.memory import MemoryStore
from tests.support.places import run

POLICY = {"default-src": ["'none'"], "style-src": ["'self'"], "img-src": ["'self'"]}

MIDDLEWARE = {
    "django": "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django-csp": "csp.middleware.CSPMiddleware",
}
"""Who else may set the policy: Django from 6.0 on, and the package django-csp."""

STRICT = "default-src 'none'; style-src 'self'; img-src 'self'"

GONE = 'connection to server at "db-replica-17" failed: remaining connection slots are reserved'

LONG = GONE + "\n" + "\n".join(f"host {number}: no route to host, tried for 0.8 s, giving up" for number in range(12))

RELOCATING = "37 % of shards are relocating"


BACKEND = "tests.support.site.past.Told"


@dataclasses.dataclass
class Told(HealthCheck):
    """Find what it is told to find.

    Stands for checks of any service.
    """

    number: int = 0
    error: str = ""
    warning: str = ""

    def check_status(self) -> None:
        if self.error:
            raise ServiceUnavailable(self.error)
        if self.warning:
            raise ServiceWarning(self.warning)


NINE: tuple[dict[str, Any], ...] = (
    {
        "name": "replica",
        "title": "Postgres replica",
        "group": "Data",
        "description": "Reads of reports and search",
        "error": LONG,
        "runbook": "https://wiki.example.com/runbooks/replica",
        "tags": {"owner": "team-data"},
    },
    {"name": "Database", "group": "Data", "description": "Orders and customers"},
    {"name": "Cache", "group": "Data", "description": "Sessions and rendered parts of pages"},
    {
        "name": "Recommendations",
        "group": "Services",
        "description": "The model server answers",
        "critical_service": False,
        "error": "model server refuses connections",
    },
    {
        "name": "Search index",
        "group": "Services",
        "critical_service": False,
        "warning": "37 % of shards are relocating",
    },
    {"name": "payments=a+b&c#d/e", "title": "Payment provider", "group": "Services"},
    {"name": "Disk", "group": "This host", "description": "There is room for uploads"},
    {"name": "Memory", "group": "This host"},
    {"name": "Mail", "group": "This host", "critical_service": False},
)
"""The checks of a small site."""


def checks(number: int) -> list[Any]:
    """Return so many checks, with the ones above among them."""
    found: list[Any] = []
    for position in range(number):
        options = dict(NINE[position % len(NINE)])
        if position >= len(NINE):
            options = {key: value for key, value in options.items() if key not in ("error", "title", "runbook")}
            options["name"] += f" of shop-{position:03}"
        found.append((Told, {"number": position, **options}))
    return found


def results(label: str, host: str, now: float) -> Iterator[Result]:
    """Yield made-up runs of 90 days, oldest first: one a day, and every three minutes in the last 24 hours."""
    chance = random.Random(f"{label} {host}")  # noqa: S311 - the same at each start
    begin = now - DAY / 2 if label == "Mail" else now - 89 * DAY
    moment = begin
    while moment < now - 240:
        hour = (now - moment) / 3600
        is_bad = (
            (label == "replica" and hour < 0.7)
            or (label == "Recommendations" and (hour < 0.3 or 5 < hour < 6))
            or (label.startswith("payments") and chance.random() < 0.004)
        )
        is_shaky = label == "Search index" and hour < 4
        taken = chance.uniform(0.001, 0.003) * (30 if label.startswith("payments") and hour < 2 else 1)
        text = LONG if label == "replica" else "timed out after 5 s"
        errors = [ServiceUnavailable(text)] if is_bad else [ServiceWarning(RELOCATING)] if is_shaky else []
        yield result(moment, host, taken, errors)
        moment += min(DAY / 4, max(180.0, now - DAY - moment))


def result(finished: float, host: str, taken: float, errors: Sequence[Exception] = ()) -> Result:
    """Return the outcome of a run."""
    return Result(
        messages=tuple(Message.of(error) for error in errors),
        time_taken=taken,
        started=finished - taken,
        finished=finished,
        host=host,
        pid=4711,
        exemplar={"trace_id": hashlib.md5(str(finished).encode(), usedforsecurity=False).hexdigest()} if errors else {},
        backend=BACKEND,
    )


class PastStore(MemoryStore):
    """Keep records in memory, beside a made-up past and other hosts."""

    def __init__(self, *, host: str, clock: Any = None) -> None:
        super().__init__(clock=clock)
        now = time.time()
        labels = [str(options["name"]) for _, options in checks(int(os.environ.get("PAST_CHECKS", "9")))]
        for label in labels:
            past = list(results(label, host, now))
            self.add_past(Key(label=label), past)
            began = next(
                (later for before, later in reversed(list(pairwise(past))) if before.state is not later.state), past[0]
            )
            run(self, began, key=Key(label=label), max_age=0)
        self._others = {
            "web-2": {label: _record(label, "web-2", now - 4) for label in labels},
            "web-3": {label: _record(label, "web-3", now - 200) for label in labels},
        }

    def elsewhere(self, keys: Sequence[Key]) -> Mapping[str, Mapping[Key, Record]]:
        return {
            host: {key: records[key.label] for key in keys if key.label in records}
            for host, records in self._others.items()
        }


def _record(label: str, host: str, finished: float) -> Record:
    errors = [ServiceUnavailable("timed out after 5 s")] if (label, host) == ("Cache", "web-2") else []
    return Record.after(None, result(finished, host, 0.002, errors), max_age=60)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 50


class _Handler(WSGIRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Print no line a request."""


def with_policy(application: Any, policy: str) -> Any:
    """Return an application that sends this Content-Security-Policy with all answers."""

    @functools.wraps(application)
    def answer(environ: Any, start_response: Any) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [*headers, ("Content-Security-Policy", policy)], *more)

        return application(environ, start)

    return answer


def main() -> None:
    """Serve the site."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--checks", type=int, default=len(NINE))
    parser.add_argument("--policy-by", choices=["header", *MIDDLEWARE], default="header")
    options = parser.parse_args()
    os.environ["PAST_POLICY"] = options.policy_by
    os.environ["PAST_CHECKS"] = str(options.checks)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.site.past_settings"
    from tests.support.plain.wsgi import application  # it reads the environment

    with _Server(("127.0.0.1", options.port), _Handler) as server:
        server.set_app(with_policy(application, STRICT) if options.policy_by == "header" else application)
        print(f"http://127.0.0.1:{server.server_port}/health/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
