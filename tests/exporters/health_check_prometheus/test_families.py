"""The metric families, from an overview."""

from __future__ import annotations

import dataclasses
import platform
import socket

import django
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from pytest_django import Settings

import health_check
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.extensions import Role
from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview, Reading, Report
from health_check.records import NO_TOTALS, Record
from health_check.registry.definitions import Policy
from health_check_prometheus.families import families_of
from tests.support.parsing import generate_openmetrics, parse_openmetrics, parse_text
from tests.support.readings import reading, report, row, unknown

LABELS_NOT_OURS = {"endpoint", "service", "pod", "job", "instance", "namespace", "container"}

OK = reading("Database", finished=1_700_000_000, time_taken=0.25)
WARNING = reading("Disk", ServiceWarning("95 % in use"))
ERROR = reading("Cache(alias='sessions')", ServiceUnavailable("gone"))
UNKNOWN = unknown("Mail", ServiceUnavailable("no result yet"))


def overview(*readings: Reading, reports: tuple[Report, ...] = ()) -> Overview:
    """Return the overview of these checks."""
    return Overview(readings=readings, reports=reports)


def samples(what: Overview | None) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the values by name and label values, after a way through the text format."""
    found = {}
    for family in parse_text(text_of(what)):
        for sample in family.samples:
            assert sample.timestamp is None
            found[sample.name.removeprefix("django_health_check_"), tuple(sample.labels.values())] = sample.value
    return found


def text_of(what: Overview | None) -> str:
    """Return the text format."""
    return generate_latest(registry_of(what)).decode()


def summary_of(what: Overview | None) -> StoreSummary:
    """Return what is counted of the checks of an overview."""
    if what is None:
        return StoreSummary()
    records = {reading.label: reading.record for reading in what.readings}
    return StoreSummary(
        totals={label: record.totals if record else NO_TOTALS for label, record in records.items()}, up=True
    )


def families(what: Overview | None) -> list[Metric]:
    """Return all families."""
    return families_of(what, summary_of(what))


def registry_of(what: Overview | None) -> CollectorRegistry:
    """Return a registry with the families of an overview."""

    class Families(Collector):
        def collect(self) -> list[Metric]:
            return families(what)

    registry = CollectorRegistry()
    registry.register(Families())
    return registry


def test_status__one_only_while_ok() -> None:
    """The status is 1 exactly while the state is ok."""
    found = samples(overview(OK, WARNING, ERROR, UNKNOWN))
    assert {key[1][0]: value for key, value in found.items() if key[0] == "status"} == {
        "Database": 1,
        "Disk": 0,
        "Cache(alias='sessions')": 0,
        "Mail": 0,
    }


@pytest.mark.parametrize(("what", "state"), [(OK, "ok"), (WARNING, "warning"), (ERROR, "error"), (UNKNOWN, "unknown")])
def test_state__always_four(what: Reading, state: str) -> None:
    """There is a series for each of the four states, and exactly one is 1."""
    found = {key[1][1]: value for key, value in samples(overview(what)).items() if key[0] == "state"}
    assert found == {name: float(name == state) for name in ("ok", "warning", "error", "unknown")}


def test_last_run__of_the_record() -> None:
    """The times are those of the last run, in seconds."""
    found = samples(overview(OK))
    assert found["time_taken_seconds", ("Database",)] == 0.25
    assert found["last_run_timestamp_seconds", ("Database",)] == 1_700_000_000
    assert found["last_success_timestamp_seconds", ("Database",)] == 1_700_000_000
    assert found["last_transition_timestamp_seconds", ("Database",)] == 1_700_000_000


def test_last_run__absent_until_there_was_one() -> None:
    """Of a check that never ran there are no times, and of one that never succeeded no time of success."""
    names = {name for name, _ in samples(overview(UNKNOWN))}
    assert (
        not {
            "time_taken_seconds",
            "last_run_timestamp_seconds",
            "last_success_timestamp_seconds",
            "last_transition_timestamp_seconds",
        }
        & names
    )
    assert {"status", "state", "info", "runs_total", "timeout_seconds", "max_age_seconds", "in_progress"} <= names
    failed = {name for name, _ in samples(overview(ERROR))}
    assert "last_run_timestamp_seconds" in failed
    assert "last_success_timestamp_seconds" not in failed


def test_runs__from_zero() -> None:
    """The runs are there for every outcome, before the first one, too."""
    found = {key[1]: value for key, value in samples(overview(UNKNOWN)).items() if key[0] == "runs_total"}
    assert found == {("Mail", outcome): 0 for outcome in ("ok", "warning", "error", "timeout")}


def test_runs__by_outcome() -> None:
    """Each run counts for its outcome; one past its deadline for timeout and not for error."""
    assert ERROR.record is not None
    late = dataclasses.replace(ERROR.record.result, timed_out=True)
    record: Record | None = None
    for result in (ERROR.record.result, late, late):
        record = Record.after(record, result, max_age=10)
    what = dataclasses.replace(ERROR, record=record)
    found = {key[1][1]: value for key, value in samples(overview(what)).items() if key[0] == "runs_total"}
    assert found == {"ok": 0, "warning": 0, "error": 1, "timeout": 2}


def test_budgets__of_the_check(settings: Settings) -> None:
    """A check says its budgets, and whether a run is under way."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60}
    found = samples(overview(OK, UNKNOWN))
    assert found["timeout_seconds", ("Database",)] == 5
    assert found["max_age_seconds", ("Database",)] == 10
    assert found["in_progress", ("Database",)] == 0
    assert found["in_progress", ("Mail",)] == 1


