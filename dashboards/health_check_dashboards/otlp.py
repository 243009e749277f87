"""The names under which the metrics arrive by OpenTelemetry's protocol, OTLP.

Rules, dashboards and the console page are written for the names of ``/metrics``. Here is what each metric and each
label is called where it came by OTLP, with names as Prometheus has them: dots as ``_``, units and ``_total`` at the
end. The job is the name of the service, the instance its ``service.instance.id``.
"""

from __future__ import annotations

import re

PREFIX = "django_health_check_"

METRICS = {
    "state": "health_check_check_status",
    "time_taken_seconds": "health_check_check_time_taken_seconds",
    "last_run_timestamp_seconds": "health_check_check_last_run_timestamp_seconds",
    "last_success_timestamp_seconds": "health_check_check_last_success_timestamp_seconds",
    "last_transition_timestamp_seconds": "health_check_check_last_transition_timestamp_seconds",
    "timeout_seconds": "health_check_check_timeout_seconds",
    "max_age_seconds": "health_check_check_max_age_seconds",
    "in_progress": "health_check_check_in_progress",
    "stuck_pid": "health_check_check_stuck_pid",
    "runs_total": "health_check_check_runs_total",
    "duration_seconds": "health_check_check_duration_seconds",
    "duration_seconds_bucket": "health_check_check_duration_seconds_bucket",
    "info": "health_check_check_info",
    "endpoint_status": "health_check_endpoint_status",
    "endpoint_check_info": "health_check_endpoint_check_info",
    "build_info": "health_check_process_info",
    "store_up": "health_check_store_up",
    "draining": "health_check_draining",
}
"""What each metric is called, by its name without prefix; ``status`` is that of the state ``ok``."""

LABELS = {
    "check": "health_check_name",
    "state": "health_check_state",
    "outcome": "health_check_outcome",
    "url_name": "health_check_url_name",
    "critical": "health_check_critical",
    "backend": "health_check_backend",
    "scope": "health_check_scope",
    "runbook": "health_check_runbook",
    "role": "health_check_role",
    "version": "health_check_version",
    "django": "health_check_django_version",
    "python": "health_check_python_version",
    "store": "health_check_store",
    "host": "health_check_host",
}
"""What each label is called; all others are called the same."""

TEXTS = {
    "is down: none of its targets can be scraped": "is down: none of its processes sends metrics",
    "targets of {{ $labels.job }} can be scraped.": "processes of {{ $labels.job }} sends metrics.",
    "Prometheus has no target of {{ $labels.job }}": "No metrics of {{ $labels.job }}",
    "There is no target of {{ $labels.job }}": "No metrics have arrived of {{ $labels.job }}",
    "Is a site of the job {{ $job }} scraped, with <code>health_check_prometheus</code>": (
        "Does a service {{ $job }} send metrics, with <code>health_check_opentelemetry</code>"
    ),
    "is health_check_prometheus in INSTALLED_APPS, and the site scraped?": (
        "is health_check_opentelemetry in INSTALLED_APPS, and do metrics arrive?"
    ),
    "How many targets Prometheus can scrape, and cannot. Without them, all other panels show the past.": (
        "How many processes send metrics. Without them, all other panels show the past."
    ),
    '"Scrapes"': '"Arrivals"',
    "How long Prometheus takes to scrape each target.": "How long ago each process sent its last metrics.",
    "Scrape targets": "Processes",
}
"""What is said otherwise."""

QUERIES = (
    # What a process counts for itself, in a series for each state: added up, and over processes where it is no rate.
    (
        rf"\brate\(({PREFIX}duration_seconds\w*\{{[^{{}}]*\}}\[[^\]]*\])\)",
        r"sum by (namespace, job, instance, check, le) (rate(\1))",
    ),
    (
        rf"\bincrease\(({PREFIX}duration_seconds\w*\{{[^{{}}]*\}}\[[^\]]*\])\)",
        r"sum by (namespace, job, check, le) (increase(\1))",
    ),
    # There is no ``up``: what sends is there.
    (r'\bup\{(?!job=")([^{}]*)\}', rf"({PREFIX}store_up{{\1}} >= bool 0)"),
    (r"\bscrape_duration_seconds(\{[^{}]*\})", rf"time() - timestamp({PREFIX}store_up\1)"),
)
"""Patterns of what is asked for otherwise, and how."""

