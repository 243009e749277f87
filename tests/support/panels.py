"""What the panels of a dashboard show, by a Prometheus or a server that answers as one does."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from tests.support import boards
from tests.support.boards import Target
from tests.support.scraping import ask
from tests.support.servers import Server

SCRAPE_SECONDS = 2.0

ANY = ".*"
"""What stands for all values of a label that need not be there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """A server with data."""

    prometheus: Server
    """The server."""

    def answer(self, path: str, **query: str) -> Any:
        """Return the data that an address of its interface answers."""
        return ask(self.prometheus, path, **query)

    def series(self, expression: str, *, at: float, instant: bool = True) -> dict[frozenset[tuple[str, str]], float]:
        """Return the newest value of each series of an expression; of those that have one."""
        if instant:
            found = self.answer("query", query=expression, time=str(at))["result"]
            pairs = [(series["metric"], [series["value"]]) for series in found]
        else:
            times = {"start": str(at - 20), "end": str(at), "step": "1"}
            found = self.answer("query_range", query=expression, **times)["result"]
            pairs = [(series["metric"], series["values"]) for series in found]
        newest = {
            frozenset(labels.items()): [float(value) for _, value in values if not math.isnan(float(value))]
            for labels, values in pairs
        }
        return {labels: values[-1] for labels, values in newest.items() if values}


def values_of(data: Asked, model: Mapping[str, Any], **choices: str) -> dict[str, str]:
    """Return what stands for each variable of a dashboard; all is chosen of what is not said."""
    values = {"datasource": "", "__range": "60s"}
    for variable in boards.variables(model):
        if variable["type"] == "query":
            query = boards.substituted(variable["query"]["query"], values)
            match = re.fullmatch(r"label_values\((.*), (\w+)\)", query)
            assert match is not None, query
            options = data.answer(f"label/{match[2]}/values", **{"match[]": match[1]})
            assert options or variable.get("allValue") == ANY, f"{variable['name']}: {query}"
            choice = [choices.get(variable["name"], boards.ALL)]
            assert choice == [boards.ALL] or choice[0] in options
            values[variable["name"]] = boards.chosen(variable, options, choice)
        elif variable["type"] == "textbox":
            values[variable["name"]] = variable["query"]
    return values


def shown(data: Asked, target: Target, values: Mapping[str, str], at: float) -> dict[frozenset[tuple[str, str]], float]:
    """Return what a query of a panel shows."""
    rate_interval = boards.rate_interval(target, SCRAPE_SECONDS)
    expression = boards.substituted(target.expr, {**values, "__rate_interval": rate_interval})
    return data.series(expression, at=at, instant=target.instant)
