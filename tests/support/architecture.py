"""The rooms of the source, their levels and the arrows between them, from the imports: ``make architecture``.

A room is what stands at the top of ``health_check/``, a folder or a module, and each of the other packages. Its level
is the longest way down from it, along the imports; those of a function count as all others do.
"""

from __future__ import annotations

import argparse
import collections
import sys
from collections.abc import Iterator, Mapping, Sequence

import grimp

PACKAGES = ("health_check", "health_check_prometheus", "health_check_opentelemetry", "health_check_dashboards")
MOST_LEVELS = 9
ROOMS = frozenset(
    [
        "apps",
        "urls",
        "middleware",
        "management",
        "views",
        "extensions",
        "monitor",
        "runner",
        "stores",
        "registry",
        "checks",
        "contrib",
        "compat",
        "concurrency",
        "backends",
        "base",
        "exceptions",
        "durations",
        "past",
        "records",
        "signals",
        "conf",
        "ping",
        "logs",
        "redaction",
        "demo",
        "_version",
    ]
)
"""What may stand at the top of ``health_check/``; docs/explanation/architecture.md says what each is for."""

Arrows = Mapping[str, Mapping[str, int]]
"""How many imports lead from each room to others."""


def room_of(module: str) -> str:
    """Return the room of a module."""
    package, _, rest = module.partition(".")
    return f"{package}.{rest.partition('.')[0]}" if package == "health_check" and rest else package


def arrows_of(graph: grimp.ImportGraph) -> Arrows:
    """Return the arrows between rooms."""
    arrows: dict[str, collections.Counter[str]] = {room_of(module): collections.Counter() for module in graph.modules}
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            if room_of(importer) != room_of(imported):
                arrows[room_of(importer)][room_of(imported)] += 1
    return arrows


def cycles(arrows: Arrows) -> Iterator[tuple[str, ...]]:
    """Yield the circles that following arrows runs into."""
    done: set[str] = set()

    def follow(room: str, way: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if room in way:
            yield (*way[way.index(room) :], room)
            return
        for imported in sorted(arrows[room]):
            if imported not in done:
                yield from follow(imported, (*way, room))
        done.add(room)

    for room in sorted(arrows):
        yield from follow(room, ())


def levels(arrows: Arrows) -> dict[str, int]:
    """Return the level of each room; the lowest is 1. Needs arrows without a circle."""
    found: dict[str, int] = {}

    def level(room: str) -> int:
        if room not in found:
            found[room] = 1 + max(map(level, arrows[room]), default=0)
        return found[room]

    for room in arrows:
        level(room)
    return found


def problems(arrows: Arrows) -> list[str]:
    """Return what is wrong, a sentence each."""
    circles = [f"A circle: {' -> '.join(circle)}." for circle in cycles(arrows)]
    names = {room.partition(".")[2] for room in arrows if room.startswith("health_check.")}
    unknown = [
        f"health_check/{name} is no room that docs/explanation/architecture.md names." for name in sorted(names - ROOMS)
    ]
    high = [] if circles or (most := max(levels(arrows).values())) <= MOST_LEVELS else [f"There are {most} levels."]
    return [*circles, *unknown, *high]


def show(graph: grimp.ImportGraph, arrows: Arrows) -> None:
    """Print the rooms, the highest first."""
    sizes = collections.Counter(room_of(module) for module in graph.modules)
    for room, level in sorted(levels(arrows).items(), key=lambda item: (-item[1], item[0])):
        imported = ", ".join(
            f"{name.removeprefix('health_check.')} {count}" for name, count in sorted(arrows[room].items())
        )
        print(f"{level}  {room.removeprefix('health_check.')} ({sizes[room]})  ->  {imported or '-'}")
    highest, count = max(levels(arrows).values()), sum(map(len, arrows.values()))
    print(f"{len(arrows)} rooms, {highest} levels, {count} arrows, no circle.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the rooms, or what is wrong with them; return the exit code."""
    parser = argparse.ArgumentParser(prog="make architecture", description=__doc__)
    parser.add_argument("--check", action="store_true", help="print only what is wrong")
    options = parser.parse_args(arguments)
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    arrows = arrows_of(graph)
    wrong = problems(arrows)
    if wrong:
        print("\n".join(wrong))
    elif not options.check:
        show(graph, arrows)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
