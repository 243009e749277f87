"""The short names of the checks that come with the package: ``"Database"``, ``"redis.Redis"``."""

from __future__ import annotations

import difflib
import importlib
import pathlib
import re

from django.utils.module_loading import import_string

from health_check.backends import HealthCheck

PACKAGE = importlib.import_module("health_check")  # by its name: it has the finder of old names, which is above us

CONTRIB = pathlib.Path(__file__).parents[1] / "contrib"
"""Where the checks of services are."""


def short_names() -> list[str]:
    """Return the short names of the checks that come with the package, without importing what they need."""
    found = [name for name in PACKAGE.__all__ if name[0].isupper() and name != "HealthCheck"]
    for file in sorted(CONTRIB.glob("[a-z]*.py")):
        classes = re.findall(r"^class ([A-Z]\w*)\(", file.read_text(encoding="utf-8"), re.MULTILINE)
        found += [f"{file.stem}.{name}" for name in classes]
    return found


def meant(path: str) -> str:
    """Return `` Did you mean 'redis.Redis'?`` for a short name that there is not, or nothing where none is like it.

    The class or the module alone will do for both.
    """
    names: dict[str, list[str]] = {}
    for name in short_names():
        for part in dict.fromkeys(map(str.upper, (name, *name.split(".")))):
            names.setdefault(part, []).append(name)
    wanted = path.removeprefix("health_check.").removeprefix("contrib.").upper()
    matches = difflib.get_close_matches(wanted, names, n=1)
    return f" Did you mean {' or '.join(map(repr, names[matches[0]]))}?" if matches else ""


def import_check(path: str) -> object:
    """Return what a dotted path or a short name (``"Database"``, ``"redis.Redis"``) stands for.

    Raises:
        ImportError: If there is nothing of that name.
    """
    module, dot, _ = path.rpartition(".")
    if not dot:
        if path not in PACKAGE.__all__:
            raise ImportError(f"{path!r} is not a short name of a check")
        return getattr(PACKAGE, path)
    is_short = module.isidentifier() and not module.startswith("_") and (CONTRIB / f"{module}.py").is_file()
    try:
        found = import_string(path)
    except ImportError:
        if not is_short:
            raise
    else:
        if not is_short or (isinstance(found, type) and issubclass(found, HealthCheck)):
            return found  # a module of the site's own, and not the client of that name
    return import_string(f"health_check.contrib.{path}")
