"""What the panels ask Prometheus for.

Several targets may export one record: checks and endpoints are aggregated over instances with ``max`` and ``min``,
and only then, where needed, added up.
"""

from __future__ import annotations

from health_check_dashboards.options import DEFAULTS

SITE = 'namespace=~"$namespace", job=~"$job"'
HERE = f'{SITE}, instance=~"$instance"'
CHECKS = f'{HERE}, check=~"$check"'
ENDPOINTS = f'{HERE}, url_name=~"$endpoint"'
RECORDED = f'{SITE}, url_name=~"$endpoint"'

WINDOW = DEFAULTS["window"]
"""The time that the objective is about."""

PREFIX = "django_health_check_"
BY_CHECK = "by (namespace, job, check)"
BY_ENDPOINT = "by (namespace, job, url_name)"
BY_INSTANCE = "by (namespace, job, instance)"


def of_checks(name: str, **labels: str) -> str:
    """Return the selector of a metric of the chosen checks: ``of_checks("state", state="ok")``."""
    return _selector(name, CHECKS, labels)


def of_endpoints(name: str, **labels: str) -> str:
    """Return the selector of a metric of the chosen endpoints."""
    return _selector(name, ENDPOINTS, labels)


def of_instances(name: str) -> str:
    """Return the selector of a metric of the chosen instances."""
    return _selector(name, HERE, {})


def _selector(name: str, matchers: str, labels: dict[str, str]) -> str:
    more = "".join(f', {label}="{value}"' for label, value in labels.items())
    return f"{PREFIX}{name}{{{matchers}{more}}}"


def severity(matchers: str, by: str) -> str:
    """Return how bad things are: 0 ok, 1 warning, 2 unknown, 3 error."""
    state = f"{PREFIX}state{{{matchers}, state="
    return f'max {by} (3 * {state}"error"}} or 2 * {state}"unknown"}} or {state}"warning"}} or 0 * {state}"ok"}})'


def age(name: str) -> str:
    """Return for how many seconds a time stamp of the chosen checks has been over."""
    return f"time() - max {BY_CHECK} ({of_checks(name)})"


def number_in(state: str) -> str:
    """Return how many checks are in a state; nothing where no check is known."""
    return f"sum(max {BY_CHECK} ({of_checks('state', state=state)}))"


CHECK_SEVERITY = severity(CHECKS, BY_CHECK)

NOT_OK = f"{CHECK_SEVERITY} > 0"

ENDPOINT_STATUS = f"min {BY_ENDPOINT} ({of_endpoints('endpoint_status')})"

FIRING = (
    "max by (alertname, severity, namespace, job, instance, check, url_name, runbook)"
    f' (ALERTS{{alertname=~"HealthCheck.+", alertstate="firing", {SITE}}})'
)

FIRING_ROWS = f'label_replace({FIRING}, "anchor", "$1", "alertname", "(.*)")'
"""The same with the name a second time, of which the anchor in the page on alerts is made."""

TIME_TAKEN = f"max {BY_CHECK} ({of_checks('time_taken_seconds')})"

BUDGET_SHARE = f"clamp_max(max {BY_CHECK} ({of_checks('time_taken_seconds')} / {of_checks('timeout_seconds')}), 1)"

UPTIME = f"min {BY_CHECK} (avg_over_time({of_checks('status')}[$__range]))"

FLAPS = f"max {BY_CHECK} (resets({of_checks('status')}[$__range]))"

ENDPOINT_COUNT = f"count {BY_CHECK} (count by (namespace, job, check, url_name) ({of_checks('endpoint_check_info')}))"

IS_CRITICAL = (
    f"max {BY_CHECK} ({of_checks('endpoint_check_info', critical='true')}"
    f" or 0 * {of_checks('endpoint_check_info', critical='false')})"
)

BUCKETS = f"{of_checks('duration_seconds_bucket')}[$__rate_interval]"

BY_BUCKET = "by (namespace, job, check, le)"


NATIVE = f"{of_checks('duration_seconds')}[$__rate_interval]"
"""The same where Prometheus keeps native histograms, which have no buckets of their own names."""


def quantile(share: str) -> str:
    """Return below what time that share of the runs stayed, check by check, on the instance that is slowest."""
    parts = (f"max {BY_CHECK} (histogram_quantile({share}, rate({series})))" for series in (BUCKETS, NATIVE))
    return " or ".join(parts)


RUNS_BY_DURATION = f"sum by (le) (max {BY_BUCKET} (increase({BUCKETS}))) or sum (avg {BY_CHECK} (increase({NATIVE})))"

RUNS_BY_OUTCOME = (
    "60 * sum by (namespace, job, outcome) (max by (namespace, job, check, outcome)"
    f" (rate({of_checks('runs_total')}[$__rate_interval])))"
)

STALENESS = (
    f"max {BY_CHECK} ((time() - {of_checks('last_run_timestamp_seconds')}) / ({of_checks('max_age_seconds')} > 0))"
)

UNDER_WAY = f"max {BY_CHECK} (time() - {of_checks('last_run_timestamp_seconds')} and {of_checks('in_progress')} == 1)"

AVAILABLE = f"job_url_name:django_health_check_endpoint_status:max{{{RECORDED}}}"

AVAILABILITY = f"avg_over_time({AVAILABLE}[{WINDOW}])"

BUDGET_LEFT = f"1 - (1 - {AVAILABILITY}) / (1 - $objective / 100)"

BURN_RATE = f"job_url_name:django_health_check_endpoint_failing:avg1h{{{RECORDED}}} / (1 - $objective / 100)"

KNOWN = f"count by (namespace, job) (last_over_time({PREFIX}store_up{{{SITE}}}[$__range]))"
"""The sites of the range, whether they can be scraped now or not."""

TARGETS = f"up{{{HERE}}} and on (namespace, job) {KNOWN}"
"""The targets of sites, and of nothing else that Prometheus scrapes."""

TARGETS_UP = f"count(({TARGETS}) == 1) or 0 * count({TARGETS})"

TARGETS_DOWN = f"count(({TARGETS}) == 0) or 0 * count({TARGETS})"

GRID = severity(CHECKS, "by (namespace, job, instance, check)")

DEPLOYED = (
    f'max by (namespace, job, host, version, django, python) ({PREFIX}build_info{{{SITE}, role="site"}})'
    f" unless max by (namespace, job, host, version, django, python)"
    f' ({PREFIX}build_info{{{SITE}, role="site"}} offset 5m)'
)
"""The processes that were not there five minutes before, with their versions."""


def by_site(expression: str) -> str:
    """Return an expression with a label ``site``, which distinguishes sites by all their labels."""
    joined = f'label_join({expression}, "site", " / ", "namespace", "job")'
    return f'label_replace({joined}, "site", "$1", "site", "(?: / )*(.+)")'
