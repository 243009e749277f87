"""Scenarios of alerts, written in a compact form, as promtool tests.

A scenario is a story, what each target shows from minute to minute, and which alerts fire from when to when. A course
of values reads ``ok 10m, error 5m, ok``: the last value holds to the end. No alert but those named may fire. One step
before and after the beginning and the end of an alert it may fire or not, as the versions of Prometheus differ in
whether a range has its first moment.

Scenarios run together, each as a namespace of its own, but for those that have namespaces themselves or no target:
rules are evaluated once for all, and no site may have anything to do with another one.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from health_check_dashboards.options import OTLP
from health_check_dashboards.otlp import LABELS, METRICS, tag_label
from health_check_dashboards.templating import TAGS

PREFIX = "django_health_check_"
FOLDER = pathlib.Path(__file__).parents[1] / "dashboards" / "scenarios"
ALERT_LABELS = ("alertname", "env", "namespace", "instance", "check", "url_name")
STATES = ("ok", "warning", "error", "unknown")
FAILING = ("error", "unknown")

OTLP_PREFIX = "health_check_"
"""What the names of metrics begin with that come by OTLP."""

AS_STATE = {"timeout": "error", "stuck": "error", "slow": "ok", "frozen": "ok"}
"""What is a course of events rather than a state, and the state that shows meanwhile."""

GONE = "gone"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scenario:
    """A story with what is to come of it."""

    name: str
    """What it is about."""
    model: Mapping[str, Any]
    """As it is written."""
    length: int = 0
    """How many steps are run; its own number or more."""

    @property
    def sources(self) -> list[str]:
        """The values of ``--source`` for which it holds, and ``otlp``."""
        found: list[str] = self.model["sources"]
        return found

    @property
    def labels(self) -> tuple[str, ...]:
        """The values of ``--label``: ``env``, where targets differ by that."""
        return ("env",) if any("env" in (target or {}) for target in self.model["targets"].values()) else ()

    @property
    def step(self) -> int:
        """How many minutes are between two scrapes and evaluations."""
        return int(self.model.get("step", 1))

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return minutes(str(self.model.get("minutes", 60))) // self.step

    def course(self, text: object, default: str) -> list[str]:
        """Return a value for each step."""
        found: list[str] = []
        written = re.sub(r"\((.*?)\)\*(\d+)", _repeated, str(default if text is None else text))
        for part in written.split(","):
            value, _, length = part.strip().partition(" ")
            found += [value] * (minutes(length) // self.step if length else 1)
        return found[: self.length] + found[-1:] * (self.length - len(found))

    @property
    def namespace(self) -> str:
        """Its namespace; empty if it has its own, or no target."""
        targets = [target or {} for target in self.model["targets"].values()]
        own = self.name.replace(",", "")  # vmalert marks no series as gone whose labels have a comma
        return "" if not targets or any("namespace" in target for target in targets) else own

    def firing(self, source: str) -> dict[frozenset[tuple[str, str]], list[tuple[int, int]]]:
        """Return from which step to which each alert fires; ``firing NAME`` is what differs for a source."""
        found: dict[frozenset[tuple[str, str]], list[tuple[int, int]]] = {}
        for alert, spans in (self.model.get(f"firing {source}", self.model.get("firing")) or {}).items():
            match = re.fullmatch(r"(\w+)(?:\{(.*)\})?", alert)
            assert match is not None, alert
            labels = dict(pair.strip().split("=", 1) for pair in (match[2] or "").split(",") if pair)
            ends = [span.strip().partition("-") for span in str(spans).split(",")]
            own = {"namespace": self.namespace} if self.namespace else {}
            found[frozenset({"alertname": f"HealthCheck{match[1]}", **own, **labels}.items())] = [
                (minutes(start) // self.step, self.steps if end == "end" else minutes(end) // self.step)
                for start, _, end in ends
            ]
        return found


def _repeated(match: re.Match[str]) -> str:
    """Return ``(up 1m, down 2m)*3`` in full."""
    return ", ".join([match[1]] * int(match[2]))


def minutes(text: str) -> int:
    """Return how many minutes a text means: ``26h``, ``1h30m``, ``10m`` or ``10``."""
    if text.isdigit():
        return int(text)
    units = {"d": 1440, "h": 60, "m": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([dhm])", text))


@functools.cache
def scenarios() -> tuple[Scenario, ...]:
    """Return all scenarios."""
    return tuple(
        Scenario(name=name, model=model)
        for file in sorted(FOLDER.glob("*.yml"))
        for name, model in yaml.safe_load(file.read_text()).items()
    )


def promtool_tests(chosen: Iterable[Scenario], source: str, rules: pathlib.Path, step: int) -> dict[str, Any]:
    """Return the file for promtool."""
    every = list(chosen)
    together = [scenario for scenario in every if scenario.namespace]
    alone = [[scenario] for scenario in every if not scenario.namespace]
    return {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{step}m",
        "group_eval_order": [group["name"] for group in yaml.safe_load(rules.read_text())["groups"]],
        "tests": [_test(group, source, step) for group in [together, *alone] if group],
    }


def _test(scenarios: list[Scenario], source: str, step: int) -> dict[str, Any]:
    length = max(scenario.steps for scenario in scenarios)
    group = [dataclasses.replace(scenario, length=length + 1) for scenario in scenarios]
    return {
        "name": " | ".join(scenario.name for scenario in group),
        "interval": f"{step}m",
        "input_series": [
            {
                "series": f"{name}{{{_matchers(labels)}}}",
                "values": _values(values, is_sent=name.startswith(OTLP_PREFIX)),
            }
            for scenario in group
            for name, labels, values in (_by_otlp if source == OTLP else list)(_series(scenario, source))
            if any(value is not None for value in values)
        ],
        "promql_expr_test": [_expectation(group, source, number, step) for number in range(length)],
    }


def _expectation(group: list[Scenario], source: str, number: int, step: int) -> dict[str, Any]:
    """Return what fires at a step, but for alerts that begin or end, and for scenarios that are over."""
    expected: list[frozenset[tuple[str, str]]] = []
    others: list[str] = []
    for scenario in group:
        firing = scenario.firing(source)
        edges = _edges(firing, number)
        namespace = f',namespace="{scenario.namespace}"' if scenario.namespace else ""
        if number >= scenario.steps:
            others.append(f"ALERTS{{{namespace[1:]}}}")
            continue
        if edges:
            others.append(f'ALERTS{{alertname=~"{"|".join(sorted(edges))}"{namespace}}}')
        expected += [
            alert
            for alert, spans in firing.items()
            if any(start <= number <= end for start, end in spans) and dict(alert)["alertname"] not in edges
        ]
    return {
        "expr": " unless ".join([f'max by ({", ".join(ALERT_LABELS)}) (ALERTS{{alertstate="firing"}}', *others]) + ")",
        "eval_time": f"{number * step}m",
        "exp_samples": [{"labels": f"{{{_matchers(dict(alert))}}}", "value": 1} for alert in expected],
    }


def _edges(firing: Mapping[frozenset[tuple[str, str]], list[tuple[int, int]]], number: int) -> set[str]:
    return {
        dict(alert)["alertname"]
        for alert, spans in firing.items()
        if any(abs(number - end) <= 1 for span in spans for end in span)
    }


Series = tuple[str, dict[str, str], list[float | None]]


def _series(scenario: Scenario, source: str) -> Iterator[Series]:
    for names, target in scenario.model["targets"].items():
        for name in _names(str(names)):
            yield from _target(scenario, source, name, target or {})
    probe = scenario.course(scenario.model.get("probe"), GONE)
    own = {"namespace": scenario.namespace} if scenario.namespace else {}
    labels = {**own, "job": "django-probe", "instance": "https://shop/"}
    yield "up", labels, [None if value == GONE else float(value != "unasked") for value in probe]
    yield "probe_success", labels, [None if value in (GONE, "unasked") else float(value == "ok") for value in probe]


def _names(text: str) -> list[str]:
    """Return the names of targets: ``a``, or ``h1..h20`` for twenty of them."""
    match = re.fullmatch(r"([a-z]+)(\d+)\.\.\1(\d+)", text)
    return [f"{match[1]}{number}" for number in range(int(match[2]), int(match[3]) + 1)] if match else [text]


def _target(scenario: Scenario, source: str, name: str, target: Mapping[str, Any]) -> Iterator[Series]:
    up = scenario.course(target.get("up"), "up")
    namespace = str(target.get("namespace", scenario.namespace))
    own = {"namespace": namespace, "env": str(target.get("env", ""))}
    labels = {**{label: value for label, value in own.items() if value}, "job": "django", "instance": name}

    def shown(values: Iterable[float | None]) -> list[float | None]:
        return [value if state == "up" else None for value, state in zip(values, up, strict=True)]

    if source not in ("push", OTLP):
        yield "up", labels, [None if state == GONE else float(state == "up") for state in up]
    if target.get("bare"):
        return
    role = target.get("role", "site") if source in ("scrape", OTLP) else "command"
    hosts = scenario.course(target.get("host"), name)
    if role != "none":
        for host in dict.fromkeys(hosts):
            info = {"role": role, "host": host, "version": "0.1.0"}
            yield f"{PREFIX}build_info", {**labels, **info}, shown([1.0 if one == host else None for one in hosts])
    store = scenario.course(target.get("store"), "up")
    yield f"{PREFIX}store_up", labels, shown(float(one != "down") for one in store)
    drained = scenario.course(target.get("drained"), "no")
    yield f"{PREFIX}draining", labels, shown(float(one == "yes") for one in drained)
    said = {**(scenario.model.get("checks") or {"Database": "ok"}), **(target.get("checks") or {})}
    checks = {check: scenario.course(course, "ok") for check, course in said.items()}
    skew = 60 * int(target.get("skew", 0))
    for check, course in checks.items():
        owner = scenario.course("none" if role == "none" else target.get("owner"), "")
        for series, more, values in _check(scenario, course, store, owner, skew):
            yield f"{PREFIX}{series}", {**labels, "check": check, **more}, shown(values)
    yield from (
        (name, more, shown(values)) for name, more, values in _endpoints(scenario, target, labels, checks, drained)
    )


def _endpoints(
    scenario: Scenario,
    target: Mapping[str, Any],
    labels: Mapping[str, str],
    checks: Mapping[str, list[str]],
    drained: list[str],
) -> Iterator[Series]:
    urls = scenario.course(target.get("endpoint"), "home")
    optional = scenario.model.get("optional") or []
    critical = [course for check, course in checks.items() if check not in optional]
    failing = [
        any(_state(course[n]) in FAILING for course in critical) or drained[n] == "yes" for n in range(len(urls))
    ]
    for url in dict.fromkeys(urls):
        here = {**labels, "url_name": url}
        status = [float(not bad) if one == url else None for one, bad in zip(urls, failing, strict=True)]
        yield f"{PREFIX}endpoint_status", here, status
        for check, course in checks.items():
            more = {"check": check, "critical": str(check not in optional).lower()}
            there = [1.0 if one == url and value != "absent" else None for one, value in zip(urls, course, strict=True)]
            yield f"{PREFIX}endpoint_check_info", {**here, **more}, there


def _state(value: str) -> str:
    return AS_STATE.get(value, value)


def _check(
    scenario: Scenario, course: list[str], store: list[str], owner: list[str], skew: int
) -> Iterator[tuple[str, dict[str, str], list[float | None]]]:
    """Yield the series of a check on a target: their names, labels of their own and values."""
    known = [value != "absent" for value in course]

    def there(values: Iterable[float]) -> list[float | None]:
        return [value if is_known else None for value, is_known in zip(values, known, strict=True)]

    for state in STATES:
        yield "state", {"state": state}, there(float(_state(value) == state) for value in course)
    yield "status", {}, there(float(_state(value) == "ok") for value in course)
    yield "timeout_seconds", {}, there(5.0 for _ in course)
    yield "max_age_seconds", {}, there(10.0 for _ in course)
    yield "time_taken_seconds", {}, there({"slow": 4.0, "timeout": 5.2}.get(value, 0.1) for value in course)
    yield "in_progress", {}, there(float(value == "stuck") for value in course)
    for one in dict.fromkeys(owner if owner != ["none"] * len(owner) else []):
        tags = {"owner": one} if one else {}
        values = [1.0 if now == one and is_known else None for now, is_known in zip(owner, known, strict=True)]
        yield "info", {"backend": "a.B", "scope": "host", **tags}, values
    last_run, finished = 0.0, []
    for number, value in enumerate(course):
        last_run = last_run if value in ("stuck", "frozen", "unknown") else 60.0 * number * scenario.step - 5
        finished.append(last_run + skew)
    yield "last_run_timestamp_seconds", {}, there(finished)
    for outcome in ("ok", "error", "timeout"):
        total, totals = 0.0, []
        for value, place in zip(course, store, strict=True):
            happened = value == "timeout" if outcome == "timeout" else _state(value) == outcome
            total = 0.0 if place == "flushed" else total + float(happened)
            totals.append(None if place == "down" else total)
        yield "runs_total", {"outcome": outcome}, totals


def _by_otlp(series: Iterable[Series]) -> Iterator[Series]:
    """Yield what arrives by OTLP instead."""
    for name, labels, values in series:
        if not name.startswith(PREFIX):
            yield name, labels, values
        elif name != f"{PREFIX}status":  # the same as the state ok
            names = {**LABELS, **{tag: tag_label(tag) for tag in TAGS}}
            more = {names.get(label, label): value for label, value in labels.items()}
            yield METRICS[name.removeprefix(PREFIX)], more, values


def _matchers(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())


def _values(values: list[float | None], *, is_sent: bool) -> str:
    """Return values as promtool reads them; an absence begins with a mark, as Prometheus makes one where it scrapes."""
    found: list[str] = []
    for before, value in zip([None, *values], values, strict=False):
        if value is None:
            found.append("_" if before is None or is_sent else "stale")
        else:
            found.append(f"{value:g}" if abs(value) < 1e5 else f"{value:.0f}")
    return " ".join(found)
