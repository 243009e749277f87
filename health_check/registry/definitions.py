"""The definition of a check: what is run, under which policy, and its label."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.utils.functional import cached_property

from health_check.backends import HealthCheck, is_asynchronous, status_method_name
from health_check.conf import settings
from health_check.exceptions import Misconfigured
from health_check.redaction import showable
from health_check.registry.identity import ADDRESS, equal_values, path_of
from health_check.registry.policies import Policy, defaults_of

_ABSENT: Any = object()

ENTRY = "_health_check_entry"
"""Where an instance that was made for a view's ``get_plugins`` remembers its entry."""


def _first_stated(name: str) -> cached_property[str]:
    return cached_property(lambda check: next((text for each in check.policies if (text := getattr(each, name))), ""))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Definition:
    """One check: a class with options of its own, wherever it is used."""

    label: str
    """Its name on every face."""
    check_class: type[HealthCheck]
    """What it is an instance of."""
    build: Callable[[], HealthCheck]
    """Makes a new instance."""
    prototype: HealthCheck
    """An instance that is never run, to be copied for a view's ``plugins``."""
    options: Mapping[str, Any] | None
    """The constructor's options, as the entry gave them; None where a view gave an instance."""
    policies: tuple[Policy, ...] = (Policy(),)
    """What its entries say; the strictest holds."""
    is_named: bool = False
    """Whether its label is a ``name`` that was given."""

    @cached_property
    def backend(self) -> str:
        """The dotted path of the class."""
        return path_of(self.check_class)

    @cached_property
    def critical(self) -> bool:
        """Whether it is critical on any endpoint."""
        return any(policy.critical_service is not False for policy in self.policies)

    @cached_property
    def method_name(self) -> str:
        """The name of the method that looks at the service."""
        return status_method_name(self.check_class)

    @cached_property
    def asynchronous(self) -> bool:
        """Whether it runs on the event loop."""
        return is_asynchronous(self.check_class)

    @property
    def timeout(self) -> float:
        """The time budget in force, in seconds."""
        least, is_default = self.stated_timeout
        return min(least, settings.TIMEOUT) if is_default else least

    @property
    def max_age(self) -> float:
        """For how many seconds a result counts as fresh."""
        least, is_default = self.stated_max_age
        if settings.MAX_AGE_OVERRIDES_CHECKS:
            return settings.MAX_AGE
        return min(least, settings.MAX_AGE) if is_default else least

    @cached_property
    def stated_timeout(self) -> tuple[float, bool]:
        """The least time budget that its entries state, infinite if none does, and whether the default counts, too."""
        return _least([policy.timeout for policy in self.policies])

    @cached_property
    def stated_max_age(self) -> tuple[float, bool]:
        """The least ``max_age`` that its entries state, in the same way."""
        return _least([policy.max_age for policy in self.policies])

    @cached_property
    def scope(self) -> str:
        """``"fleet"`` if every entry says so, else ``"host"``: then each host finds out for itself."""
        return "fleet" if all(policy.scope == "fleet" for policy in self.policies) else "host"

    title = _first_stated("title")
    """What people call it; empty if no entry says: then by its label."""
    group = _first_stated("group")
    """Under which heading the status page shows it; empty if no entry says."""
    runbook = _first_stated("runbook")
    """The address of a page that says what to do when it fails; empty if no entry names one."""
    description = _first_stated("description")
    """What it is for, in words; empty if no entry says."""

    @cached_property
    def tags(self) -> Mapping[str, str]:
        """Labels of the site's own; the first entry that gives one counts."""
        return dict(pair for policy in reversed(self.policies) for pair in policy.tags or ())

    @cached_property
    def aliases(self) -> tuple[str, ...]:
        """What it was called before, by any entry."""
        return tuple(dict.fromkeys(alias for policy in self.policies for alias in policy.aliases or ()))

    def copy(self) -> HealthCheck:
        """Return an instance of a reader's own, without running anything of the check's."""
        return copy_of(self.prototype)

    def same_check(self, other: Definition) -> bool:
        """Return whether two definitions mean the same check: the same class with equal options of its own."""
        return self.check_class is other.check_class and not self.differing(other)

    @cached_property
    def key(self) -> object:
        """A hashable value that definitions share if, and only if, they mean the same check; None: compare them."""
        if self.options is None or not all(type(value) in PLAIN for value in self.own_options.values()):
            return None
        return self.check_class, frozenset(self.own_options.items())

    def differing(self, other: Definition) -> Mapping[str, Any]:
        """Return those options of its own in which it differs from another check of its class; ``timeout`` is none."""
        if self.check_class is not other.check_class:
            return {}
        mine, others = self._options_beside(other), other._options_beside(self)
        return {
            name: mine.get(name, _ABSENT)
            for name in {**mine, **others}
            if not equal_values(mine.get(name, _ABSENT), others.get(name, _ABSENT))
        }

    @property
    def own_options(self) -> Mapping[str, Any]:
        """The options that are not the default ones."""
        if self.options is None:
            return attributes_of(self.prototype)
        return {
            name: value
            for name, value in self.options.items()
            if name != "timeout" and not equal_values(value, self._defaults.get(name, _ABSENT))
        }

    def _options_beside(self, other: Definition) -> Mapping[str, Any]:
        """Return the options that either was given, in the order of the constructor; else their attributes."""
        if self.options is None or other.options is None:
            return attributes_of(self.prototype)
        values = {**self._defaults, **self.options}
        given = {*self.options, *other.options} - {"timeout"}
        return {name: value for name, value in values.items() if name in given}

    @cached_property
    def _defaults(self) -> Mapping[str, Any]:
        return defaults_of(self.check_class)


