"""The list of the checks: what they are called, what pins that, how they are run, and on which endpoints they are."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from health_check.management.choice import Choice
from health_check.management.outcomes import GAP
from health_check.redaction import escaped

HEADS = ("CHECK", "PINNED", "TIMEOUT", "MAX AGE", "ENDPOINTS")

LEAST_WIDTH = 20
"""How wide the column of the endpoints is at least, on any terminal."""

PINNING = (
    "A label that is not pinned comes from the class and the options, and may change when a check is added before it. "
    "The option `name` pins it. "
)


def listed(choice: Choice) -> list[dict[str, Any]]:
    """Return what is to be said of the checks of some endpoints, in their order, as ``json-full`` has it.

    ``entry`` is how to declare a check so that its label stays as it is; ``…`` stands for its options. The
    ``endpoints`` fail with it; those of ``optional_on`` do not.
    """
    found = []
    for definition in choice.check_set.checks_of(choice.endpoints):
        places = [
            (endpoint.name, member.critical)
            for endpoint in choice.endpoints
            for member in choice.check_set.members[endpoint]
            if member.label == definition.label
        ]
        more = ", …" if definition.own_options else ""
        found.append(
            {
                "label": definition.label,
                "pinned": definition.is_named,
                "entry": f"({definition.backend!r}, {{'name': {definition.label!r}{more}}})",
                "aliases": list(definition.aliases),
                "timeout": definition.timeout,
                "max_age": definition.max_age,
                "endpoints": [name for name, critical in places if critical],
                "optional_on": [name for name, critical in places if not critical],
            }
        )
    return found


def as_table(checks: Sequence[Mapping[str, Any]], *, width: int, entries: bool) -> str:
    """Return a table for a terminal.

    Args:
        checks: The checks.
        width: How many columns the terminal has.
        entries: Whether to show how each label is pinned.
    """
    rows = [HEADS, *map(_cells, checks)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS) - 1)]
    before = sum(widths) + len(GAP) * len(widths)
    printed = []
    for row, check in zip(rows, [None, *checks], strict=True):
        start = "".join(f"{cell:<{size}}{GAP}" for cell, size in zip(row, widths, strict=False))
        # a name is not broken, as people copy it
        lines = textwrap.wrap(row[-1], max(width - before, LEAST_WIDTH), break_on_hyphens=False, break_long_words=False)
        printed += [f"{start}{''.join(lines[:1])}".rstrip(), *(f"{'':{before}}{line}" for line in lines[1:])]
        if entries and check is not None and not check["pinned"]:
            printed.append(f"{GAP}pin it: {escaped(check['entry'])}")
    if not all(check["pinned"] for check in checks):
        more = "" if entries else "-v 2 shows how."
        printed += ["", *textwrap.wrap(f"{PINNING}{more}", max(width, LEAST_WIDTH))]
    return "\n".join(printed)


def _cells(check: Mapping[str, Any]) -> tuple[str, ...]:
    places = [*check["endpoints"], *(f"{name} (not critical)" for name in check["optional_on"])]
    pinned = "yes" if check["pinned"] else "no"
    return escaped(check["label"]), pinned, f"{check['timeout']:g} s", f"{check['max_age']:g} s", ", ".join(places)
