"""The options that adapt the files to a site: their defaults, and what may be said."""

from __future__ import annotations

import dataclasses
import decimal
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

RUNBOOKS = "https://django-health-exporter.github.io/django-health-exporter/alerts/"
"""Where the page on the alerts, docs/alerts.md, can be read."""

HEALTH_PAGE = "http://${__value.raw}/health/"
"""The health page of an instance, as links of dashboards have it."""

DURATION = r"(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?"
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


class Option(NamedTuple):
    """A thing that may be said."""

    name: str
    """``failing-for`` for ``--failing-for``, and for the mark ``# --failing-for`` in the files."""
    default: str
    """What holds if it is not said."""
    text: str
    """What it is."""
    check: Callable[[str], str]
    """Returns the value as the files have it; raises ValueError with what to use instead."""
    metavar: str
    """What kind of value it is."""


def seconds(duration: str) -> float:
    """Return how long a duration of Prometheus' is, in seconds: ``1h30m`` is 5400."""
    return sum(int(number) * UNITS[unit] for number, unit in re.findall(r"(\d+)(ms|s|m|h|d|w|y)", duration))


def error_budget(objective: str) -> str:
    """Return the share of the time in which an endpoint may fail: ``0.005`` for an objective of 99.5 percent."""
    return f"{(decimal.Decimal(100) - decimal.Decimal(objective)) / 100:f}"


Check = Callable[[str], str]


def _of_form(pattern: str, remedy: str) -> Check:
    """Return what lets values through that match a pattern, and for others says what to use."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(remedy)
        return value

    return check


def _one_of(values: Sequence[str]) -> Check:
    """Return what lets these values through."""
    *others, last = values
    return _of_form("|".join(values), f"use {', '.join(others)} or {last}")


def _between(low: float, high: float, remedy: str, *, low_too: bool = False) -> Check:
    """Return what lets numbers below ``high`` through, and above ``low`` or from there on."""

    def check(value: str) -> str:
        number = float(value) if re.fullmatch(r"\d{1,3}(\.\d{1,6})?", value, re.ASCII) else -1.0
        if not low < number < high and not (low_too and number == low):
            raise ValueError(remedy)
        return value

    return check


_name = _of_form(r"[A-Za-z0-9]([\w./-]*[A-Za-z0-9])?", "use letters, digits and . _ - / between them")
_delay = _of_form(DURATION, "use a duration like 0s, 90s, 5m or 1h30m")
_count = _of_form(r"[1-9]\d{0,5}", "use a whole number from 1 on")
_file = _of_form(r"[\w./-]*", "use the path of a file, as Prometheus sees it")
_uid = _of_form(r"[\w-]{0,40}", "use the uid of a data source: letters, digits, _ and -")
_target = _of_form(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", "use HOST:PORT")
_folder = _of_form(r"(?u:[\w ./-]*\w)", "use letters, digits, spaces and . _ - /")
_share = _between(0, 1, "use a number between 0 and 1, like 0.5")
_objective = _between(95, 100, "use a percentage from 95 to less than 100, like 99.5", low_too=True)

TAKEN_LABELS = ("namespace", "job", "instance", "check", "url_name", "state", "outcome", "critical", "le")


def _label(value: str) -> str:
    if value in TAKEN_LABELS:
        raise ValueError(f"{value} is a label of alerts already, or must not be one")
    return _of_form(r"[A-Za-z_]\w*", "use the name of a label: letters, digits and _")(value)


def _duration(value: str) -> str:
    if not re.fullmatch(DURATION, value, re.ASCII) or seconds(value) <= 0:
        raise ValueError("use a duration like 90s, 5m or 1h30m")
    return value


def _url(value: str) -> str:
    parts = urllib.parse.urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or re.search(r"[\s\"'#{}<>]", value):
        raise ValueError("use an address like https://example.com/page, without a fragment")
    return value


def _base(value: str) -> str:
    return _url(value).rstrip("/")


_WORD = r"[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?"
"""The name of a label of Kubernetes, and its value."""

_is_pair = _of_form(
    rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_WORD}=({_WORD})?",
    "use a label of Kubernetes, like release=monitoring; name and value have 63 letters at most",
)


def _pair(value: str) -> str:
    if value.startswith("app.kubernetes.io/name="):
        raise ValueError("app.kubernetes.io/name is there already, with the job as its value")
    return _is_pair(value)


def _owner(value: str) -> str:
    name, _, url = value.partition("=")
    _of_form(r"[\w.-]+", "use NAME=URL, like payments=https://example.com/hook")(name)
    return f"{name}={_url(url)}"


SOURCES = ("scrape", "textfile", "push")
"""How the metrics come to Prometheus, by the names of ``/metrics``."""

OTLP = "otlp"
METRICS = ("prometheus", OTLP)
"""Whose names the metrics have: those of ``/metrics``, or those that arrive by OpenTelemetry's protocol."""


