"""The site's faces, asked anything in this process: they answer, and give no secret away."""

from __future__ import annotations

import collections
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_django import Settings

from health_check.runner import observers
from health_check_opentelemetry import SpanObserver
from tests.conftest import Mount
from tests.support.fuzz_handlers import STACKS
from tests.support.fuzz_requests import AT_ONCE, SECONDS, Request, fuzz, request_of
from tests.support.fuzz_rules import LEAKS, Judge, assert_nothing_shown
from tests.support.repetitions import long, times
from tests.support.site import planted_settings
from tests.support.site.planted import DSN, PRIVATE, SECRET, TOKEN

pytestmark = pytest.mark.timeout(SECONDS)

EXAMPLES = {"wsgi": 600, "asgi": 460}

COMBINED = pytest.mark.parametrize(
    ("kind", "stack"),
    [("first", "asgi"), ("plain", "wsgi"), long("first", "wsgi"), long("plain", "asgi")],
    indirect=["kind"],
)
"""Each kind of site, and each way to serve it."""


class Log(logging.Handler):
    """Keep what is logged, as it would be written."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self.lines: list[str] = []
        self.errors: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        extras = {name: value for name, value in vars(record).items() if name not in ("request", "exc_info", "args")}
        self.lines.append(f"{self.format(record)} {extras}")
        error = record.exc_info[1] if record.exc_info else None
        unexpected = error is not None and not isinstance(error, UnicodeDecodeError)  # that of a query, under ASGI
        if record.name.startswith("django.request") and (unexpected or record.levelno >= logging.ERROR):
            self.errors.append(self.lines[-1])

    def assert_clean(self) -> None:
        """Assert that there is no secret in it, and no error of the site's."""
        lines, self.lines = self.lines, []
        assert self.errors == []
        assert [line for line in lines for leak in LEAKS if leak in line] == []


@contextlib.contextmanager
def logged() -> Iterator[Log]:
    """Keep all that is logged meanwhile, by anybody."""
    handler, root = Log(), logging.getLogger()
    before = root.level, root.handlers
    root.setLevel(logging.DEBUG)
    root.handlers = [handler]  # without those of pytest, which would keep it all
    yield handler
    root.setLevel(before[0])  # an assignment would leave what loggers remember
    root.handlers = before[1]


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of all runs."""
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    observer = SpanObserver(provider)
    observers.register_observer(observer)
    yield exporter
    observers.unregister_observer(observer)
    provider.shutdown()


_OF_SERVERS = ("DATABASES", "INSTALLED_APPS", "LOGGING")
"""The settings that are not for a process that runs tests."""


@pytest.fixture
def kind(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch, add_database: Mount
) -> str:
    """A site that may be asked anything, by the name of its kind."""
    kind: str = request.param
    add_database("planted", **planted_settings.DATABASES["planted"])
    monkeypatch.setenv("PLANTED_PASSWORD", SECRET)
    values: dict[str, Any] = {
        **{name: value for name, value in vars(planted_settings).items() if name.isupper() and name not in _OF_SERVERS},
        **planted_settings.FORWARDING,
        **planted_settings.SITES[kind],
    }
    for name, value in values.items():
        setattr(settings, name, value)
    return kind


@COMBINED
def test_fuzz(kind: str, stack: str, spans: InMemorySpanExporter) -> None:
    """Whatever is asked, of whatever endpoint, the answer is one of ours or the site's, and no secret is anywhere."""
    judge = Judge(gets_through=kind == "first")
    with STACKS[stack]() as ask, logged() as log:

        @fuzz(request_of, examples=EXAMPLES[stack], name=f"{kind} {stack}")
        def check(requests: list[Request]) -> None:
            for request, answer in zip(requests, ask(requests), strict=True):
                judge.judge(request, answer)
            log.assert_clean()

        check()
    told = [f"{s.name} {s.attributes} {s.status.description} {s.events}" for s in spans.get_finished_spans()]
    assert told
    assert [text for text in told for leak in (*LEAKS, PRIVATE) if leak in text] == []
    print(f"{kind}, {stack}: {judge}; {len(told)} spans")
    assert judge.inputs >= times(EXAMPLES[stack]) * AT_ONCE


@COMBINED
def test_fuzz__unusable_settings(kind: str, stack: str, settings: Settings) -> None:
    """Where settings cannot be used, all are told so, without the secrets in them, and nobody is let in."""
    settings.HEALTH_CHECK = {**settings.HEALTH_CHECK, "ACCESS": {"TOKENS": TOKEN, "OPEN": False}, "TIMEOUT": DSN}
    statuses: collections.Counter[int] = collections.Counter()
    with STACKS[stack]() as ask, logged() as log:

        @fuzz(request_of, examples=30, name=f"unusable {kind} {stack}")
        def check(requests: list[Request]) -> None:
            for request, answer in zip(requests, ask(requests), strict=True):
                assert_nothing_shown(answer)
                statuses[answer.status] += 1
                if request.plain_path in ("/health/", "/fresh/", "/metrics"):
                    assert answer.status in (301, 400, 500)
                if request.plain_path == "/health/live/":  # which needs no settings
                    assert answer.status in (200, 301, 400, 406)
            log.assert_clean()

        check()
    print(f"{kind}, {stack}, unusable settings: {dict(sorted(statuses.items()))}")
