"""The entries of an endpoint's ``checks``, and how they become definitions."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect
import re
import types
from collections.abc import Container, Iterable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from health_check.backends import HealthCheck
from health_check.conf import nearest, seconds
from health_check.redaction import mask
from health_check.registry.definitions import ENTRY, Definition, Policy, label_of, unusable

POLICY_OPTIONS = tuple(field.name for field in dataclasses.fields(Policy))
"""The options that every entry may have, whatever its check."""


class EntryError(Exception):
    """Tell what is wrong with an entry, and the remedy, in words that may be shown."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckEntry:
    """An item of ``checks`` that was understood, its check not yet constructed."""

    check_class: type[HealthCheck]
    """Its class."""
    options: Mapping[str, Any]
    """The constructor's options."""
    given: Mapping[str, Any]
    """The policy options."""

    def build(self) -> HealthCheck:
        """Return a new instance."""
        return self.check_class(**self.options)

    def define(self) -> Definition:
        """Construct the check once, for its label and its policy.

        Raises:
            EntryError: If its policy options cannot be used.
            Exception: Whatever the constructor or ``__repr__`` raises.
        """
        prototype = self.build()
        policy = policy_of(prototype, self.given, own_names(self.check_class))
        vars(prototype)[ENTRY] = self
        return Definition(
            label=label_of(prototype, policy.name),
            check_class=self.check_class,
            build=self.build,
            prototype=prototype,
            options=self.options,
            policies=(policy,),
            critical=policy.critical_service is not False,
        )


def parse(item: object) -> CheckEntry:
    """Understand an item of ``checks``: a dotted path, a class, or a pair of either with a dict of options.

    Raises:
        EntryError: If it is none of these, or names no check, or has options that nobody takes.
    """
    if isinstance(item, tuple | list) and len(item) != 2:
        raise EntryError(
            f"The entry {describe(item)!r} has {len(item)} parts: use a path, a class, or a pair of either and options."
        )
    target, options = item if isinstance(item, tuple | list) and len(item) == 2 else (item, {})
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise EntryError(f"The entry {describe(item)!r} needs a dict of options as its second part.")
    check_class = _load(target)
    own = own_names(check_class)
    passed_on = {key: value for key, value in options.items() if _is_passed_on(check_class, key)}
    given = {key: value for key, value in options.items() if _is_policy(key, own)}
    _refuse_unknown(describe(item), check_class, [key for key in options if key not in passed_on | given])
    _refuse_missing(describe(item), check_class, passed_on)
    return CheckEntry(check_class=check_class, options=passed_on, given=given)


def describe(item: object) -> str:
    """Return the dotted path of an item of ``checks``, or its ``repr`` if it has none."""
    target = item[0] if isinstance(item, tuple | list) and item else item
    if isinstance(target, type):
        return f"{target.__module__}.{target.__qualname__}"
    try:
        return mask(target if isinstance(target, str) else repr(target))
    except Exception:
        return type(target).__qualname__


def from_instance(key: str | None, check: HealthCheck) -> Definition:
    """Return the definition of an instance that a view's ``get_plugins`` gave.

    Args:
        key: What it was given as; counts as its name unless it is just the ``repr``.
        check: The instance; every run gets a copy of it.

    Raises:
        Exception: Whatever its ``__repr__`` raises.
    """
    check_class = type(check)
    entry: CheckEntry | None = vars(check).get(ENTRY)
    policy = policy_of(check, entry.given if entry else {}, own_names(check_class))
    label = label_of(check, policy.name)
    if key is not None and key not in (label, repr(check)):
        label = label_of(check, key)
    return Definition(
        label=label,
        check_class=check_class,
        build=entry.build if entry else lambda: _copy(check),
        prototype=check,
        options=entry.options if entry else None,
        policies=(policy,),
        critical=policy.critical_service is not False,
    )


def _copy(check: HealthCheck) -> HealthCheck:
    copied = copy.copy(check)
    copied.errors = []
    return copied


def unusable_entry(item: object, error: BaseException) -> Definition:
    """Return the definition that is shown in place of an item that cannot be used."""
    path = describe(item)
    if isinstance(error, EntryError | ImproperlyConfigured):
        return unusable(path, mask(str(error)))
    return unusable(
        path,
        f"The entry {path!r} could not be constructed and named: {type(error).__name__}, see the log. "
        "Correct its options, its __init__ or its __repr__.",
    )


def own_names(check_class: type[HealthCheck]) -> frozenset[str]:
    """Return the names that belong to the check itself: the fields and constructor parameters it adds."""
    inherited = {field.name for field in dataclasses.fields(HealthCheck)}
    fields = {field.name for field in dataclasses.fields(check_class)}
    return frozenset((fields - inherited) | set(_parameters(check_class)))


