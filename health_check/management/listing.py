"""The list of the checks: what they are called, what pins that, how they are run, and on which endpoints they are."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Sequence

from health_check.management.choice import Choice
from health_check.management.outcomes import GAP
from health_check.redaction import escaped
from health_check.registry.definitions import Definition

HEADS = ("CHECK", "PINNED", "TIMEOUT", "MAX AGE", "ENDPOINTS")

LEAST_WIDTH = 20
"""How wide the column of the endpoints is at least, on any terminal."""

PINNING = (
    "A label that is not pinned comes from the class and the options, and may change when a check is added before it. "
    "The option `name` pins it. "
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listed:
    """A check as it is listed."""

    definition: Definition
    """The check."""
    endpoints: tuple[str, ...]
    """The endpoints that fail with it."""
    optional_on: tuple[str, ...]
    """The endpoints on which it is not critical."""

    @property
    def entry(self) -> str:
        """How to declare it so that its label stays as it is; ``…`` stands for its options."""
        more = ", …" if self.definition.own_options else ""
        return f"({self.definition.backend!r}, {{'name': {self.definition.label!r}{more}}})"


def listed(choice: Choice) -> list[Listed]:
    """Return the checks of some endpoints, in their order."""
    members = {endpoint.name: choice.check_set.members[endpoint] for endpoint in choice.endpoints}
    found = []
    for definition in choice.check_set.checks_of(choice.endpoints):
        places = [
            (name, one.critical) for name, all_ in members.items() for one in all_ if one.label == definition.label
        ]
        found.append(
            Listed(
                definition=definition,
                endpoints=tuple(name for name, critical in places if critical),
                optional_on=tuple(name for name, critical in places if not critical),
            )
        )
    return found


def as_json(checks: Iterable[Listed]) -> str:
    """Return all of it as JSON."""
    return json.dumps(
        [
            {
                "label": check.definition.label,
                "pinned": check.definition.is_named,
                "entry": check.entry,
                "aliases": list(check.definition.aliases),
                "timeout": check.definition.timeout,
                "max_age": check.definition.max_age,
                "endpoints": list(check.endpoints),
                "optional_on": list(check.optional_on),
            }
            for check in checks
        ],
        indent=2,
    )


def as_table(checks: Sequence[Listed], *, width: int, entries: bool) -> str:
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
    for number, (*cells, places) in enumerate(rows):
        start = "".join(f"{cell:<{size}}{GAP}" for cell, size in zip(cells, widths, strict=True))
        lines = _wrapped(places, max(width - before, LEAST_WIDTH)) or [""]
        printed += [f"{start}{lines[0]}".rstrip(), *(f"{'':{before}}{line}" for line in lines[1:])]
        if entries and number and not checks[number - 1].definition.is_named:
            printed.append(f"{GAP}pin it: {escaped(checks[number - 1].entry)}")
    if not all(check.definition.is_named for check in checks):
        more = "" if entries else "-v 2 shows how."
        printed += ["", *textwrap.wrap(f"{PINNING}{more}", max(width, LEAST_WIDTH))]
    return "\n".join(printed)


def _wrapped(places: str, width: int) -> list[str]:
    """Return the lines of a column; a name is not broken, as people copy it."""
    return textwrap.wrap(places, width, break_on_hyphens=False, break_long_words=False)


def _cells(check: Listed) -> tuple[str, ...]:
    definition = check.definition
    places = [*check.endpoints, *(f"{name} (not critical)" for name in check.optional_on)]
    return (
        escaped(definition.label),
        "yes" if definition.is_named else "no",
        f"{definition.timeout:g} s",
        f"{definition.max_age:g} s",
        ", ".join(places),
    )
