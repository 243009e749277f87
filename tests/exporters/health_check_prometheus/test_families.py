"""The metric families, from an overview."""

from __future__ import annotations

import dataclasses
import platform
import socket

import django
import pytest
from prometheus_client.metrics_core import Metric
from pytest_django import Settings

import health_check
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.extensions import Role
from health_check.monitor.history import StoreSummary
from health_check.monitor.reports import Overview, Reading, Report
from health_check.records import NO_TOTALS, Record
from health_check.registry.policies import Policy
from health_check_prometheus.families import families_of
from tests.support.parsing import page_of, parse_text
from tests.support.readings import reading, report, row, unknown

LABELS_NOT_OURS = {"endpoint", "service", "pod", "job", "instance", "namespace", "container"}

OK = reading("Database", finished=1_700_000_000, time_taken=0.25)
WARNING = reading("Disk", ServiceWarning("95 % in use"))
ERROR = reading("Cache(alias='sessions')", ServiceUnavailable("gone"))
UNKNOWN = unknown("Mail", ServiceUnavailable("no result yet"))
assert ERROR.record is not None
LATE = dataclasses.replace(ERROR.record.result, timed_out=True, pid=4711)
"""A run that was cut short."""

TIMES = ("time_taken", "last_run_timestamp", "last_success_timestamp", "last_transition_timestamp")


def families(*readings: Reading, reports: tuple[Report, ...] = ()) -> dict[str, Metric]:
    """Return the families of these checks, by name without prefix."""
    records = {reading.label: reading.record for reading in readings}
    totals = {label: record.totals if record else NO_TOTALS for label, record in records.items()}
    found = families_of(Overview(readings=readings, reports=reports), StoreSummary(totals=totals, up=True))
    return {family.name.removeprefix("django_health_check").lstrip("_"): family for family in found}


def samples(*readings: Reading, reports: tuple[Report, ...] = ()) -> dict[tuple[str, ...], float]:
    """Return the values by name and label values, after a way through the text format."""
    found = {}
    for family in parse_text(page_of(families(*readings, reports=reports).values(), openmetrics=False)):
        for sample in family.samples:
            assert sample.timestamp is None
            found[sample.name.removeprefix("django_health_check_"), *sample.labels.values()] = sample.value
    return found


@pytest.mark.parametrize(("what", "state"), [(OK, "ok"), (WARNING, "warning"), (ERROR, "error"), (UNKNOWN, "unknown")])
def test_state__always_four(what: Reading, state: str) -> None:
    """There is a series for each of the four states, exactly one is 1, and the status is 1 while that is ok."""
    found = samples(what)
    states = {key[2]: value for key, value in found.items() if key[0] == "state"}
    assert states == {name: float(name == state) for name in ("ok", "warning", "error", "unknown")}
    assert found["status", what.label] == (state == "ok")


def test_times__of_the_record() -> None:
    """The times are those of the last run, in seconds; those of a run, or success, that never was are absent."""
    shown = {name: samples(OK)[f"{name}_seconds", "Database"] for name in TIMES}
    assert shown == dict.fromkeys(TIMES, 1_700_000_000) | {"time_taken": 0.25}
    never, failed = ({key[0].removesuffix("_seconds") for key in samples(what)} for what in (UNKNOWN, ERROR))
    assert {"status", "state", "info", "runs_total", "timeout", "max_age", "in_progress"} <= never
    assert not set(TIMES) & never
    assert set(TIMES) - failed == {"last_success_timestamp"}


def test_runs__by_outcome() -> None:
    """Each run counts for its outcome, from zero on; one past its deadline for timeout and not for error."""
    record: Record | None = None
    for result in (dataclasses.replace(LATE, timed_out=False), LATE, LATE):
        record = Record.after(record, result, max_age=10)
    found = samples(dataclasses.replace(ERROR, record=record), UNKNOWN)
    for label, counts in ((ERROR.label, (0, 0, 1, 2)), ("Mail", (0, 0, 0, 0))):
        assert tuple(found["runs_total", label, one] for one in ("ok", "warning", "error", "timeout")) == counts


def test_budgets__of_the_check(settings: Settings) -> None:
    """A check says its budgets, and whether a run is under way."""
    settings.HEALTH_CHECK = {"MAX_AGE": 60}
    found = samples(OK, UNKNOWN)
    assert (found["timeout_seconds", "Database"], found["max_age_seconds", "Database"]) == (5, 10)
    assert (found["in_progress", "Database"], found["in_progress", "Mail"]) == (0, 1)


