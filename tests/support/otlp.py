"""A receiver of OTLP over HTTP, which can be slow or refuse what comes, and a collector that forwards to it.

Spans, metrics and log records that arrive are kept in the words of tests.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import http.server
import importlib
import os
import pathlib
import socket
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.support.client import eventually
from tests.support.servers import Server, free_port, running
from tests.support.small_servers import on_a_thread

ROUND = "health_check.run"
"""The name of the span of a round."""

CHECK = "health_check.check"
"""What the name of the span of a run begins with."""

CANNOT_LOAD = 127
"""The exit code of a program that lacks a library."""


Ids = tuple[str, str]
"""The ids of a trace and of a span in it, in hexadecimal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Arrived:
    """Something that arrived."""

    attributes: Mapping[str, Any]
    """What it says of itself."""
    resource: Mapping[str, Any]
    """What sent it."""
    scope: str
    """Which instrumentation made it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span(Arrived):
    """A span that arrived."""

    name: str
    """Its name."""
    ids: Ids
    """Which one it is."""
    parent: Ids | None
    """Which one its parent is; None for a root."""
    links: tuple[Ids, ...]
    """Which ones it links to."""
    is_error: bool
    """Whether its status is ERROR."""
    kind: str
    """``INTERNAL``, ``SERVER`` or ``CLIENT``."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point(Arrived):
    """A data point of a metric that arrived."""

    metric: str
    """The name of the metric."""
    unit: str
    """Its unit."""
    kind: str
    """``histogram``, ``sum`` or ``gauge``."""
    value: float
    """Its value; of a histogram, how many values it counts."""
    bounds: tuple[float, ...]
    """The bounds of a histogram's buckets."""
    exemplars: tuple[Ids, ...]
    """The spans that its exemplars are of."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Log:
    """A log record that arrived."""

    body: str
    """Its text."""
    ids: Ids
    """The span in whose context it was made."""
    attributes: Mapping[str, Any]
    """What it says of itself."""


def spans_of(request: ExportTraceServiceRequest) -> Iterator[Span]:
    """Return the spans of a request."""
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    name=span.name,
                    ids=(span.trace_id.hex(), span.span_id.hex()),
                    parent=(span.trace_id.hex(), span.parent_span_id.hex()) if span.parent_span_id else None,
                    attributes=_dict(span.attributes),
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    is_error=span.status.code == trace_pb2.Status.STATUS_CODE_ERROR,
                    kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    resource=_dict(resource.resource.attributes),
                    scope=scope.scope.name,
                )


def points_of(request: ExportMetricsServiceRequest) -> Iterator[Point]:
    """Return the data points of a request."""
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data") or ""
                for point in getattr(metric, kind).data_points:
                    is_histogram = isinstance(point, metrics_pb2.HistogramDataPoint)
                    yield Point(
                        metric=metric.name,
                        unit=metric.unit,
                        kind=kind,
                        attributes=_dict(point.attributes),
                        value=point.count if is_histogram else getattr(point, point.WhichOneof("value") or "as_double"),
                        bounds=tuple(point.explicit_bounds) if is_histogram else (),
                        exemplars=tuple((found.trace_id.hex(), found.span_id.hex()) for found in point.exemplars),
                        resource=_dict(resource.resource.attributes),
                        scope=scope.scope.name,
                    )


def logs_of(request: ExportLogsServiceRequest) -> Iterator[Log]:
    """Return the log records of a request."""
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield Log(
                    body=record.body.string_value,
                    ids=(record.trace_id.hex(), record.span_id.hex()),
                    attributes=_dict(record.attributes),
                )


def _dict(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value") for one in attributes}


class Receiver(http.server.ThreadingHTTPServer):
    """Receives on a free loopback port."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.spans: list[Span] = []
        self.points: list[Point] = []
        self.logs: list[Log] = []
        self.requests = 0
        """How many requests have come."""
        self.status = 200
        """What it answers; nothing of what comes is kept where that is an error."""
        self.answering = threading.Event()
        """Set while it answers at all."""
        self.answering.set()

    @property
    def url(self) -> str:
        """What ``OTEL_EXPORTER_OTLP_ENDPOINT`` is to be."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, name: str) -> list[Span]:
        """Return the spans of this name that have arrived."""
        return [span for span in self.spans if span.name == name]

    def of(self, metric: str) -> list[Point]:
        """Return the points of this metric that have arrived."""
        return [point for point in self.points if point.metric == metric]

    def await_round(self, *checks: str, more_than: int = 0) -> Span:
        """Return the last round's span as soon as it has arrived, with a span of each of these checks in it.

        Args:
            checks: The labels of the checks.
            more_than: How many rounds there are that do not count.
        """

        def arrived() -> Span | None:
            for root in reversed(self.named(ROUND)[more_than:]):
                inside = {span.name for span in self.children(root)}
                if {f"{CHECK} {label}" for label in checks} <= inside:
                    return root
            return None

        return eventually(arrived, what=f"a round of {', '.join(checks)}")

    def children(self, parent: Span) -> list[Span]:
        """Return the spans that are children of another."""
        return [span for span in self.spans if span.parent == parent.ids]

    def child(self, parent: Span, label: str) -> Span:
        """Return the span of a check in a round."""
        [found] = [span for span in self.children(parent) if span.name == f"{CHECK} {label}"]
        return found

    def orphans(self) -> list[str]:
        """Return the names of the spans whose parent has not arrived."""
        spans = list(self.spans)
        known = {span.ids for span in spans}
        return [span.name for span in spans if span.parent is not None and span.parent not in known]

    def await_no_orphans(self) -> None:
        """Wait until the parent of every span has arrived."""
        eventually(lambda: not self.orphans(), what=f"the parents of {self.orphans()}", seconds=20)

    def take(self, path: str, body: bytes) -> None:
        """Keep what a request brought."""
        if path == "/v1/traces":
            self.spans.extend(spans_of(ExportTraceServiceRequest.FromString(body)))
        elif path == "/v1/metrics":
            self.points.extend(points_of(ExportMetricsServiceRequest.FromString(body)))
        elif path == "/v1/logs":
            self.logs.extend(logs_of(ExportLogsServiceRequest.FromString(body)))
        else:
            raise AssertionError(f"Nobody sends to {path}")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.requests += 1
        self.server.answering.wait()
        if self.server.status == 200:
            self.server.take(self.path, body)
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
        """Be quiet."""


@contextlib.contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    with on_a_thread(Receiver()) as server:
        try:
            yield server
        finally:
            server.answering.set()


@contextlib.contextmanager
def collector(folder: pathlib.Path, to: Receiver | str, *, protocol: str = "http/protobuf") -> Iterator[Server]:
    """Run a collector that somebody else has made, and that forwards by HTTP.

    Args:
        folder: Its folder.
        to: What it forwards to.
        protocol: What is sent to the address that it has.
    """
    http, grpc = free_port(), free_port()
    command: list[str | pathlib.Path] = [
        pathlib.Path(importlib.import_module("rotel").__file__ or "").with_name("rotel-agent"),
        "start",
        f"--otlp-http-endpoint=127.0.0.1:{http}",
        f"--otlp-grpc-endpoint=127.0.0.1:{grpc}",
        f"--otlp-exporter-endpoint={to if isinstance(to, str) else to.url}",
        "--otlp-exporter-protocol=http",
        "--batch-timeout=200ms",
    ]
    environment = {"LD_LIBRARY_PATH": str(sysconfig.get_config_var("LIBDIR"))}  # it needs Python as a library
    with running(command, folder, environment) as server:
        server.url = f"http://127.0.0.1:{grpc if protocol == 'grpc' else http}"
        eventually(lambda: _listens(server, http), what="the collector")
        yield server


def _listens(server: Server, port: int) -> bool:
    if server.process.poll() == CANNOT_LOAD and os.environ.get("REQUIRE_SERVICES") != "1":
        pytest.skip(f"The collector cannot be started with this Python: {server.output()}")
    if server.process.poll() is not None:
        raise AssertionError(f"It ended with code {server.process.returncode}:\n{server.output()}")
    with socket.create_connection(("127.0.0.1", port), 1):
        return True
