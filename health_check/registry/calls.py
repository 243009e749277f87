"""Which functions the code of a site calls, as far as that shows without running it."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterable, Iterator

DEPTH = 4
"""How far to follow calls."""

METHODS = (types.MethodType, classmethod, staticmethod)
"""What has a function in it."""


def called_by(value: object, *, own_package: bool = False) -> Iterator[types.FunctionType]:
    """Yield the functions of a class, an instance or a function, and those that they call by name.

    None of Django's and Python's are among them.

    Args:
        value: What calls.
        own_package: Whether to leave out those that are called in other packages.
    """
    seen: set[types.FunctionType] = set()
    functions = set(_functions_of(value))
    for _ in range(DEPTH):
        yield from functions
        seen |= functions
        functions = {
            inner
            for each in functions
            for named in named_in(each)
            for inner in _functions_of(named)
            if not own_package or _package_of(inner) == _package_of(each)
        } - seen


def _package_of(value: type | types.FunctionType) -> str:
    return str(value.__module__).partition(".")[0]


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
        function = getattr(each, "__func__", each) if type(each) in METHODS else _getter_of(each)
        if type(function) is types.FunctionType:
            inner = inspect.unwrap(function)
            if type(inner) is types.FunctionType and not _is_known(inner):
                yield inner


def _getter_of(value: object) -> object:
    return value.fget if type(value) is property else value


def _is_known(value: type | types.FunctionType) -> bool:
    package = _package_of(value)
    return package == "django" or package in sys.stdlib_module_names


def named_in(function: types.FunctionType) -> Iterator[object]:
    """Yield what a function names: globals, and what is in modules among them."""
    for code in codes_in(function.__code__):
        for value in (function.__globals__[name] for name in code.co_names if name in function.__globals__):
            if issubclass(type(value), types.ModuleType):
                yield from (vars(value)[name] for name in code.co_names if name in vars(value))
            else:
                yield value


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code and those of the functions that are defined in it."""
    yield code
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from codes_in(inner)
