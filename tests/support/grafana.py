"""Grafana's own code, which shapes tables of dashboards: ``@grafana/data`` from npm, under Node."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from tests.support.services import npm_modules

VERSION = "11.6.0"

SCRIPT = pathlib.Path(__file__).with_suffix(".js")

Table = dict[str, list[Any]]
"""The values of each column."""


def modules() -> pathlib.Path | None:
    """Return where the package is, having installed it where npm can."""
    return npm_modules("@grafana/data", VERSION)


def frame(name: str, series: Mapping[frozenset[tuple[str, str]], float], *, alone: bool) -> dict[str, Any]:
    """Return what Grafana's data source makes of the answer to a query of a table.

    Args:
        name: The name of the query.
        series: The value of each set of labels.
        alone: Whether the panel has no other query.
    """
    rows = [(dict(labels), value) for labels, value in series.items()]
    names = sorted({label for labels, _ in rows for label in labels} - {"__name__"})
    value = "Value" if alone else f"Value #{name}"
    fields = [
        {"name": "Time", "type": "time", "values": [0 for _ in rows]},
        *({"name": label, "type": "string", "values": [labels.get(label) for labels, _ in rows]} for label in names),
        {"name": value, "type": "number", "values": [number for _, number in rows]},
    ]
    return {"refId": name, "fields": fields}


def tables(panels: Sequence[Mapping[str, Any]]) -> list[list[Table]]:
    """Return the tables that Grafana shows.

    Args:
        panels: The ``transformations`` and ``frames`` of each panel.
    """
    done = subprocess.run(
        ["node", SCRIPT],
        input=json.dumps(panels),
        env={**os.environ, "NODE_PATH": str(modules())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: list[list[Table]] = json.loads(done.stdout)
    return found
