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

from tests.benchmarks import answers, scrape, sites, traced_runs
from tests.benchmarks.timing import Ratio

GROUPS: Mapping[str, Callable[[pathlib.Path], Iterator[Ratio]]] = {
    "answers": answers.ratios,
    "scrape": scrape.ratios,
    "traced-runs": traced_runs.ratios,
}
"""What can be measured."""


def main() -> None:
    """Measure, print, and write."""
    arguments = _parser().parse_args()
    sites.configure()
    machine = (
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, Django {django.__version__}"
    )
    print(machine)
    print(f"{'':<40} {'against':<30} {'min':>6} {'median':>7} {'max':>6} {'target':>7} {'µs':>10} {'more':>9}")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for group in arguments.groups or GROUPS:
            for ratio in GROUPS[group](pathlib.Path(folder)):
                found.append(ratio)
                print(_line(ratio), flush=True)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": machine, "ratios": [dataclasses.asdict(ratio) for ratio in found]}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")
        print(f"Written to {arguments.json}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=main.__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="what to measure (default: all)")
    parser.add_argument("--json", type=pathlib.Path, help="where to write the table as JSON")
    return parser


def _line(ratio: Ratio) -> str:
    target = "" if ratio.target is None else f"{ratio.target:.2f}{'' if ratio.met else ' !'}"
    ratios = f"{ratio.minimum:6.2f} {ratio.median:7.2f} {ratio.maximum:6.2f} {target:>7}"
    return f"{ratio.what:<40} {ratio.against:<30} {ratios} {ratio.seconds * 1e6:10.1f} {ratio.difference * 1e6:+9.1f}"


if __name__ == "__main__":
    main()
