"""Sites with an SDK of their own: what arrives from forked workers, from event loops, and from the scheduler."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import signal
import sys
from collections.abc import Mapping

import pytest

from tests.support.client import eventually, get, get_at_once
from tests.support.otlp import CHECK, ROUND, Point, Receiver, Span, receiver
from tests.support.repetitions import long
from tests.support.sending import instrument, sending
from tests.support.servers import (
    ROOT,
    Server,
    await_answer,
    await_output,
    running,
    site_under_gunicorn,
    standalone_exporter,
)
from tests.support.site.checks import noted_runs
from tests.support.site.collected import COLLECTIONS
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

DURATION = "health_check.check.duration"

DOCUMENT = ROOT / "docs" / "how-to" / "opentelemetry.md"

NAMES = ("Counting", "CountingAsync", "Flip")

IN_CODE = "tests.support.site.traced_wsgi"
POST_FORK = "--config=gunicorn.conf.py"

SET_UPS: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "each worker": ((), IN_CODE, "request"),
    "master": (("--preload",), IN_CODE, "request"),
    "post_fork": (("--preload", POST_FORK), "tests.support.plain.wsgi", "scheduler"),
}
"""Where an SDK may be set up: options of gunicorn, the application, and what runs checks."""


def site_of(folder: pathlib.Path, to: Receiver, **health_check: object) -> Site:
    """Return a site with a check of each kind, and with the files that the documentation has for gunicorn."""
    for name in ("telemetry.py", "gunicorn.conf.py"):
        (folder / name).write_text(documented(name))
    checks = [f"tests.support.site.checks.{name}" for name in NAMES]
    variables = sending(to.url, OTEL_SERVICE_NAME="shop")
    return Site(folder=folder, checks=checks, max_age=0.3, health_check=health_check, variables=variables)


def documented(name: str) -> str:
    """Return a file as the documentation has it."""
    match = re.search(rf"```python\n# {re.escape(name)}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert match is not None
    return match[1]


def pids_of(folder: pathlib.Path) -> set[int]:
    """Return which processes have run checks."""
    return {run.pid for name in NAMES for run in noted_runs(folder, name)}


def ask_until_two_have_run(server: Server, folder: pathlib.Path) -> None:
    """Ask until checks have run in two processes."""

    def two() -> bool:
        get_at_once([f"{server.url}/health/"] * 4)
        return len(pids_of(folder)) >= 2 and len(noted_runs(folder, "Flip")) >= 3

    eventually(two, what="runs in two processes")


def counted(arrived: Receiver, name: str) -> float:
    """Return how many runs of a check all processes together have counted, as of what each has sent last."""
    newest: dict[tuple[object, ...], Point] = {}
    for point in arrived.of(DURATION):
        if point.attributes["health_check.name"] == name:
            newest[point.resource["service.instance.id"], point.attributes["health_check.state"]] = point
    return sum(point.value for point in newest.values())


def assert_all_arrived(arrived: Receiver, folder: pathlib.Path, *, lost: int = 0) -> None:
    """Check that each run has a span and is counted, once, whichever process it was in.

    Args:
        arrived: What has arrived.
        folder: Where checks note their runs.
        lost: How many runs of each check the end of the server may have cut off.
    """
    for name in NAMES:
        runs = len(noted_runs(folder, name))
        assert runs - lost <= len(arrived.named(f"{CHECK} {name}")) == counted(arrived, name) <= runs
    assert arrived.orphans() == []
    spans = {span.ids: span.name for span in arrived.spans}
    exemplars = [(point, ids) for point in arrived.of(DURATION) for ids in point.exemplars]
    assert exemplars
    for point, ids in exemplars:
        assert spans[ids] == f"{CHECK} {point.attributes['health_check.name']}"
    instances = {span.resource["service.instance.id"] for span in arrived.spans}
    assert len(instances) == len(pids_of(folder))


@pytest.mark.parametrize("set_up", [long("each worker"), "master", "post_fork"])
def test_gunicorn__each_run_arrives_once(tmp_path: pathlib.Path, set_up: str) -> None:
    """Workers send the spans and the durations of the runs that they had, wherever the SDK was set up."""
    options, application, trigger = SET_UPS[set_up]
    with receiver() as arrived:
        site = site_of(tmp_path, arrived, SCHEDULER=trigger == "scheduler")
        with site_under_gunicorn(site, "--workers=2", "--threads=2", *options, application=application) as server:
            ask_until_two_have_run(server, tmp_path)
            eventually(lambda: arrived.of("health_check.endpoint.status"), what="metrics")
            eventually(lambda: trigger in triggers_of(arrived), what=f"a round by {trigger}")
            assert server.stop()[0] == 0
            assert "Traceback" not in server.output()
        assert_all_arrived(arrived, tmp_path, lost=2 if trigger == "scheduler" else 0)
    assert triggers_of(arrived) <= {"request", "collection", trigger}
    assert {span.resource["service.name"] for span in arrived.spans} == {"shop"}


def triggers_of(arrived: Receiver) -> set[object]:
    """Return what has had the rounds run that have arrived."""
    return {span.attributes["health_check.trigger"] for span in arrived.named(ROUND)}


LOGGING = {"OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true"}
"""Has the log sent, too."""


def test_instrument__requests_link_to_the_rounds_they_waited_for(tmp_path: pathlib.Path) -> None:
    """With opentelemetry-instrument and nothing else, rounds are roots of their own that request spans link to."""
    with receiver() as arrived:
        site = dataclasses.replace(site_of(tmp_path, arrived), variables=sending(arrived.url, **LOGGING))
        with site_under_gunicorn(site, "--workers=2", "--threads=2", wrapper=[instrument()]) as server:
            ask_until_two_have_run(server, tmp_path)
            request, root = eventually(lambda: linked(arrived), what="a request that waited for a round")
            logged = eventually(
                lambda: [log for log in arrived.logs if log.body.startswith("Flip is error")], what="the log"
            )
            assert server.stop()[0] == 0
        assert_all_arrived(arrived, tmp_path)
    assert (root.name, root.parent) == (ROUND, None)
    assert (request.name, request.kind, request.parent) == ("GET health/", "SERVER", None)
    assert logged[0].ids in {span.ids for span in arrived.named(f"{CHECK} Flip") if span.is_error}
    said = {"health_check.name": "Flip", "health_check.state": "error", "event.name": "health_check.state_change"}
    assert said.items() <= logged[0].attributes.items()
    worst = {span.attributes["health_check.state"] for span in arrived.named(ROUND)}
    assert worst == {"ok", "error"}


def linked(arrived: Receiver) -> tuple[Span, Span] | None:
    """Return the span of a request, and what it links to."""
    spans = {span.ids: span for span in arrived.spans}
    pairs = ((span, spans[ids]) for span in spans.values() for ids in span.links if ids in spans)
    return next(pairs, None)


def test_instrument__uvicorn(tmp_path: pathlib.Path) -> None:
    """On an event loop it is the same."""
    command = [str(instrument()), sys.executable, "-m", "uvicorn", "--port=0", "tests.support.plain.asgi:application"]
    with receiver() as arrived:
        site = site_of(tmp_path, arrived)
        with running(command, tmp_path, site.environment()) as server:
            server.url = await_output(server, r"running on (http://127\.0\.0\.1:\d+)")[1]
            await_answer(server, "/health/live/")
            for number in range(2):
                eventually(lambda: get(f"{server.url}/health/").body, what="an answer")
                arrived.await_round(*NAMES, more_than=number)
            eventually(lambda: arrived.of("health_check.endpoint.status"), what="metrics")
            server.stop()
        assert_all_arrived(arrived, tmp_path)


def test_exporter__users_sdk_wins(tmp_path: pathlib.Path) -> None:
    """An SDK that is there already gets spans and metrics, and nothing is sent twice."""
    with receiver() as arrived:
        site = site_of(tmp_path, arrived)
        with standalone_exporter(site, {"OTEL_SERVICE_NAME": "theirs"}, "--otlp", wrapper=[instrument()]) as server:
            arrived.await_round(*NAMES)
            eventually(lambda: arrived.of("health_check.endpoint.status"), what="metrics")
            assert server.stop()[0] == 0
            output = server.output()
        assert_all_arrived(arrived, tmp_path)
    assert "An OpenTelemetry SDK is set up already: it gets the spans and metrics." in output
    assert {span.resource["service.name"] for span in arrived.spans} == {"theirs"}
    assert "telemetry.auto.version" in arrived.spans[0].resource


SHELL = "import time; from tests.support.site import collected; collected.told(); time.sleep(600)"

NO_SERVERS = {
    "worker": ["celery", "-A", "tests.support.site.worker", "worker", "--pool=solo", "--without-gossip"],
    "shell": ["django", "shell", "-c", SHELL],
}
"""Processes that live long, and answer no requests."""


@pytest.mark.parametrize(("process", "which"), [("shell", "servers"), long("worker", "servers"), ("worker", "all")])
def test_instrument__only_servers_send_the_records(tmp_path: pathlib.Path, process: str, which: str) -> None:
    """A worker of Celery or a shell, though its SDK collects, runs no checks and tells of none unless it is to.

    Nor does it as it ends, as ``migrate`` does soon.
    """
    command = [str(instrument()), sys.executable, "-m", *NO_SERVERS[process]]
    with receiver() as arrived:
        site = site_of(tmp_path, arrived, OTEL_METRICS=which)
        environment = {**site.environment(), "TEST_SITE_BROKER": "memory://", "TEST_SITE_CACHE": ""}
        with running(command, tmp_path, environment) as server:
            eventually(lambda: len(arrived.of(COLLECTIONS)) > 3, what="some collections")
            server.stop(signal.SIGINT)
        assert bool(pids_of(tmp_path)) is (which == "all")
        assert bool(arrived.of("health_check.check.status")) is (which == "all")
