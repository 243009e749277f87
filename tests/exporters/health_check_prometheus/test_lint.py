"""The page as those see it who are strict: promtool's linter, and the reference parsers."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping

import pytest
from django.test import Client
from pytest_django import Settings

from health_check.exceptions import ServiceUnavailable
from health_check.monitor import runtime
from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview
from health_check.records import NO_TOTALS
from health_check.registry.definitions import Definition
from health_check.runner.observers import Observer, RoundObserver, RunObserver
from health_check_prometheus.families import families_of
from tests.conftest import Mount
from tests.support.checks import Broken, Exiting, Fine, Shaky, TwiceBroken, Unbuildable
from tests.support.parsing import families_in, page_of
from tests.support.readings import unknown
from tests.support.recording import following
from tests.support.services import require

LABELS = [
    "quotes \"double\" and 'single'",
    r"back\slashes \\ and \n that is none",
    "Größe größer, Straße, ñ, Ω",
    "emoji 🐍 👩‍🚀 🇩🇪",
    "{check='x'} 1 # {a=\"b\"} 2",
    "# EOF",
    "عربى עברית 漢字",
]
NEWLINES = "a\nnewline, a\ttab"
SHOWN = [*LABELS, "a newline, a tab"]
"""What the labels come back as: white space is a space."""

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
PREFIX = "django_health_check"
FAMILIES = 18
"""How many of ours there are."""

SERIES_PER_CHECK = 28
"""How many series a check has by default, besides those of its endpoints."""


class Traced(RunObserver):
    """A run whose trace is sampled."""

    def exemplar(self) -> Mapping[str, str]:
        return TRACE


class Tracing(Observer, RoundObserver):
    """Has all runs traced."""

    def round(self, *_: object, **__: object) -> RoundObserver:
        return self

    def run(self, definition: Definition) -> RunObserver:
        return Traced()


@pytest.fixture(autouse=True)
def _site(mount_checks: Mount, settings: Settings) -> Iterator[None]:
    """A site with checks of all outcomes and labels of all kinds, whose runs are traced."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60}
    named = [(type(f"Named{number}", (Fine,), {}), {"name": name}) for number, name in enumerate([*LABELS, NEWLINES])]
    mount_checks(Fine, Broken, Shaky, TwiceBroken, Exiting, Unbuildable, "no.such.Check", *named)
    with following(Tracing()):
        yield


def page(client: Client, accept: str = "", **query: str) -> str:
    """Return the page, in a format."""
    answer = client.get("/metrics", query, headers={"Accept": accept})
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.mark.parametrize("scope", ["", "health"])
def test_promtool__has_nothing_to_say(client: Client, scope: str) -> None:
    """The linter takes the page, and finds nothing that goes against the conventions in our families."""
    text = page(client, scope=scope)
    assert text.count(f"# TYPE {PREFIX}") == FAMILIES
    code, said = check(text)
    assert [line for line in said.splitlines() if PREFIX in line or "error" in line] == []
    assert (code, said) == (0, "") or not scope


def test_promtool__without_the_store() -> None:
    """Without counters it takes the page, too: families that have no series now."""
    overview = runtime.read()
    families = families_of(overview, StoreSummary())
    assert check(page_of(families, openmetrics=False)) == (0, "")
    assert families_in(page_of(families, openmetrics=True))


def check(text: str) -> tuple[int, str]:
    """Return the exit code of promtool for a page, and what it says."""
    program = require("promtool", package="prometheus")
    done = subprocess.run([program, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("buckets", "per_check"), [(None, SERIES_PER_CHECK), ([0.1, 1, 10], SERIES_PER_CHECK - 5), ([1], 21)]
)
def test_series__as_many_as_documented(
    buckets: list[float] | None, per_check: int, settings: Settings, mount_checks: Mount, client: Client
) -> None:
    """A check makes so many series, and one more for its endpoint, which makes one; the site makes three."""
    settings.HEALTH_CHECK = {} if buckets is None else {"DURATION_BUCKETS": buckets}
    for number in (1, 3):
        checks = [Fine, type("Second", (Fine,), {}), type("Third", (Fine,), {})][:number]
        mount_checks(*checks)
        families = families_in(page(client, scope="health")).values()
        samples = [sample for family in families for sample in family.samples]
        assert len(samples) == number * (per_check + 1) + 1 + 3


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain;version=0.0.4",
        "text/plain;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text;version=1.0.0",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8",
        "application/openmetrics-text;version=1.0.0;escaping=values",
    ],
)
def test_parsers__labels_come_back(client: Client, accept: str) -> None:
    """The reference parsers take the whole page in every format, and the labels come back as they were."""
    found = families_in(page(client, accept))
    for name in ("status", "duration_seconds", "state", "endpoint_check_info"):
        labels = {sample.labels["check"] for sample in found[f"{PREFIX}_{name}"].samples}
        assert set(SHOWN) <= labels, name


def test_openmetrics__units_types_and_exemplars(client: Client) -> None:
    """Strictly parsed, what is in seconds or of the last run says so, types are documented, checks have exemplars."""
    start = time.time()
    found = families_in(page(client, "application/openmetrics-text"))
    ours = {name: family for name, family in found.items() if name.startswith(PREFIX)}
    assert {name for name, family in ours.items() if family.unit == "seconds"} == {
        name for name in ours if name.endswith("_seconds")
    }
    for family in ours.values():
        assert family.documentation[0].isupper(), family
        assert family.documentation.endswith("."), family
    for name in ("status", "state", "time_taken_seconds"):
        assert "as of its last run" in ours[f"{PREFIX}_{name}"].documentation
    types = {name.removeprefix(PREFIX).strip("_"): family.type for name, family in ours.items()}
    assert {name: kind for name, kind in types.items() if kind != "gauge"} == {
        "": "info",
        "runs": "counter",
        "duration_seconds": "histogram",
    }
    exemplars = {s.labels["check"]: s.exemplar for s in ours[f"{PREFIX}_duration_seconds"].samples if s.exemplar}
    assert set(SHOWN) <= exemplars.keys()
    for exemplar in exemplars.values():
        assert exemplar is not None
        assert exemplar.labels == TRACE
        assert exemplar.value >= 0
        assert start - 60 < float(exemplar.timestamp or 0) <= time.time()


def test_removed_check__vanishes(mount_checks: Mount, client: Client) -> None:
    """Of a check that is taken out nothing is left on the page, though the store still has its record."""
    assert 'check="Broken"' in page(client)
    mount_checks(Fine)
    assert 'check="Broken"' not in page(client)
    assert 'check="Fine"' in page(client)


def test_never_run__parses_without_any_result() -> None:
    """Where no check has run, strict parsers take the page, with all counters and buckets at zero."""
    readings = tuple(unknown(label, ServiceUnavailable("no result yet")) for label in LABELS)
    summary = StoreSummary(totals=dict.fromkeys(LABELS, NO_TOTALS), up=True)
    families = families_of(Overview(readings=readings, reports=()), summary)
    for openmetrics in (True, False):
        found = families_in(page_of(families, openmetrics=openmetrics))
        runs = found[f"{PREFIX}_runs"]
        assert {sample.value for sample in found[f"{PREFIX}_duration_seconds"].samples + runs.samples} == {0}
        assert not found[f"{PREFIX}_last_run_timestamp_seconds"].samples