OPTIONS = (
    Option("job", "django", "the job of the site, as Prometheus calls it", _name, "NAME"),
    Option("source", "scrape", "how the metrics come: scrape, textfile or push", _one_of(SOURCES), "SOURCE"),
    Option("metrics", "prometheus", "the names that the metrics have: prometheus or otlp", _one_of(METRICS), "NAMES"),
    Option(
        "runbook-base",
        RUNBOOKS,
        "where the page on the alerts is; #alertname is appended, or alertname after a =",
        _url,
        "URL",
    ),
    Option("dashboard-base", "http://localhost:3000", "where Grafana is, for links of alerts", _base, "URL"),
    Option("health-url", "http://host.docker.internal:8000/health/", "where alerts link to", _url, "URL"),
    Option("grafana-folder", "Health", "the folder of the dashboards in Grafana", _folder, "NAME"),
    Option("target", "host.docker.internal:8000", "where prometheus.yml finds the site", _target, "HOST:PORT"),
    Option("probe", "http://host.docker.internal:8000/health/", "what the blackbox exporter asks for", _url, "URL"),
    Option("alertmanager", "alertmanager:9093", "where Prometheus finds Alertmanager", _target, "HOST:PORT"),
    Option("blackbox", "blackbox:9115", "where Prometheus finds the blackbox exporter", _target, "HOST:PORT"),
    Option("credentials-file", "", "the file of the token that Prometheus shows to the site", _file, "FILE"),
    Option("tempo-uid", "", "the uid of Grafana's data source of traces, for links from exemplars", _uid, "UID"),
    Option("webhook", "http://host.docker.internal:9099/", "where Alertmanager sends notifications", _url, "URL"),
    Option("scrape-interval", "15s", "how often to scrape and probe", _duration, "TIME"),
    Option("export-interval", "1m", "how often processes send metrics by OTLP", _duration, "TIME"),
    Option("evaluation-interval", "15s", "how often to evaluate the rules", _duration, "TIME"),
    Option("gap", "3m", "for how long missed scrapes are bridged", _duration, "TIME"),
    Option("remember", "1d", "for how long to remember targets, sites and probes that are gone", _duration, "TIME"),
    Option("page-share", "0.5", "the share of the hosts above which a failure is critical", _share, "SHARE"),
    Option("failing-for", "2m", "a critical check in error this long", _delay, "TIME"),
    Option("optional-for", "15m", "any other check in error this long", _delay, "TIME"),
    Option("warning-for", "30m", "a check in warning this long", _delay, "TIME"),
    Option("slow-share", "0.5", "the share of its time budget that a check may take", _share, "SHARE"),
    Option("slow-over", "15m", "on average over this long", _duration, "TIME"),
    Option("slow-for", "5m", "and for this long", _delay, "TIME"),
    Option("timeouts", "2", "this many timeouts", _count, "COUNT"),
    Option("timeouts-over", "30m", "within this long", _duration, "TIME"),
    Option("timeouts-for", "2m", "and for this long", _delay, "TIME"),
    Option("stuck-for", "10m", "a run that hangs this long", _delay, "TIME"),
    Option("stale-for", "5m", "a check unknown this long", _delay, "TIME"),
    Option("frozen-for", "10m", "numbers that do not change this long: twice from run to run", _delay, "TIME"),
    Option("flaps", "4", "a check that breaks this often", _count, "COUNT"),
    Option("flaps-over", "1h", "within this long", _duration, "TIME"),
    Option("endpoint-for", "2m", "an endpoint that does not answer 200 this long", _delay, "TIME"),
    Option("objective", "99.5", "the percentage of the time in which endpoints are to answer", _objective, "PERCENT"),
    Option("window", "30d", "the time that the objective is about, for dashboards", _duration, "TIME"),
    Option("burn-for", "2m", "its error budget spent fast this long", _delay, "TIME"),
    Option("burn-slow-for", "15m", "its error budget spent slowly this long", _delay, "TIME"),
    Option("probe-for", "4m", "a probe without 200 this long; more than --down-for", _delay, "TIME"),
    Option("down-for", "2m", "no target of the site up this long", _delay, "TIME"),
    Option("start-for", "15m", "for how long a target that was never up may take to start", _duration, "TIME"),
    Option("most-share", "0.5", "more than this share of the targets cannot be scraped", _share, "SHARE"),
    Option("most-over", "5m", "for much of this long", _duration, "TIME"),
    Option("most-for", "5m", "and for this long", _delay, "TIME"),
    Option("target-over", "10m", "a target that cannot be scraped for much of this long", _duration, "TIME"),
    Option("target-for", "2m", "and for this long", _delay, "TIME"),
    Option("absent-for", "5m", "no target, or a target without health checks, this long", _delay, "TIME"),
    Option("store-over", "10m", "the store not to be read for half of this long", _duration, "TIME"),
    Option("store-for", "5m", "and for this long", _delay, "TIME"),
    Option("drained-for", "1h", "a host drained this long", _delay, "TIME"),
    Option("keep-firing", "5m", "for how long an alert goes on after its cause is gone", _delay, "TIME"),
    Option("group-wait", "30s", "how long Alertmanager waits for more alerts of a site", _delay, "TIME"),
    Option("group-interval", "5m", "how long before it notifies of changes", _duration, "TIME"),
    Option("repeat-interval", "4h", "how long before it repeats itself", _duration, "TIME"),
)
"""All options with one value; ``--label`` may be said several times."""