def test_stuck_pid__while_a_run_hangs() -> None:
    """The process in which a run hangs is told as long as it does."""
    assert ERROR.record is not None
    late = dataclasses.replace(ERROR.record.result, timed_out=True, pid=4711)
    record = Record.after(None, late, max_age=10)
    assert ("stuck_pid", ("Cache(alias='sessions')",)) not in samples(
        overview(dataclasses.replace(ERROR, record=record))
    )
    stuck = dataclasses.replace(ERROR, record=record, in_progress=True)
    assert samples(overview(stuck))["stuck_pid", ("Cache(alias='sessions')",)] == 4711


def test_info__static_facts() -> None:
    """The info has the dotted path of the class, and the scope."""
    [family] = [family for family in families(overview(OK)) if family.type == "info"]
    [sample] = family.samples
    assert sample.name == "django_health_check_info"
    assert sample.value == 1
    assert sample.labels == {
        "check": "Database",
        "backend": "health_check.backends.HealthCheck",
        "scope": "host",
    }


def test_info__what_checks_say_for_people() -> None:
    """Tags, titles, groups and runbooks are labels, the same for all, and eight tags at most; a description is none."""
    policy = Policy(
        tags=(("owner", "payments"), ("tier", "1")),
        runbook="https://example.com/x",
        description="Where orders are.",
        group="Data",
    )
    tagged = dataclasses.replace(OK, definition=dataclasses.replace(OK.definition, policies=(policy,)))
    [family] = [family for family in families(overview(tagged, ERROR)) if family.type == "info"]
    own = [{key: sample.labels[key] for key in ("owner", "tier", "runbook", "group")} for sample in family.samples]
    assert own == [
        {"owner": "payments", "tier": "1", "runbook": "https://example.com/x", "group": "Data"},
        {"owner": "", "tier": "", "runbook": "", "group": ""},
    ]
    assert all("title" not in sample.labels for sample in family.samples)
    assert "orders" not in str(family)
    many = Policy(tags=tuple((f"tag_{n}", "x") for n in range(10)))
    tagged = dataclasses.replace(OK, definition=dataclasses.replace(OK.definition, policies=(many,)))
    [family] = [family for family in families(overview(tagged)) if family.type == "info"]
    assert len([name for name in family.samples[0].labels if name.startswith("tag_")]) == 8