def timeouts_of(definitions: Iterable[Definition]) -> list[float]:
    """Return the time budgets in force of some checks, in seconds; the setting is read once."""
    return _in_force([definition.stated_timeout for definition in definitions], "TIMEOUT")


def ages_of(definitions: Iterable[Definition]) -> list[float]:
    """Return for how many seconds results of some checks count as fresh; the setting is read once."""
    stated = [definition.stated_max_age for definition in definitions]
    if settings.MAX_AGE_OVERRIDES_CHECKS:
        return [settings.MAX_AGE] * len(stated)
    return _in_force(stated, "MAX_AGE")


def _in_force(stated: Sequence[tuple[float, bool]], name: str) -> list[float]:
    most = getattr(settings, name) if any(map(operator.itemgetter(1), stated)) else math.inf
    return [min(least, most) if is_default else least for least, is_default in stated]


def _least(seconds: Sequence[float | None]) -> tuple[float, bool]:
    """Return the least number of seconds that is stated, and whether the default counts beside it."""
    return min((each for each in seconds if each is not None), default=math.inf), None in seconds


PLAIN = frozenset({str, bytes, int, float, bool, type(None)})
"""Types whose ``==`` agrees with their hash, and with ``equal_values``."""


@dataclasses.dataclass(repr=False)
class UnusableEntry(HealthCheck):
    """Stand for an entry that cannot be used: always in error, saying why and what to do."""

    entry: str
    """The entry, as it can be found in the code."""
    problem: str
    """What is wrong with it, and the remedy."""

    def check_status(self) -> None:
        raise Misconfigured(self.problem)

    def __repr__(self) -> str:
        return self.entry


def unusable(label: str, problem: str) -> Definition:
    """Return the definition that is shown in place of an entry that cannot be used."""
    check = UnusableEntry(label, problem)
    return Definition(
        label=label,
        check_class=UnusableEntry,
        build=lambda: UnusableEntry(label, problem),
        prototype=check,
        options={"entry": label, "problem": problem},
    )


def problem_of(definition: Definition) -> str:
    """Return what is wrong with an entry that cannot be used; empty for one that can."""
    return definition.prototype.problem if isinstance(definition.prototype, UnusableEntry) else ""


def copy_of(check: HealthCheck) -> HealthCheck:
    """Return an instance with the attributes of another one and no errors, without running anything of its own."""
    own: Any = type(check)
    copy_class = _without_destructor(own)
    try:
        copied: HealthCheck = object.__new__(copy_class)
    except TypeError:  # of a built-in class, too
        copied = copy_class.__new__(copy_class)
    vars(copied).update(vars(check))
    for slot in _slots(own):
        if hasattr(check, slot):
            object.__setattr__(copied, slot, getattr(check, slot))
    with contextlib.suppress(Exception):  # a property of the user's, say, that cannot be set
        copied.errors = []
    return copied


@functools.lru_cache(maxsize=100)
def _without_destructor(own: Any) -> Any:
    """Return a class, without a destructor: that is for what a constructor has made."""
    if not hasattr(own, "__del__"):
        return own
    names = {"__module__": own.__module__, "__qualname__": own.__qualname__, "__slots__": ()}
    return type(own.__name__, (own,), {**names, "__del__": lambda self: None})


def attributes_of(check: HealthCheck) -> Mapping[str, Any]:
    """Return what distinguishes an instance from others of its class: its attributes, except for what a run leaves."""
    names = [*vars(check), *_slots(type(check))]
    own = [name for name in names if name not in ("errors", "time_taken", "critical_service", ENTRY)]
    return {name: getattr(check, name, None) for name in own}


def _slots(check_class: type) -> list[str]:
    declared = [vars(base).get("__slots__", ()) for base in check_class.__mro__]
    names = [name for slots in declared for name in ([slots] if isinstance(slots, str) else slots)]
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def label_of(check: object, name: str | None = None) -> str:
    """Return the label of a check.

    Args:
        check: An instance, or what has its ``repr``; that counts where no name is given.
        name: The name that its class or its entry gives it.

    Raises:
        ValueError: If nothing is left to call it by.
    """
    text = name if name is not None else ADDRESS.sub("", repr(check)).removesuffix("()")
    label = " ".join(showable(text).split())
    if not label:
        raise ValueError("the label is empty")
    return label
