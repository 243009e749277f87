"""The plugins: a request's own check instances, filled from their records, for views that customise."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import ItemsView, KeysView, Mapping, ValuesView

from health_check.backends import HealthCheck
from health_check.monitor.reports import OK_WORDS, Report, Row
from health_check.registry import old_names


class Label(str):
    """A label that has what its check has, for views that iterate over ``plugins``, which was a list up to 3.17."""

    __slots__ = ("check",)

    check: HealthCheck

    def __getattr__(self, name: str) -> object:
        if name == "check" or name.startswith("__"):  # of a copy that is not complete
            raise AttributeError(name)
        return getattr(self.check, name)


def labelled(checks: Mapping[str, HealthCheck]) -> dict[str, HealthCheck]:
    """Return checks by label, or with ``HEALTH_CHECK["COMPAT"]`` by their old keys, which have what the checks have."""
    found: dict[str, HealthCheck] = {}
    for key, check in zip(old_names.keys(checks), checks.values(), strict=True):
        label = Label(key)
        label.check, found[label] = check, check
        with contextlib.suppress(Exception):  # a property of the user's, say, that cannot be set
            vars(check)["identifier"] = functools.partial(str, key)
    return found


class Plugins(list[HealthCheck]):
    """Check instances; iterates over them, and offers them by label like a dict."""

    def __init__(self, report: Report) -> None:
        self.by_label: dict[str, HealthCheck] = labelled({row.reading.label: filled(row) for row in report.rows})
        super().__init__(self.by_label.values())

    def items(self) -> ItemsView[str, HealthCheck]:
        """Return pairs of label and instance."""
        return self.by_label.items()

    def keys(self) -> KeysView[str]:
        """Return the labels."""
        return self.by_label.keys()

    def values(self) -> ValuesView[HealthCheck]:
        """Return the instances."""
        return self.by_label.values()


def filled(row: Row) -> HealthCheck:
    """Return an instance that says what the record of its check says."""
    return fill(row.reading.definition.copy(), row)


def fill(check: HealthCheck, row: Row) -> HealthCheck:
    """Have an instance say what the record of its check says, and return it."""
    reading = row.reading
    text = reading.pretty_status
    state: dict[str, object] = {
        "errors": [message.as_exception() for message in reading.messages],
        "time_taken": reading.time_taken or 0.0,
        "critical_service": row.critical,
    }
    if type(check).pretty_status is not HealthCheck.pretty_status or text == OK_WORDS["3.20"]:
        state["pretty_status"] = lambda: text
    for name, value in state.items():
        with contextlib.suppress(Exception):  # a property of the user's, say, that cannot be set
            setattr(check, name, value)
    return check