@pytest.mark.parametrize("role", Role)
def test_build_info__says_what_shows_the_metrics(role: Role, settings: Settings) -> None:
    """It has the role, the versions, the store and the host; a host that the store was given goes first."""
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "health_check.stores.MemoryStore"}}
    [sample] = [s for f in families_of(overview(OK), StoreSummary(), role) for s in f.samples if "build" in s.name]
    assert (sample.value, sample.labels) == (
        1,
        {
            "role": role.value,
            "version": health_check.__version__,
            "django": django.get_version(),
            "python": platform.python_version(),
            "store": "MemoryStore",
            "host": socket.gethostname(),
        },
    )
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "a.B", "OPTIONS": {"host": "web-1"}}}
    [sample] = [s for f in families_of(overview(OK), StoreSummary(), role) for s in f.samples if "build" in s.name]
    assert sample.labels["host"] == "web-1"


def test_endpoints__status_and_members() -> None:
    """An endpoint has its status, and a series for each of its checks."""
    failing = report(row(OK), row(ERROR))
    quiet = dataclasses.replace(report(row(OK), row(ERROR, critical=False)), name="shop:ready")
    found = samples(overview(OK, ERROR, reports=(failing, quiet)))
    assert found["endpoint_status", ("health",)] == 0
    assert found["endpoint_status", ("shop:ready",)] == 1
    both = overview(OK, ERROR, reports=(failing, quiet))
    [family] = [family for family in families(both) if family.name == "django_health_check_endpoint_check_info"]
    members = [(s.labels["url_name"], s.labels["check"], s.labels["critical"], s.value) for s in family.samples]
    assert members == [
        ("health", "Database", "true", 1),
        ("health", "Cache(alias='sessions')", "true", 1),
        ("shop:ready", "Database", "true", 1),
        ("shop:ready", "Cache(alias='sessions')", "false", 1),
    ]


def test_endpoint_labels__names() -> None:
    """The labels of the endpoints' series are url_name, check and critical."""
    by_name = {family.name: family for family in families(overview(OK, reports=(report(row(OK)),)))}
    assert set(by_name["django_health_check_endpoint_status"].samples[0].labels) == {"url_name"}
    assert set(by_name["django_health_check_endpoint_check_info"].samples[0].labels) == {
        "url_name",
        "check",
        "critical",
    }


def test_store_up__says_whether_it_was_read() -> None:
    """Without an overview only the store is reported, as down."""
    assert samples(None) == {("store_up", ()): 0, ("draining", ()): 0}
    assert samples(overview())["store_up", ()] == 1


def test_labels__none_that_scrapers_own() -> None:
    """No label is one that scrape configurations own, and no error's text is a label."""
    for family in families(overview(OK, WARNING, ERROR, UNKNOWN, reports=(report(row(ERROR)),))):
        for sample in family.samples:
            assert not LABELS_NOT_OURS & set(sample.labels)
            assert "gone" not in "".join(sample.labels.values())


@pytest.mark.parametrize("label", ['a "b" c', "back\\slash", "new\nline", "größe", "🐍", "{a='b'}", "#"])
def test_labels__survive_the_format(label: str) -> None:
    """Any label comes back from the text format and from OpenMetrics as it was."""
    what = overview(reading(label), reports=(report(row(reading(label))),))
    for families in (
        parse_text(text_of(what)),
        parse_openmetrics(generate_openmetrics(registry_of(what))),
    ):
        labels = [
            sample.labels["check"] for family in families for sample in family.samples if "check" in sample.labels
        ]
        assert set(labels) == {label}


def test_families__named_and_described() -> None:
    """Each family has our prefix and a help text, and the same names with and without checks."""
    full, empty = (families(what) for what in (overview(OK, reports=(report(row(OK)),)), None))
    assert [(family.name, family.type) for family in full] == [(family.name, family.type) for family in empty]
    assert all(f"{family.name}_".startswith("django_health_check_") and family.documentation for family in full)