OF_TARGET = ("probe", "health-url")
"""Where these are not said, they are the health page of ``--target``."""

DEFAULTS: Mapping[str, str] = {option.name: option.default for option in OPTIONS}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What was said of a site."""

    values: Mapping[str, str] = dataclasses.field(default_factory=lambda: DEFAULTS)
    """The value of each option, by name."""
    labels: tuple[str, ...] = ()
    """Labels by which the site's targets differ besides ``namespace`` and ``job``."""
    tags: tuple[str, ...] = ()
    """The tags of checks that become labels of their alerts; empty for those there are by default."""
    k8s_labels: tuple[str, ...] = ()
    """Labels of the resources of the Prometheus operator, each ``name=value``."""
    owners: tuple[str, ...] = ()
    """Where alerts on checks with an ``owner`` go, each ``name=address``."""

    def __getitem__(self, name: str) -> str:
        return self.values[name]

    @property
    def source(self) -> str:
        """How the metrics come: one of ``SOURCES``, or ``otlp``."""
        return OTLP if self["metrics"] == OTLP else self["source"]


def options_of(said: Mapping[str, str], labels: tuple[str, ...] = (), **several: tuple[str, ...]) -> Options:
    """Return the options of a site.

    Args:
        said: Values by name; the defaults hold for what is not there.
        labels: The values of ``--label``.
        several: The values of the other options that may be repeated, by the fields of ``Options``.

    Raises:
        ValueError: If something is no proper value, or two do not go together.
    """
    values = {option.name: _checked(option, said.get(option.name, option.default)) for option in OPTIONS}
    values |= {name: f"http://{values['target']}/health/" for name in OF_TARGET if name not in said}
    repeated = {
        field: tuple(dict.fromkeys(_checked(option, value) for value in {**several, "labels": labels}.get(field, ())))
        for field, option in REPEATED.items()
    }
    if values["metrics"] == OTLP and values["source"] != DEFAULTS["source"]:
        raise ValueError(f"--source is {values['source']}: leave it out; with --metrics {OTLP} metrics are sent.")
    for smaller, larger, times, reason in (*PAIRS, *(OTLP_PAIRS if values["metrics"] == OTLP else ())):
        if seconds(values[larger]) <= times * seconds(values[smaller]):
            least = f"{'twice ' if times > 1 else ''}--{smaller}, {values[smaller]}"
            raise ValueError(f"--{larger} is {values[larger]}: use more than {least}; {reason}.")
    return Options(values=values, **repeated)


LABEL = Option("label", "", "a label by which sites of one job differ, such as env; may be repeated", _label, "NAME")
REPEATED: Mapping[str, Option] = {
    "labels": LABEL,
    "tags": Option("tag", "", "a tag of checks that alerts have (owner, tier); may be repeated", _label, "NAME"),
    "k8s_labels": Option("k8s-label", "", "a label of the operator's resources; may be repeated", _pair, "NAME=VALUE"),
    "owners": Option(
        "owner", "", "where to send alerts on checks with this owner; may be repeated", _owner, "NAME=URL"
    ),
}
"""The options that may be said several times, by the fields of ``Options``."""

PAIRS = (
    ("scrape-interval", "gap", 2, "it has to bridge a missed scrape"),
    ("down-for", "probe-for", 1, "else the probe's alert comes before the one that silences it"),
)
"""Which durations have to be shorter than which, how many times, and why."""

OTLP_PAIRS = (("export-interval", "gap", 2, "it has to bridge metrics that were not sent"),)
"""The same, of metrics that come by OTLP."""


def _checked(option: Option, value: str) -> str:
    try:
        return option.check(value)
    except ValueError as error:
        raise ValueError(f"--{option.name} is {value!r}: {error}.") from None
