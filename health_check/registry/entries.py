"""The entries of an endpoint's ``checks``, and how they become definitions."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation

from health_check.backends import ConciseRepr, HealthCheck
from health_check.conf import nearest
from health_check.exceptions import HealthCheckException, Misconfigured, ServiceUnavailable
from health_check.redaction import mask
from health_check.registry.definitions import (
    ENTRY,
    Definition,
    UnusableEntry,
    copy_of,
    label_of,
    unusable,
)
from health_check.registry.identity import path_of
from health_check.registry.old_names import adapted
from health_check.registry.policies import (
    POLICY_OPTIONS,
    EntryError,
    Policy,
    defaults_of,
    is_policy,
    named_parameters,
    own_names,
    parameters_of,
    policy_of,
)
from health_check.registry.short_names import import_check, meant


@dataclasses.dataclass(frozen=True, kw_only=True)
class CheckEntry:
    """An item of ``checks`` that was understood, its check not yet constructed."""

    check_class: type[HealthCheck]
    """Its class."""
    options: Mapping[str, Any]
    """The constructor's options."""
    given: Mapping[str, Any]
    """The policy options."""

    @property
    def path(self) -> str:
        """The dotted path of the class."""
        return path_of(self.check_class)

    def build(self) -> HealthCheck:
        """Return a new instance."""
        return self.check_class(**self.options)

    def define(self) -> Definition:
        """Construct the check once, for its policy, for views that show instances, and for its label if that needs it.

        Raises:
            Exception: What the constructor or ``__repr__`` raises.
        """
        prototype = self.build()
        vars(prototype)[ENTRY] = self
        return self.definition(prototype)

    def definition(self, check: HealthCheck) -> Definition:
        """Return the definition, given an instance that this entry has made."""
        policy = policy_of(self.check_class, self.given, check)
        try:
            label = label_of(check, policy.name or self._known_label())
        except Exception as error:
            raise NamelessError from error
        return self._definition(label, policy, check)

    def unconstructed(self, problem: str) -> Definition:
        """Return the definition where there is no instance: each run constructs one, and reports why if it cannot.

        Args:
            problem: What is wrong, for who looks at the configuration.
        """
        policy = policy_of(self.check_class, self.given)
        label = label_of(None, policy.name or self._known_label() or self.path)
        return self._definition(label, policy, UnusableEntry(label, problem))

    def _definition(self, label: str, policy: Policy, prototype: HealthCheck) -> Definition:
        return Definition(
            label=label,
            check_class=self.check_class,
            build=self.build,
            prototype=prototype,
            options=self.options,
            policies=(policy,),
            is_named=policy.name is not None,
        )

    def _known_label(self) -> str | None:
        """Return the label of an instance without calling the constructor; None where an instance must be asked.

        A class that has neither a ``repr`` nor an ``identifier`` of its own is called by its name, and a dataclass by
        its options.
        """
        own: Any = self.check_class
        try:
            if own.__repr__ is HealthCheck.__repr__:
                return None if hasattr(own, "identifier") else label_of(None, own.__name__)
            shown = [field for field in dataclasses.fields(own) if field.repr]
            if own.__repr__ is ConciseRepr.__repr__:
                shown = [field for field in shown if field.init]
            elif not _is_generated(own.__repr__):
                return None
            if not _is_generated(own.__init__) or not all(field.init for field in shown):
                return None
            stand_in = object.__new__(own)
            values = {**defaults_of(own), **self.options}
            for field in shown:
                value = values[field.name]
                object.__setattr__(stand_in, field.name, str.__str__(value) if isinstance(value, str) else value)
            return label_of(stand_in)
        except Exception:
            return None


class NamelessError(Exception):
    """Report that the ``repr`` of a check raised."""


def _is_generated(method: Any) -> bool:
    """Return whether ``dataclasses`` has made a method."""
    code = getattr(inspect.unwrap(method), "__code__", None)
    return code is not None and code.co_filename == "<string>"