STATUS = re.compile(rf"(?<![\w:]){PREFIX}status\b(?P<selector>\{{)?")
METRIC = re.compile(rf"(?<![\w:]){PREFIX}(\w+)")
CLAUSE = re.compile(r"\b(?:by|on|group_left) \([^()]*\)")
NAME = re.compile(rf"\b(?:{'|'.join(LABELS)})\b")
PLACES = tuple(
    re.compile(pattern.replace("NAME", f"(?P<name>{'|'.join(LABELS)})"), re.MULTILINE)
    for pattern in (
        r"""(?P<before>[{,]\s*)NAME(?=(?:=~|!~|!=|=)(?:%|'|\\?"))""",  # in a selector
        r"(?P<before>(?:\$labels|\.Labels)\.)NAME\b",  # in a template
        r'(?P<before>sortByLabel ")NAME(?=")',
        r"(?P<before>\{\{)NAME(?=\}\})",  # in a legend
        r'(?P<before>")NAME(?=", "\$1")',  # in label_replace
        r"(?P<before>label_values\(.*, )NAME(?=\)\")",
        r'(?P<before>")NAME(?=": (?:\d+,?|"[A-Z]\w*",?)$)',  # in what orders and names the columns of a table
        r'(?P<before>"(?:rowField|columnField)": ")NAME(?=")',
        r'(?P<before>"options": "(?:site\\\\)?)NAME(?=[\\"])',
    )
)
"""Where the name of a label stands, besides clauses such as ``by (check)``."""


def adapted(text: str) -> str:
    """Return a text that says and asks what holds for metrics that came by OTLP, still by the names of ``/metrics``."""
    for old, new in TEXTS.items():
        text = text.replace(old, new)
    for pattern, new in QUERIES:
        text = re.sub(pattern, new, text)
    return text


def renamed(text: str) -> str:
    """Return rules, a dashboard or a page with the names that arrive by OTLP.

    Raises:
        LookupError: If a metric is none of ours.
    """
    text = STATUS.sub(lambda match: f"{PREFIX}state{{state='ok'{',' if match['selector'] else '}'}", text)
    text = METRIC.sub(lambda match: METRICS[match[1]], text)
    text = CLAUSE.sub(lambda clause: NAME.sub(lambda name: LABELS[name[0]], clause[0]), text)
    for place in PLACES:
        text = place.sub(lambda match: match["before"] + LABELS[match["name"]], text)
    return text


def with_alert_labels(text: str, tags: tuple[str, ...]) -> str:
    """Return rules whose alerts also have the labels that Alertmanager knows: ``check``, ``url_name``, and tags."""
    return ALERT.sub(lambda alert: _with_labels(alert[0], tags), text)


ALERT = re.compile(r"^ *- alert: .*\n(?:.+\n)*", re.MULTILINE)


def _with_labels(alert: str, tags: tuple[str, ...]) -> str:
    found = [name for name in ("check", "url_name") if f"$labels.{name}" in alert]
    pairs = [(name, LABELS[name]) for name in found] + [(tag, tag_label(tag)) for tag in tags if OWNER in alert]
    lines = "".join(f'          {name}: "{{{{ $labels.{label} }}}}"\n' for name, label in pairs)
    return re.sub(r"^ *component: .*\n", lambda match: match[0] + lines, alert, flags=re.MULTILINE)


OWNER = "check:django_health_check_info:owner"
"""The recording rule that joins tags into an alert."""


def tag_label(tag: str) -> str:
    """Return what the label of a tag is called."""
    return f"health_check_tag_{tag}"
