"""The finder of modules that django-health-check had, asked where Python finds none of the name."""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from health_check.compat import names

MODULES = names.modules()


class FormerFinder:
    """Makes a module of an old name, which gives what has another name here, and warns."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> Any:
        """Return the specification of a module that there was; None of any other."""
        if name not in MODULES:
            return None
        return importlib.machinery.ModuleSpec(name, FormerFinder, is_package=name in names.APPS)  # type: ignore[arg-type]

    @staticmethod
    def create_module(spec: object) -> None:
        """Have Python make the module."""

    @staticmethod
    def exec_module(module: types.ModuleType) -> None:
        """Fill a module.

        Raises:
            ModuleNotFoundError: If what was in it has no counterpart, with the remedy.
        """
        name = module.__name__
        if name in names.GONE:
            raise ModuleNotFoundError(f"There is no {name} in django-health-exporter: {names.GONE[name]}.", name=name)
        if name in names.MOVED:
            vars(module)["__getattr__"] = functools.partial(_moved, names.MOVED[name])
            return
        app, _, last = name.rpartition(".")
        if app in names.APPS and last == "apps":
            apps = importlib.import_module("health_check.compat.apps")
            vars(module)["HealthCheckConfig"] = apps.config_of(app)
        elif name not in names.APPS:
            vars(module)["__getattr__"] = _getter(name)


def install() -> None:
    """Have Python ask this finder after all others."""
    if FormerFinder not in sys.meta_path:
        sys.meta_path.append(FormerFinder)


def _moved(place: str, attribute: str) -> Any:
    return getattr(importlib.import_module(place), attribute)


def _getter(module: str) -> Callable[[str], Any]:
    def get(attribute: str) -> Any:
        name = f"{module}.{attribute}"
        path = names.target(name)
        if path is None:
            raise AttributeError(f"module {module!r} has no attribute {attribute!r}")
        warnings.warn(f"{name} is deprecated: use {names.CHECKS[name]}.", DeprecationWarning, stacklevel=2)
        place, _, found = path.rpartition(".")
        return getattr(importlib.import_module(place), found)

    return get
