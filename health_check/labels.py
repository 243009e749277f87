"""The label: the one name of a check on every face."""

from __future__ import annotations

import dataclasses
import re

from health_check.backends import HealthCheck
from health_check.masking import showable

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def label_of(check: HealthCheck, name: str | None = None) -> str:
    """Return the label of a check.

    Args:
        check: An instance; its ``repr`` counts where no name is given.
        name: The name that its class or its entry gives it.

    Raises:
        ValueError: If nothing is left to call it by.
    """
    text = name if name is not None else _ADDRESS.sub("", repr(check)).removesuffix("()")
    label = " ".join(showable(text).split())
    if not label:
        raise ValueError("the label is empty")
    return label


class ConciseRepr:
    """Show a dataclass by its class name and those fields with ``repr=True`` that differ from their default.

    To be inherited from before HealthCheck, by dataclasses declared with ``repr=False``.
    """

    def __repr__(self) -> str:
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        shown = [f for f in fields if f.init and f.repr and getattr(self, f.name) != _default(f)]
        options = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in shown)
        return f"{type(self).__name__}({options})"


def _default(field: dataclasses.Field[object]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
