"""The arguments of ``as_view``: which there are, and whether a view has anything but these."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from health_check.conf import nearest
from health_check.registry.endpoints import OPTIONS, EndpointOptions
from health_check.views.access import ACCESS_ARGUMENTS

DATA = frozenset(name for name in vars(EndpointOptions) if not callable(getattr(EndpointOptions, name)))
"""The attributes of a view that say what it checks, and how that counts."""


PLAIN = frozenset({*DATA, *ACCESS_ARGUMENTS, "is_authorized", "template_name"})
"""The attributes of a view without code of its own."""


@functools.lru_cache(maxsize=1000)
def has_no_code(view_class: type) -> bool:
    """Return whether a view adds nothing to a class of ours but attributes that say what it checks, and how."""
    own = itertools.takewhile(lambda each: not each.__module__.startswith("health_check.views."), view_class.__mro__)
    return not any(
        name not in PLAIN or (name != "is_authorized" and _is_computed(value))
        for each in own
        for name, value in vars(each).items()
        if not name.startswith("__") or name in ("__init__", "__getattribute__", "__getattr__")
    )


@functools.lru_cache(maxsize=1000)
def says_by_code(view_class: type) -> bool:
    """Return whether a view says in code what it checks, or who is answered: any attribute may matter to that then."""
    stated = (name for name in PLAIN if not name.startswith("__") and name != "is_authorized")
    return any(_is_computed(inspect.getattr_static(view_class, name)) for name in stated)


def _is_computed(value: object) -> bool:
    """Return whether an attribute of a class may be another for each request, as that of a property is."""
    return hasattr(type(value), "__get__")


def refuse_unusable(view_class: type[EndpointOptions], initkwargs: Mapping[str, Any]) -> None:
    """Refuse arguments of ``as_view`` that are none, or would give a wrong answer.

    Raises:
        ImproperlyConfigured: If one is such.
    """
    name = view_class.__name__
    for argument in initkwargs:
        if not hasattr(view_class, argument) or _hides_method(view_class, argument, initkwargs[argument]):
            known = sorted(name for name in (*DATA, *ACCESS_ARGUMENTS, "template_name") if not name.startswith("_"))
            remedy = nearest(argument, known) or f" Use {', '.join(known)}."
            raise ImproperlyConfigured(f"{name}.as_view() has no argument {argument!r}.{remedy}")
    options = {option: initkwargs.get(option, getattr(view_class, option)) for option in OPTIONS}
    refuse_unusable_options(name, {key: value for key, value in options.items() if not _is_computed(value)})


def _hides_method(view_class: type, argument: str, value: object) -> bool:
    """Return whether a value would take the place of a method, such as ``check`` of former versions."""
    return callable(getattr(view_class, argument)) and not callable(value)


def refuse_unusable_options(name: str, options: Mapping[str, Any]) -> None:
    """Refuse options that would give a wrong answer.

    Raises:
        ImproperlyConfigured: If one is such.
    """
    status = options.get("error_status_code", 500)
    if not isinstance(status, int) or not 400 <= status <= 599:
        raise ImproperlyConfigured(f"{name}: error_status_code is {status!r}: use a status from 400 to 599.")
    strict = options.get("warnings_as_errors")
    if strict is not None and not isinstance(strict, bool):
        raise ImproperlyConfigured(f"{name}: warnings_as_errors is {strict!r}: use True, False or None.")
    marks = {mark: options.get(mark) for mark in ("readiness", "liveness")}
    for mark, value in marks.items():
        if value is not None and not isinstance(value, bool):
            raise ImproperlyConfigured(f"{name}: {mark} is {value!r}: use True or False.")
    if all(marks.values()):
        raise ImproperlyConfigured(f"{name}: it is marked as readiness and liveness: mount a view for each.")