def parse(item: object) -> CheckEntry:
    """Understand an item of ``checks``: a dotted path, a class, or a pair of either with a dict of options.

    Raises:
        EntryError: If it is none of these, or names no check, or has options that nobody takes.
    """
    entry = f"The entry {describe(item)!r}"
    parts = item if isinstance(item, tuple | list) else (item, {})
    if len(parts) != 2:
        raise EntryError(f"{entry} has {len(parts)} parts: use a path, a class, or a pair of either and options.")
    target, options = parts
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise EntryError(f"{entry} needs a dict of options as its second part.")
    check_class = adapted(_load(target), options)
    own, parameters = own_names(check_class), parameters_of(check_class)
    named = named_parameters(check_class)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    passed_on = {
        key: value for key, value in options.items() if key in named or (takes_any and key not in POLICY_OPTIONS)
    }
    given = {key: value for key, value in options.items() if is_policy(key, own)}
    policy_of(check_class, given)  # refuses what cannot be used
    known = list(dict.fromkeys([*named, *POLICY_OPTIONS]))
    for key in options:
        if key not in passed_on and key not in given:
            raise EntryError(f"{entry} has no option {key!r}.{nearest(key, known)} It takes: {', '.join(known)}.")
    for name in named:
        if parameters[name].default is inspect.Parameter.empty and name not in passed_on:
            raise EntryError(f"{entry} needs the option {name!r}: make it a pair with a dict of options.")
    return CheckEntry(check_class=check_class, options=passed_on, given=given)


def describe(item: object) -> str:
    """Return the dotted path of an item of ``checks``, or its ``repr`` if it has none."""
    target = item[0] if isinstance(item, tuple | list) and item else item
    if isinstance(target, type):
        return path_of(target)
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
        Exception: What its ``__repr__`` raises.
    """
    entry: CheckEntry | None = vars(check).get(ENTRY)
    if entry is not None:
        definition = entry.definition(check)
    else:
        policy = policy_of(type(check), {}, check)
        definition = Definition(
            label=label_of(check, policy.name),
            check_class=type(check),
            build=functools.partial(copy_of, check),
            prototype=check,
            options=None,
            policies=(policy,),
            is_named=policy.name is not None,
        )
    if key is not None and key not in (definition.label, repr(check)):
        return dataclasses.replace(definition, label=label_of(check, key), is_named=True)
    return definition


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


def unconstructed(item: object, entry: CheckEntry | None, error: BaseException) -> Definition:
    """Return the definition of an item whose construction failed: its runs say how its service is, if they can."""
    if isinstance(error, NamelessError):
        return unusable_entry(item, error.__cause__ or error)
    if entry is None:
        return unusable_entry(item, error)
    failure = not_constructed(entry.path, error)
    problem = str(failure) if failure is not error else f"{entry.path} could not be constructed: {failure}"
    return entry.unconstructed(problem)


def not_constructed(path: str, error: BaseException) -> HealthCheckException:
    """Return what is said of a check whose constructor raised: that its service is away, or that the site is wrong."""
    if isinstance(error, HealthCheckException):
        return error
    problem = f"{path} could not be constructed ({type(error).__name__}): see the log"
    if isinstance(error, MISTAKES) or not isinstance(error, Exception):
        return Misconfigured(f"{problem}, and correct its options or its __init__.")
    return ServiceUnavailable(f"{problem}.")


MISTAKES = (
    *(ArithmeticError, AssertionError, AttributeError, ImportError, LookupError, NameError, NotImplementedError),
    *(SyntaxError, TypeError, ValueError, ImproperlyConfigured, SynchronousOnlyOperation),
)
"""What the constructor of a check raises where the code or the options are wrong, rather than a service away."""


def check_class_of(item: object) -> type[HealthCheck] | None:
    """Return the class of an item of ``checks``; None if it cannot be used."""
    try:
        return _load(item[0] if isinstance(item, list | tuple) and item else item)
    except EntryError:
        return None


def _load(target: object) -> type[HealthCheck]:
    if isinstance(target, str):
        path = target
        try:
            return _as_check_class(import_check(path), path)
        except ImportError as error:
            problem = f"The entry {path!r} cannot be imported: {mask(str(error))}."
            if "pip install" in problem:
                raise EntryError(problem) from error
            raise EntryError(f"{problem}{meant(path) or ' Correct the path.'}") from error
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
            f"The entry {entry!r} is not a health check: "
            "use the dotted path or the class of a subclass of health_check.backends.HealthCheck."
        )
    return found
