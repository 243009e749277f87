"""The identity of checks: which options are equal, and a digest of options without their credentials."""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import pathlib
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from health_check.redaction import mask

ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
"""Where in memory something is, in its ``repr``."""

DEEPEST = 8
"""How deep values are looked into."""


def equal_values(left: object, right: object) -> bool:
    """Compare two values as ``==`` does, but functions by what they do: two closures over two hosts are not equal.

    Functions are equal if their code, names, constants and defaults are, if they are of one module, and if what they
    close over is equal.
    """
    try:
        return _equal(left, right, DEEPEST)
    except Exception:
        return False


def digest(path: str, options: Mapping[str, Any]) -> str:
    """Return a digest, in hex digits, of a class and its options; the same in all processes, on all hosts.

    Credentials are left out: the userinfo of URLs, and what has a name like ``password`` or ``token``.

    Args:
        path: The dotted path of the class.
        options: The options.
    """
    return hashlib.sha256(f"{path}{_canonical(options, DEEPEST)}".encode("utf-8", "backslashreplace")).hexdigest()


def _equal(left: Any, right: Any, depth: int) -> bool:
    if left is right or depth == 0:
        return left is right
    if type(left) is type(right):
        parts = _parts(left)
        if parts is not None:
            others = _parts(right) or ()
            return len(parts) == len(others) and all(
                _equal(part, other, depth - 1) for part, other in zip(parts, others, strict=True)
            )
    return bool(left == right)


def _parts(value: Any) -> tuple[Any, ...] | None:
    """Return what has to be equal for two values of one type to be; None where ``==`` says."""
    if isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(value, dict):
        return (set(value), *(value[key] for key in sorted(value, key=repr)))
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    if isinstance(value, types.MethodType):
        return value.__func__, value.__self__
    if isinstance(value, types.FunctionType):
        module = value.__globals__.get("__name__")
        return module, value.__code__, value.__defaults__, value.__kwdefaults__, _closed_over(value)
    if isinstance(value, types.CodeType):  # whose ``==`` looks at line numbers, too
        return value.co_code, value.co_names, value.co_freevars, value.co_flags, value.co_consts
    return None


def _closed_over(function: types.FunctionType) -> tuple[object, ...]:
    return tuple(map(_content, function.__closure__ or ()))


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing was assigned yet
        return None


def _canonical(value: Any, depth: int) -> str:
    """Return a text that is the same wherever and whenever the same value is made, without credentials."""
    if depth == 0:
        return type(value).__qualname__
    if isinstance(value, enum.Enum):
        return f"{path_of(type(value))}.{value.name}"
    if isinstance(value, str | pathlib.PurePath):
        return repr(mask(str(value)))
    if isinstance(value, type):
        return path_of(value)
    text = _canonical_whole(value, depth)
    return ADDRESS.sub("", mask(repr(value))) if text is None else text


def _canonical_whole(value: Any, depth: int) -> str | None:
    """Return the same of what consists of other values; None for what does not."""
    if isinstance(value, Mapping):
        pairs = sorted((str(key), value[key]) for key in value)
        return f"{{{','.join(_shown(pairs, depth))}}}"
    if isinstance(value, set | frozenset):
        return f"{{{','.join(sorted(_canonical(item, depth - 1) for item in value))}}}"
    if isinstance(value, list | tuple):
        return f"[{_all(value, depth)}]"
    if isinstance(value, functools.partial):
        return f"partial({_all((value.func, value.args, value.keywords), depth)})"
    if isinstance(value, types.MethodType):
        return f"{_canonical(value.__self__, depth - 1)}.{value.__name__}"
    if isinstance(value, types.FunctionType):
        parts = value.__defaults__, value.__kwdefaults__, _closed_over(value)
        return f"{value.__module__}({','.join(_instructions(value.__code__))})({_all(parts, depth)})"
    return None


def _all(values: Iterable[Any], depth: int) -> str:
    return ",".join(_canonical(value, depth - 1) for value in values)


def _shown(pairs: Iterable[tuple[str, Any]], depth: int) -> Iterator[str]:
    for name, value in pairs:
        if not is_credential(name):
            yield f"{name}={_canonical(value, depth - 1)}"


def is_credential(name: str) -> bool:
    """Return whether an option of this name holds a credential."""
    assigned = f"{name}='hunter2'"
    return mask(assigned) != assigned


def _instructions(code: types.CodeType) -> Iterator[str]:
    """Yield the names and constants of a function; its bytecode differs from one version of Python to the next."""
    yield from sorted(code.co_names)
    constants = set()
    for instruction in dis.get_instructions(code):
        constant = None
        if instruction.opcode in dis.hasconst:  # `argval` is unknown of some in Python 3.11
            constant = code.co_consts[instruction.arg or 0]
        elif instruction.opname == "LOAD_SMALL_INT":
            constant = instruction.argval
        if isinstance(constant, types.CodeType):
            yield from _instructions(constant)
        elif constant is not None:
            constants.add(_canonical(constant, DEEPEST))
    yield from sorted(constants)


def path_of(value: type) -> str:
    """Return the dotted path of a class."""
    return f"{value.__module__}.{value.__qualname__}"
