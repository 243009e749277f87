"""A site with readiness endpoints, and what its processes answer."""

from __future__ import annotations

import collections
import signal
from collections.abc import Collection, Mapping

import psutil

from tests.support.client import Answer, eventually, get, get_at_once
from tests.support.servers import Server
from tests.support.site.views import PROCESS_HEADER

AT_ONCE = 8
"""How many clients ask at the same time, so that all workers have something to do."""


READY = {"ROOT_URLCONF": "tests.support.site.readiness_urls"}
"""Settings of a site that has ``/ready/`` with the checks of ``/health/``, and ``/up/`` with none."""


def workers_of(server: Server) -> set[int]:
    """Return the process ids of the workers of a gunicorn."""
    return {child.pid for child in psutil.Process(server.process.pid).children()}


def answers_of_all(server: Server, path: str, workers: Collection[int] = ()) -> Mapping[int, list[Answer]]:
    """Ask until every worker has answered, and return all answers by worker, in JSON.

    Args:
        server: A gunicorn.
        path: What to ask for.
        workers: The workers; default those that there are.
    """
    wanted = set(workers or workers_of(server))
    answers: dict[int, list[Answer]] = collections.defaultdict(list)

    def all_have_answered() -> bool:
        for answer in get_at_once([f"{server.url}{path}?format=json"] * AT_ONCE):
            answers[int(answer.headers[PROCESS_HEADER])].append(answer)
        return wanted <= set(answers)

    eventually(all_have_answered, what=f"an answer to {path} of each of the workers {wanted}")
    return answers


def statuses_of_all(server: Server, path: str) -> set[int]:
    """Return the statuses that the workers answer, having asked each at least once."""
    return {answer.status for answers in answers_of_all(server, path).values() for answer in answers}


def samples(server: Server, name: str) -> dict[str, float]:
    """Return the samples of a metric by their labels, as they are printed; the empty text for none."""
    lines = get(f"{server.url}/metrics").body.splitlines()
    found = [line.removeprefix(f"django_health_check_{name}").rsplit(" ", 1) for line in lines if f"_{name}" in line]
    return {labels: float(value) for labels, value in found if labels == "" or labels.startswith("{")}


def kill_worker(server: Server) -> None:
    """Kill a worker of a gunicorn without warning, and wait for its successor."""
    before = workers_of(server)
    psutil.Process(min(before)).kill()
    eventually(lambda: len(workers_of(server) - {min(before)}) == len(before), what="a new worker")


def renew_workers(server: Server) -> None:
    """Have all workers of a gunicorn replaced, as after a deploy."""
    before = workers_of(server)
    server.process.send_signal(signal.SIGHUP)

    def are_new() -> bool:
        now = workers_of(server)
        return len(now) == len(before) and not now & before

    eventually(are_new, what="new workers in the place of all")
