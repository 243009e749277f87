"""Which middleware of a site chooses the URLconf by the request, as those of django-hosts and django-tenants do."""

from __future__ import annotations

import dis
import inspect
import itertools
import sys
import types
from collections.abc import Iterable, Iterator

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

DEPTH = 4
"""How far to follow the calls of a middleware."""

METHODS = (types.MethodType, classmethod, staticmethod)
"""What has a function in it."""


def choosers_after(middleware: type) -> list[str]:
    """Return the dotted paths of those in ``MIDDLEWARE`` after this one that set ``urlconf`` on the request."""
    paths = list(django_settings.MIDDLEWARE)
    found = [_imported(path) for path in paths]
    own = next((place for place, each in enumerate(found) if each is middleware), -1)
    return [path for path, each in zip(paths[own + 1 :], found[own + 1 :], strict=True) if _sets_urlconf(each)]


def _imported(path: str) -> object:
    try:
        return import_string(path)
    except Exception:  # Django says so
        return None


def _sets_urlconf(middleware: object) -> bool:
    """Return whether the code of a middleware, or of what it calls by name, sets an attribute ``urlconf``."""
    seen: set[types.FunctionType] = set()
    functions = set(_functions_of(middleware))
    for _ in range(DEPTH):
        if any(_stores(each.__code__) for each in functions):
            return True
        seen |= functions
        functions = {inner for each in functions for value in _named_in(each) for inner in _functions_of(value)} - seen
    return False


def _functions_of(value: object) -> Iterator[types.FunctionType]:
    """Yield a function without its decorators, or the methods of a class or an instance; none of Django's or Python's.

    Looks at types alone: to ask an object for its class evaluates one that is lazy.
    """
    kind = type(value)
    if issubclass(kind, types.FunctionType | types.MethodType):
        found: Iterable[object] = [value]
    else:
        bases = value.__mro__ if issubclass(kind, type) else kind.__mro__  # type: ignore[attr-defined]
        found = [each for base in bases if not _is_known(base) for each in vars(base).values()]
    for each in found:
        function = getattr(each, "__func__", each) if type(each) in METHODS else each
        if type(function) is types.FunctionType:
            inner = inspect.unwrap(function)
            if type(inner) is types.FunctionType and not _is_known(inner):
                yield inner


def _is_known(value: type | types.FunctionType) -> bool:
    package = str(value.__module__).partition(".")[0]
    return package == "django" or package in sys.stdlib_module_names


def _named_in(function: types.FunctionType) -> Iterator[object]:
    """Yield what a function names: globals, and what is in modules among them."""
    for code in _codes_in(function.__code__):
        for value in (function.__globals__[name] for name in code.co_names if name in function.__globals__):
            if issubclass(type(value), types.ModuleType):
                yield from (vars(value)[name] for name in code.co_names if name in vars(value))
            else:
                yield value


def _codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _codes_in(inner)


def _stores(code: types.CodeType) -> bool:
    """Return whether code sets an attribute ``urlconf`` of anything but ``self``."""
    return any(_sets_attribute(each) for each in _codes_in(code))


def _sets_attribute(code: types.CodeType) -> bool:
    if "setattr" in code.co_names and "urlconf" in code.co_consts:
        return True
    steps = list(dis.get_instructions(code)) if "urlconf" in code.co_names else []
    return any(
        step.opname == "STORE_ATTR" and step.argval == "urlconf" and not _is_self(before.argval)
        for before, step in itertools.pairwise(steps)
    )


def _is_self(loaded: object) -> bool:
    """Return whether an instruction loads ``self``, alone or, since Python 3.13, after another variable."""
    return loaded == "self" or (isinstance(loaded, tuple) and loaded[-1:] == ("self",))