def test_stuck_pid__while_a_run_hangs() -> None:
    """The process in which a run hangs is told as long as it does."""
    late = dataclasses.replace(ERROR, record=Record.after(None, LATE, max_age=10))
    assert ("stuck_pid", ERROR.label) not in samples(late)
    assert samples(dataclasses.replace(late, in_progress=True))["stuck_pid", ERROR.label] == 4711


def infos(*readings: Reading) -> list[dict[str, str]]:
    """Return the labels of the info of checks."""
    assert all(sample.value == 1 for sample in families(*readings)[""].samples)
    return [sample.labels for sample in families(*readings)[""].samples]


def with_policy(policy: Policy) -> Reading:
    """Return a check with a policy of its own."""
    return dataclasses.replace(OK, definition=dataclasses.replace(OK.definition, policies=(policy,)))


def test_info__says_what_checks_are() -> None:
    """It has the class and the scope; tags, groups and runbooks, eight tags at most, if a check has any; no text."""
    static = {"check": "Database", "backend": "health_check.backends.HealthCheck", "scope": "host"}
    assert infos(OK) == [static]
    tags = (("owner", "payments"), ("tier", "1"))
    told = {**dict(tags), "runbook": "https://example.com/x", "group": "Data"}
    policy = Policy(tags=tags, runbook=told["runbook"], group=told["group"], description="Where orders are.")
    empty = {**static, "check": ERROR.label, **dict.fromkeys(told, "")}
    assert infos(with_policy(policy), ERROR) == [{**static, **told}, empty]
    [many] = infos(with_policy(Policy(tags=tuple((f"tag_{n}", "x") for n in range(10)))))
    assert len([name for name in many if name.startswith("tag_")]) == 8


@pytest.mark.parametrize("role", Role)
def test_build_info__says_what_shows_the_metrics(role: Role, settings: Settings) -> None:
    """It has the role, the versions, the store and the host; a host that the store was given goes first."""
    for store, host in (
        ({"BACKEND": "health_check.stores.MemoryStore"}, socket.gethostname()),
        ({"BACKEND": "a.MemoryStore", "OPTIONS": {"host": "web-1"}}, "web-1"),
    ):
        settings.HEALTH_CHECK = {"STORE": store}
        found = families_of(Overview(readings=(OK,), reports=()), StoreSummary(), role)
        [sample] = [sample for family in found for sample in family.samples if "build" in sample.name]
        expected = {"role": role.value, "version": health_check.__version__, "store": "MemoryStore", "host": host}
        versions = {"django": django.get_version(), "python": platform.python_version()}
        assert (sample.value, sample.labels) == (1, {**expected, **versions})


def test_endpoints__status_and_members() -> None:
    """An endpoint has its status, and a series for each of its checks."""
    failing = report(row(OK), row(ERROR))
    quiet = dataclasses.replace(report(row(OK), row(ERROR, critical=False)), name="shop:ready")
    found = families(OK, ERROR, reports=(failing, quiet))
    statuses = [(sample.labels, sample.value) for sample in found["endpoint_status"].samples]
    assert statuses == [({"url_name": "health"}, 0), ({"url_name": "shop:ready"}, 1)]
    members = [(sample.labels, sample.value) for sample in found["endpoint_check_info"].samples]
    assert members == [
        ({"url_name": url_name, "check": check, "critical": critical}, 1)
        for url_name, check, critical in (
            ("health", "Database", "true"),
            ("health", ERROR.label, "true"),
            ("shop:ready", "Database", "true"),
            ("shop:ready", ERROR.label, "false"),
        )
    ]


def test_store_up__says_whether_it_was_read() -> None:
    """Without an overview only the store is reported, as down."""
    found = [(s.name, s.value) for family in families_of(None, StoreSummary()) for s in family.samples]
    assert found == [("django_health_check_store_up", 0), ("django_health_check_draining", 0)]
    assert samples()["store_up",] == 1


def test_labels__none_that_scrapers_own() -> None:
    """No label is one that scrape configurations own, and no error's text is a label."""
    found = families(OK, WARNING, ERROR, UNKNOWN, reports=(report(row(ERROR)),)).values()
    for sample in [sample for family in found for sample in family.samples]:
        assert not LABELS_NOT_OURS & set(sample.labels)
        assert "gone" not in "".join(sample.labels.values())
