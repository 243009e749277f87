"""The spans of a site: in the memory of its process, or of several processes in one file."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import time
from collections.abc import Sequence

from django.http import HttpRequest, JsonResponse
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.site.configuration import configured

FILE = "spans"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Traced:
    """A span that has ended."""

    trace_id: str
    """Its trace, in hexadecimal digits."""
    span_id: str
    """Its own id, likewise."""
    name: str
    """What it is called."""


class Writing(SpanProcessor):
    """Write each span to the file as it ends."""

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        assert context is not None
        ids = trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id)
        with configured().folder.joinpath(FILE).open("a") as file:
            file.write(f"{' '.join(ids)} {span.name}\n")


def set_up() -> None:
    """Have this process write its spans."""
    provider = TracerProvider()
    provider.add_span_processor(Writing())
    trace.set_tracer_provider(provider)


def written(folder: pathlib.Path) -> list[Traced]:
    """Return the spans of all processes of the site in this folder."""
    lines = (line.split(" ", 2) for line in folder.joinpath(FILE).read_text().splitlines())
    return [Traced(trace_id=trace_id, span_id=span_id, name=name) for trace_id, span_id, name in lines]


class Exporter(InMemorySpanExporter):
    """Keep spans in memory, as slowly as the test says."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        time.sleep(configured().export_seconds)
        return super().export(spans)


@functools.cache
def exporter() -> Exporter:
    """Return where the spans of this process are, from the first call on."""
    memory = Exporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    trace.set_tracer_provider(provider)
    return memory


def spans(request: HttpRequest) -> JsonResponse:
    """Show the spans that have ended, the first to end first; times in seconds."""
    found = [
        {"name": span.name, "attributes": dict(span.attributes or {}), "ended": (span.end_time or 0) / 1e9}
        for span in exporter().get_finished_spans()
    ]
    return JsonResponse({"spans": found})
