"""Which middleware of a site chooses the URLconf by the request, as those of django-hosts and django-tenants do."""

from __future__ import annotations

import dis
import itertools
import types

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from health_check.registry.calls import called_by, codes_in


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
    """Return whether the code of a middleware, or of what it calls, sets an attribute ``urlconf`` of another object."""
    return any(_sets_attribute(code) for each in called_by(middleware) for code in codes_in(each.__code__))


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
