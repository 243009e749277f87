"""Which middleware of a site chooses the URLconf by the request, as those of django-hosts and django-tenants do."""

from __future__ import annotations

import dis
import inspect
import types

from django.conf import settings as django_settings
from django.utils.module_loading import import_string


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
    """Tell whether the code of a middleware, a class or a function, sets an attribute ``urlconf``."""
    spaces = [vars(base).values() for base in middleware.__mro__] if isinstance(middleware, type) else [[middleware]]
    functions = (getattr(value, "__func__", value) for space in spaces for value in space)
    codes = (getattr(inspect.unwrap(each), "__code__", None) for each in functions if inspect.isfunction(each))
    return any(_stores(code) for code in codes if code is not None)


def _stores(code: types.CodeType) -> bool:
    if any(step.opname == "STORE_ATTR" and step.argval == "urlconf" for step in dis.get_instructions(code)):
        return True
    return any(_stores(inner) for inner in code.co_consts if isinstance(inner, types.CodeType))
