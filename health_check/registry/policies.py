"""The policy of a check: how it is run and counted, as its entry and its class say."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
import types
from collections.abc import Container, Mapping
from typing import Any

from health_check.backends import HealthCheck
from health_check.conf import seconds
from health_check.redaction import mask
from health_check.registry.identity import path_of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """How a check is run and counted, as its entry and its class say; None where they say nothing."""

    timeout: float | None = None
    """Its time budget, in seconds."""
    max_age: float | None = None
    """For how many seconds a result counts as fresh."""
    name: str | None = None
    """Its label."""
    scope: str | None = None
    """``"host"``, or ``"fleet"`` for what is the same on every host."""
    critical_service: bool | None = None
    """Whether a failure makes the endpoint fail."""
    aliases: tuple[str, ...] | None = None
    """What it was called before."""
    tags: tuple[tuple[str, str], ...] | None = None
    """Labels of the site's own, such as who owns the check, for alerts and dashboards."""
    runbook: str | None = None
    """The address of a page that says what to do when it fails."""
    title: str | None = None
    """What people call it, where that is not its label."""
    description: str | None = None
    """What it is for, in words."""
    group: str | None = None
    """Under which heading the status page shows it."""


POLICY_OPTIONS = tuple(field.name for field in dataclasses.fields(Policy))
"""The options that the entry of any check may have."""


class EntryError(Exception):
    """Report what is wrong with an entry, and the remedy, in words that may be shown."""


def parameters_of(check_class: type[HealthCheck]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of the constructor; none where Python cannot tell."""
    try:
        return inspect.signature(check_class).parameters
    except (TypeError, ValueError):
        return {}


def defaults_of(check_class: type[HealthCheck]) -> Mapping[str, Any]:
    """Return the defaults of the constructor's parameters."""
    defaults = {p.name: p.default for p in parameters_of(check_class).values() if p.default is not p.empty}
    for field in dataclasses.fields(check_class):
        if field.name in defaults and field.default_factory is not dataclasses.MISSING:
            with contextlib.suppress(Exception):
                defaults[field.name] = field.default_factory()
    return defaults


def named_parameters(check_class: type[HealthCheck]) -> list[str]:
    """Return the names of the constructor's parameters, but for those that stand for any."""
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, parameter in parameters_of(check_class).items() if parameter.kind not in variadic]


def own_names(check_class: type[HealthCheck]) -> frozenset[str]:
    """Return the names that belong to the check itself: the fields and constructor parameters it adds."""
    inherited = {field.name for field in dataclasses.fields(HealthCheck)}
    fields = {field.name for field in dataclasses.fields(check_class)}
    return frozenset((fields - inherited) | set(named_parameters(check_class)))


def is_policy(name: str, own: Container[str]) -> bool:
    """Return whether an option is policy: the check's own names are not, except for two that are passed on as well."""
    return name in POLICY_OPTIONS and (name not in own or name in ("timeout", "critical_service"))


def policy_of(check_class: type[HealthCheck], given: Mapping[str, Any], check: HealthCheck | None = None) -> Policy:
    """Return the policy of a check: what its entry says, else what its class says.

    Args:
        check_class: Its class.
        given: The policy options of its entry.
        check: An instance, if one could be constructed; what its constructor sets goes before the class.

    Raises:
        EntryError: If an option of the entry cannot be used. What a class says is ignored then, as the
            attribute may mean something else to it.
    """
    own = own_names(check_class)
    values: dict[str, Any] = {}
    for name in POLICY_OPTIONS:
        if name in given:
            values[name] = _policy_value(name, given[name])
            if values[name] is None and name not in own:
                raise EntryError(
                    f"The entry {path_of(check_class)!r} has the option {name!r} with the value "
                    f"{mask(repr(given[name]))}: use {_REMEDIES[name]}."
                )
        if values.get(name) is None and is_policy(name, own):
            declared = None if check is None else _policy_value(name, _declared(check, name))
            on_class = _policy_value(name, inspect.getattr_static(check_class, name, None))
            values[name] = on_class if declared is None else declared
    if values.get("critical_service") is None and check is not None:  # a property counts as what it reads as
        values["critical_service"] = bool(check.critical_service)
    return Policy(**values)


_REMEDIES = {
    "timeout": "a number of seconds above 0, or a timedelta",
    "max_age": "a number of seconds from 0 up, or a timedelta",
    "name": "a text that is not empty",
    "scope": "'host' or 'fleet'",
    "critical_service": "True or False",
    "aliases": "a list of texts that are not empty",
    "tags": "a dict of at most 8 names and texts, like {'owner': 'payments'}, without names of metric labels",
    "runbook": "an address like https://example.com/page",
    "title": "a text that is not empty",
    "description": "a text that is not empty",
    "group": "a text that is not empty",
}

MOST_TAGS = 8
"""How many labels of its own a site may give its checks."""

TAKEN_TAGS = frozenset(
    re.findall(
        r"\w+",
        "alertname backend check cluster component container endpoint group host instance job le namespace node"
        " outcome pod prometheus quantile runbook scope service severity state title url_name",
    )
)
"""Labels that our metrics and alerts, or the configurations of scrapes, give a meaning."""

_TAG = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def _policy_value(name: str, value: object) -> Any:
    if name in ("timeout", "max_age"):
        number = seconds(value)
        return None if number == 0 and name == "timeout" else number
    if name in ("name", "title", "description", "group"):
        return value if isinstance(value, str) and value.strip() else None
    if name == "runbook":
        return value if isinstance(value, str) and re.fullmatch(r"https?://[^\s\"'<>{}]+", value) else None
    if name == "aliases":
        is_list = isinstance(value, list | tuple) and all(isinstance(text, str) and text.strip() for text in value)
        return tuple(value) if isinstance(value, list | tuple) and is_list else None
    if name == "tags":
        return tuple(value.items()) if isinstance(value, Mapping) and _are_tags(value) else None
    if name == "scope":
        return value if value in ("host", "fleet") else None
    return value if isinstance(value, bool) else None


def _are_tags(value: Mapping[Any, Any]) -> bool:
    return len(value) <= MOST_TAGS and all(
        isinstance(name, str) and _TAG.fullmatch(name) and name not in TAKEN_TAGS and isinstance(text, str)
        for name, text in value.items()
    )


def _declared(check: HealthCheck, name: str) -> object:
    value = inspect.getattr_static(check, name, None)
    if isinstance(value, types.MemberDescriptorType):
        with contextlib.suppress(AttributeError):
            return getattr(check, name)
    return value
