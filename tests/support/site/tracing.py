"""The spans of a site of several processes, in one file."""

from __future__ import annotations

import dataclasses
import pathlib

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider

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
