"""``manage.py health_exporter --otlp``: what arrives of spans and metrics, and how it ends where nothing does."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from health_check.conf import DEFAULT_DURATION_BUCKETS
from tests.support.client import Lag, eventually, get
from tests.support.otlp import CHECK, ROUND, Arrived, Point, Receiver, collector, receiver
from tests.support.sending import sending
from tests.support.servers import Server, clean_environment, manage, standalone_exporter
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

PROMISED_SECONDS = 3.0
"""How long it may take to end where nobody takes what is left to send."""

SCOPE = "health_check_opentelemetry"

DURATION = "health_check.check.duration"

NAMES = ("Counting", "CountingAsync", "Flip")

Way = Callable[[pathlib.Path, Receiver], AbstractContextManager[Receiver | Server]]

WITHOUT_EXTRA = "import sys; sys.modules['opentelemetry.exporter.otlp.proto.http'] = None\n"
"""What a process does first that has not got the package which sends."""


def site_of(folder: pathlib.Path, to: Receiver | Server, **variables: str) -> Site:
    """Return a site with a check of each kind."""
    checks = [f"tests.support.site.checks.{name}" for name in NAMES]
    return Site(folder=folder, checks=checks, max_age=0.5, variables=sending(to.url, **variables))


@contextlib.contextmanager
def directly(folder: pathlib.Path, to: Receiver) -> Iterator[Receiver]:
    """Have nothing between sender and receiver."""
    yield to


@pytest.mark.parametrize("by_way_of", [directly, collector])
def test_otlp__traces_and_metrics_arrive(tmp_path: pathlib.Path, by_way_of: Way) -> None:
    """Rounds arrive with their checks, and all metrics; each exemplar leads to a span of its check."""
    with receiver() as arrived, by_way_of(tmp_path, arrived) as first:
        with standalone_exporter(site_of(tmp_path, first), {}, "--otlp") as server:
            root = arrived.await_round(*NAMES)
            eventually(lambda: arrived.of("health_check.endpoint.status"), what="metrics")
            eventually(lambda: len(noted_runs(tmp_path, "Flip")) > 2, what="some more runs")
            assert server.stop()[0] == 0
            assert "Traceback" not in server.output()
        for name in NAMES:
            noted = len(noted_runs(tmp_path, name))
            eventually(lambda name=name, noted=noted: counted(arrived, name) == noted, what=f"{noted} runs of {name}")  # type: ignore[misc]
        arrived.await_no_orphans()
    assert (root.parent, root.attributes["health_check.trigger"]) == (None, "scheduler")
    span = arrived.child(root, "Counting")
    assert (span.attributes["health_check.backend"], span.scope) == ("tests.support.site.checks.Counting", SCOPE)
    assert {span.is_error for span in arrived.named(f"{CHECK} Flip")} == {True, False}
    assert_metrics(arrived)


def latest(arrived: Receiver, metric: str) -> dict[tuple[object, ...], Point]:
    """Return the newest points of a metric, by the values of their attributes."""
    return {tuple(point.attributes.values()): point for point in arrived.of(metric)}


def counted(arrived: Receiver, name: str) -> float:
    """Return how many runs of a check the histogram counts."""
    return sum(point.value for key, point in latest(arrived, DURATION).items() if name in key)


def assert_metrics(arrived: Receiver) -> None:
    """Check the metrics of an exporter that has ended."""
    durations = arrived.of(DURATION)
    assert {(point.unit, point.kind, point.scope) for point in durations} == {("s", "histogram", SCOPE)}
    assert durations[0].bounds == DEFAULT_DURATION_BUCKETS
    spans = {span.ids: span.name for span in arrived.spans}
    exemplars = [(point.attributes["health_check.name"], ids) for point in durations for ids in point.exemplars]
    assert {name for name, _ in exemplars} == set(NAMES)
    for name, ids in exemplars:
        assert spans[ids] == f"{CHECK} {name}"
    status = latest(arrived, "health_check.check.status")
    assert [key for key, point in status.items() if "Counting" in key and point.value] == [("Counting", "ok")]
    assert {(point.unit, point.kind) for point in status.values()} == {("{check}", "sum")}
    assert {(point.unit, point.kind) for point in arrived.of("health_check.check.time_taken")} == {("s", "gauge")}
    assert latest(arrived, "health_check.endpoint.status")[("others",)].value == 1
    items: list[Arrived] = [*arrived.spans, *arrived.points]
    resources = [item.resource for item in items]
    assert {resource["service.name"] for resource in resources} == {"tests"}
    assert len({resource["service.instance.id"] for resource in resources}) == 1


def test_otlp__resource(tmp_path: pathlib.Path) -> None:
    """What the environment says of the service counts, for spans and for metrics."""
    variables = {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=no,service.version=7.1,service.instance.id=shop-1,zone=b",
    }
    with receiver() as arrived:
        done = manage(site_of(tmp_path, arrived, **variables), "health_exporter", "--once")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "django_health_check_status" in done.stdout
    expected = {"service.name": "shop", "service.version": "7.1", "service.instance.id": "shop-1", "zone": "b"}
    for found in (arrived.named(ROUND)[0], arrived.of(DURATION)[0]):
        assert {name: found.resource.get(name) for name in expected} == expected


@pytest.mark.parametrize("how", ["hangs", "refuses"])
def test_otlp__receiver_in_trouble(tmp_path: pathlib.Path, how: str) -> None:
    """Where what is sent is not answered, or refused again and again, it serves all the same, and ends in time."""
    lag = Lag()
    with receiver() as arrived:
        if how == "hangs":
            arrived.answering.clear()
        arrived.status = 503
        with standalone_exporter(site_of(tmp_path, arrived), {}, "--otlp") as server:
            eventually(lambda: arrived.requests >= (2 if how == "hangs" else 3), what="both to be sent, or some again")
            assert get(f"{server.url}/metrics").status == 200
            with lag.measured():
                code, seconds = server.stop()
    assert code == 0
    assert seconds < PROMISED_SECONDS + lag.slack


def without_extra(folder: pathlib.Path) -> dict[str, str]:
    """Return the environment of a process where the package that sends is not installed."""
    (folder / "sitecustomize.py").write_text(WITHOUT_EXTRA)
    return {"PYTHONPATH": os.pathsep.join([str(folder), clean_environment()["PYTHONPATH"]])}


@pytest.mark.parametrize(("option", "code"), [(["--otlp"], 2), ([], 0)])
def test_otlp__without_the_extra(tmp_path: pathlib.Path, option: list[str], code: int) -> None:
    """Who demands what is not installed is told what to install; where a variable alone does, it goes on as well."""
    with receiver() as arrived:
        done = manage(site_of(tmp_path, arrived, **without_extra(tmp_path)), "health_exporter", "--once", *option)
    assert (done.returncode, arrived.requests) == (code, 0)
    assert ("django_health_check_status" in done.stdout) is (code == 0)
    assert "pip install 'django-health-exporter[otlp]'" in done.stderr
    assert "Traceback" not in done.stderr
