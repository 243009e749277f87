"""``python -m health_check_dashboards.drawing``: write the JSON of the dashboards, or check that it is up to date."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from collections.abc import Sequence

from grafana_foundation_sdk.cog.encoder import JSONEncoder

import health_check_dashboards
from health_check_dashboards.drawing.fleet import fleet
from health_check_dashboards.drawing.health import current, health

FOLDER = pathlib.Path(health_check_dashboards.__file__).parent / "grafana" / "dashboards"

BOARDS = {"health.json": health, "fleet.json": fleet, "now.json": current}


def drawn() -> dict[str, str]:
    """Return the JSON of each dashboard, by the name of its file."""
    return {name: _json(draw().build()) for name, draw in BOARDS.items()}


def _json(board: object) -> str:
    model = json.loads(json.dumps(board, cls=JSONEncoder))
    for annotation in model["annotations"]["list"]:
        annotation |= ANNOTATIONS[annotation["name"]]
    return json.dumps(model, indent=2, ensure_ascii=False) + "\n"


ANNOTATIONS = {
    "Alerts": {"titleFormat": "{{alertname}}", "tagKeys": "severity,check,url_name,instance,job,namespace"},
    "Deployments": {
        "titleFormat": "New process of {{job}}",
        "textFormat": "On {{host}}: django-health-exporter {{version}}, Django {{django}}, Python {{python}}",
        "tagKeys": "namespace",
    },
}
"""What annotations say, which is Prometheus' own and which the SDK has no fields for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` return 1 if one of them is not as it would be written."""
    parser = argparse.ArgumentParser(prog="python -m health_check_dashboards.drawing", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, and fail if something would be written")
    options = parser.parse_args(arguments)
    stale = [name for name, text in drawn().items() if _written(FOLDER / name) != text]
    if options.check and stale:
        print(f"Not up to date: {', '.join(stale)}. Run: make dashboards", file=sys.stderr)
        return 1
    for name in stale:
        (FOLDER / name).write_text(drawn()[name], encoding="utf-8")
        print(FOLDER / name)
    return 0


def _written(path: pathlib.Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
