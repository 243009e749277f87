"""The dashboards and rules, read as Grafana and Prometheus read them."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import yaml

import health_check_dashboards
from health_check_dashboards.files import packaged
from health_check_dashboards.options import Options
from health_check_dashboards.templating import adapt

PACKAGE = pathlib.Path(health_check_dashboards.__file__).parent

BOARDS = ("health", "fleet", "now")

ALL = "$__all"
"""What a variable has where all is chosen."""


def board(name: str) -> dict[str, Any]:
    """Return a dashboard."""
    found: dict[str, Any] = json.loads((PACKAGE / "grafana" / "dashboards" / f"{name}.json").read_text())
    return found


def rules(file: pathlib.Path = PACKAGE / "prometheus" / "alerts.yml") -> list[dict[str, Any]]:
    """Return the rules of a file, of all groups."""
    return rules_of(file.read_text())


def rules_of(text: str) -> list[dict[str, Any]]:
    """Return the rules of a text, of all groups."""
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def alert_rules(options: Options | None = None) -> list[dict[str, Any]]:
    """Return the rules that alert, those of the package or with these options."""
    found = rules() if options is None else rules_of(adapt(packaged("prometheus/alerts.yml"), options))
    return [rule for rule in found if "alert" in rule]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A query of a panel."""

    panel: str
    """The title of the panel, and the name of the query."""
    expr: str
    """The expression, with variables."""
    instant: bool
    """Whether it asks for the present only."""
    interval: float
    """The least step of its panel, in seconds; 0 if it has none."""


def panels(model: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels of a dashboard that show something."""
    for panel in model["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels", [])
        else:
            yield panel


def targets(model: Mapping[str, Any]) -> Iterator[Target]:
    """Yield the queries of a dashboard."""
    for panel in panels(model):
        for target in panel["targets"]:
            yield Target(
                panel=f"{panel['title']}: {target['refId']}",
                expr=target["expr"],
                instant=target.get("instant", False),
                interval=60.0 * float(panel["interval"].removesuffix("m")) if panel.get("interval") else 0.0,
            )


def variables(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the variables of a dashboard, in their order."""
    found: list[dict[str, Any]] = model["templating"]["list"]
    return found


def substituted(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its variables replaced."""
    found = re.sub(r"\$([a-zA-Z_]\w*)|\$\{(\w+)\}", lambda match: values[match[1] or match[2]], text)
    assert "$" not in re.sub(r"\\\\\$|\"\$1\"", "", found), found
    return found


def chosen(variable: Mapping[str, Any], options: Sequence[str], choice: Sequence[str] = (ALL,)) -> str:
    """Return what stands for a variable of several values: what is chosen of it, or all there is.

    As Grafana's data source of Prometheus does it: values are escaped as regular expressions in a string, and several
    of them are put in brackets.
    """
    if list(choice) == [ALL] and variable.get("allValue"):
        return str(variable["allValue"])
    values = options if list(choice) == [ALL] else choice
    escaped = [re.sub(r"[$^*{}\[\]'+?.()|]", r"\\\\\g<0>", value.replace("\\", "\\\\\\\\")) for value in values]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def rate_interval(target: Target, scrape_interval: float) -> str:
    """Return what stands for ``$__rate_interval``."""
    return f"{max(target.interval + scrape_interval, 4 * scrape_interval):.0f}s"


def selectors(expression: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield the metrics that an expression names, and the labels by which it selects their series."""
    for name, matchers in re.findall(r"\b([a-zA-Z_][\w:]*)\{([^{}]*)\}", expression):
        yield name, frozenset(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"(?:[^"\\]|\\.)*"', '""', matchers)))


def grouped_labels(expressions: Iterable[str]) -> set[str]:
    """Return the labels by which expressions aggregate and match."""
    clauses = [clause for text in expressions for clause in re.findall(r"\b(?:by|on)\s*\(([\w\s,]*)\)", text)]
    return {label for clause in clauses for label in re.findall(r"\w+", clause)}
