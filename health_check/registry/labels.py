"""The labels of different checks that would have the same one, and what must not be in a label."""

from __future__ import annotations

import datetime
import enum
import ipaddress
import pathlib
import re
import socket
from collections.abc import Container, Sequence
from typing import Any

from health_check.redaction import mask
from health_check.registry.definitions import Definition
from health_check.registry.identity import digest, is_credential

DIGITS = (4, 8, 64)
"""How many digits of a digest distinguish checks: the first number that does."""

LONGEST_VALUE = 40
"""How long the value of an option may be, in characters, to be in a label."""

HOST_OPTION = re.compile(
    r"host|server|addr|url|uri|dsn|domain|broker|bootstrap|node|user|login|account|mail|header|auth|(?<![a-z])ip(?![a-z])",
    re.IGNORECASE,
)
"""The names of options that hold hosts, users or what goes with them."""

HOST_VALUE = re.compile(r"@|://|[^\W_]\.[^\W_]|\d:\d")
"""What is in texts that name hosts or users."""

ADDRESS = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\w)"  # IPv4
    r"|\w://[\w*\[]"  # the beginning of a URL
    r"|(?<![\w.-])[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*:\d+\b"  # host:port
    r"|(?<![a-z])(?:host|hostname|server|address|url|dsn)s?=[\[({]?['\"](?!['\"/])",
    re.IGNORECASE,
)
"""What names a host in a label."""

IPV6 = re.compile(r"(?<![\w:.])[0-9a-f:.]+(?![\w:])", re.IGNORECASE)
"""What may be an IPv6 address."""


def labels_of(checks: Sequence[Definition]) -> list[str | None]:
    """Return the label of each of some different checks; None where it differs from another in credentials alone.

    A ``name`` is kept. Else the first declared has the label that it would have alone. Others are called by the options
    in which they differ from that one, or by a digest of theirs: so none depends on what is declared after it.

    Args:
        checks: The checks, in the order in which they are declared.
    """
    holders: dict[str, Definition] = {}
    for check in sorted(checks, key=lambda check: not check.is_named):  # stable
        holders.setdefault(check.label, check)
    taken = set(holders)
    digests: set[str] = set()
    labels: list[str | None] = []
    for check in checks:
        label: str | None = check.label
        if holders[check.label] is not check:
            label = _by_options(check, holders[check.label])
            if label is None or label in taken:
                label = _by_digest(check, taken, digests)
            taken.add(label or "")
        labels.append(label)
    return labels


def names_a_host(label: str) -> bool:
    """Return whether a label seems to name a host."""
    if ADDRESS.search(label) or any(_is_ipv6(text.rstrip(".")) for text in IPV6.findall(label)):
        return True
    this_host = socket.gethostname()
    if not this_host or this_host.isalpha():  # "mail" is a word first of all
        return False
    return bool(re.search(rf"(?<![\w-]){re.escape(this_host)}(?![\w-])", label, re.IGNORECASE))


def _by_options(check: Definition, holder: Definition) -> str | None:
    """Return what a check is called after the options in which it differs from another one, if that may be shown."""
    differing = check.differing(holder)
    if not differing or not all(_is_showable(name, value) for name, value in differing.items()):
        return None
    options = ", ".join(f"{name}={_plain(value)!r}" for name, value in differing.items())
    return f"{check.label[:-1]}, {options})" if check.label.endswith(")") else f"{check.label}({options})"


def _by_digest(check: Definition, taken: Container[str], digests: set[str]) -> str | None:
    """Return what a check is called after the digest of its options, unless another one has the same."""
    digits = digest(check.backend, {"": check.label, **check.own_options})
    if digits in digests:
        return None
    digests.add(digits)
    return next(text for number in DIGITS if (text := f"{check.label}#{digits[:number]}") not in taken)


def _is_showable(name: str, value: object) -> bool:
    """Return whether an option may be in a label: it names no host or user, and is the same wherever it is declared."""
    if HOST_OPTION.search(name) or is_credential(name) or not name.isidentifier() or name.startswith("_"):
        return False
    if isinstance(value, list | tuple | set | frozenset):
        return len(value) <= 3 and all(_is_showable(name, item) for item in value)
    if isinstance(value, str | pathlib.PurePath):
        text = str(value)
        return (
            len(text) <= LONGEST_VALUE
            and text.isprintable()
            and mask(text) == text
            and not HOST_VALUE.search(text)
            and not names_a_host(text)
        )
    return value is None or isinstance(value, bool | int | float | datetime.timedelta | enum.Enum)


def _plain(value: Any) -> object:
    if isinstance(value, pathlib.PurePath):
        return str(value)
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, set | frozenset):  # which have another order in each process
        return sorted(map(_plain, value), key=repr)
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    return value.name if isinstance(value, enum.Enum) else value


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return text != "::"