def policy_of(check: HealthCheck, given: Mapping[str, Any], own: frozenset[str]) -> Policy:
    """Return the policy of a check: what its entry says, else what its class says.

    Args:
        check: An instance.
        given: The policy options of its entry.
        own: The names that are the check's own and, but for ``timeout``, never policy.

    Raises:
        EntryError: If an option of the entry cannot be used. What a class says is ignored then, as the
            attribute may mean something else to it.
    """
    values: dict[str, Any] = {}
    for name in POLICY_OPTIONS:
        if name in given:
            values[name] = _policy_value(name, given[name])
            if values[name] is None and name not in own:
                raise EntryError(
                    f"The entry {describe(type(check))!r} has the option {name!r} with the value "
                    f"{mask(repr(given[name]))}: use {_REMEDIES[name]}."
                )
        if values.get(name) is None and _is_policy(name, own):
            declared = _policy_value(name, _declared(check, name))
            on_class = _policy_value(name, inspect.getattr_static(type(check), name, None))
            values[name] = on_class if declared is None else declared
    if values.get("critical_service") is None:  # a property or a text of the user's own counts as what it reads as
        values["critical_service"] = bool(check.critical_service)
    return Policy(**values)


_REMEDIES = {
    "timeout": "a number of seconds above 0, or a timedelta",
    "max_age": "a number of seconds from 0 up, or a timedelta",
    "name": "a text that is not empty",
    "scope": "'host' or 'fleet'",
    "critical_service": "True or False",
    "tags": "a dict of at most 8 names and texts, like {'owner': 'payments'}; names that metrics have are taken",
    "runbook": "an address like https://example.com/page",
    "description": "a text that is not empty",
}

MOST_TAGS = 8
"""How many labels of its own a site may give its checks."""

TAKEN_TAGS = frozenset(
    re.findall(
        r"\w+",
        "alertname backend check cluster component container endpoint host instance job le namespace node outcome pod"
        " prometheus quantile runbook scope service severity state url_name",
    )
)
"""Labels that our metrics and alerts, or the configurations of scrapes, give a meaning."""

_TAG = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")


def _policy_value(name: str, value: object) -> Any:
    if name in ("timeout", "max_age"):
        number = seconds(value)
        return None if number == 0 and name == "timeout" else number
    if name in ("name", "description"):
        return value if isinstance(value, str) and value.strip() else None
    if name == "runbook":
        return value if isinstance(value, str) and re.fullmatch(r"https?://[^\s\"'<>{}]+", value) else None
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


def _load(target: object) -> type[HealthCheck]:
    if isinstance(target, str):
        path = target
        try:
            return _as_check_class(import_string(path), path)
        except ImportError as error:
            problem = f"The entry {path!r} cannot be imported: {mask(str(error))}."
            raise EntryError(problem if "pip install" in problem else f"{problem} Correct the path.") from error
        except EntryError:
            raise
        except (Exception, SystemExit) as error:
            raise EntryError(
                f"The entry {path!r} cannot be imported: its module raised {type(error).__name__}, see the log."
            ) from error
    return _as_check_class(target, describe(target))


def _as_check_class(found: object, entry: str) -> type[HealthCheck]:
    if not isinstance(found, type) or not issubclass(found, HealthCheck):
        raise EntryError(
            f"The entry {entry!r} is no health check: "
            "use the dotted path or the class of a subclass of health_check.backends.HealthCheck."
        )
    return found


def _parameters(check_class: type[HealthCheck]) -> list[str]:
    return [name for name, parameter in _signature(check_class).items() if parameter.kind not in _VARIADIC]


def _signature(check_class: type[HealthCheck]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(check_class).parameters
    except (TypeError, ValueError):
        return {}


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _takes_any(check_class: type[HealthCheck]) -> bool:
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in _signature(check_class).values())


def _is_policy(name: str, own: Container[str]) -> bool:
    """Tell whether an option is policy: the check's own names are not, but for two that are passed on as well."""
    return name in POLICY_OPTIONS and (name not in own or name in ("timeout", "critical_service"))


def _is_passed_on(check_class: type[HealthCheck], key: str) -> bool:
    return key in _parameters(check_class) or (key not in POLICY_OPTIONS and _takes_any(check_class))


def _refuse_missing(entry: str, check_class: type[HealthCheck], options: Mapping[str, Any]) -> None:
    for name, parameter in _signature(check_class).items():
        if parameter.kind not in _VARIADIC and parameter.default is parameter.empty and name not in options:
            raise EntryError(f"The entry {entry!r} needs the option {name!r}: make it a pair with a dict of options.")


def _refuse_unknown(entry: str, check_class: type[HealthCheck], keys: Iterable[str]) -> None:
    known = list(dict.fromkeys([*_parameters(check_class), *POLICY_OPTIONS]))
    for key in keys:
        hint = nearest(key, known)
        raise EntryError(f"The entry {entry!r} has no option {key!r}.{hint} It takes: {', '.join(known)}.")
