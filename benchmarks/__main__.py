"""The benchmarks: ``make bench`` prints a table, and writes it as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pathlib
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping

import django

from benchmarks import answers, refresh, runs, scrape, servers, sites, stores, traced_runs
from benchmarks.figures import HEADER, Figure

GROUPS: Mapping[str, Callable[[pathlib.Path], Iterator[Figure]]] = {
    "answers": answers.figures,
    "refresh": refresh.figures,
    "runs": runs.figures,
    "servers": servers.figures,
    "scrape": scrape.figures,
    "stores": stores.figures,
    "traced-runs": traced_runs.figures,
}
"""What can be measured."""


def main() -> None:
    """Measure what answers and runs cost, print a table, and write it."""
    arguments = _parser().parse_args()
    sites.configure()
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, Django {django.__version__}"
    )
    print(machine, HEADER, sep="\n")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for group in arguments.groups or GROUPS:
            for figure in GROUPS[group](pathlib.Path(folder)):
                found.append(figure)
                print(figure.line(), flush=True)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": machine, "figures": [dataclasses.asdict(figure) for figure in found]}
        arguments.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        print(f"Written to {arguments.json}", file=sys.stderr)
    sys.stdout.flush()
    os._exit(0)  # checks that hang for a benchmark are still at it


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="what to measure (default: all)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the table as JSON")
    return parser


if __name__ == "__main__":
    main()
