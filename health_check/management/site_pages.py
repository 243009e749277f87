"""What the site has of the exporter's pages: as it guards them, they are guarded in the exporter process."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Collection, Iterator
from typing import Any

from django.urls import Resolver404, ResolverMatch, URLResolver, get_resolver, resolve

from health_check import extensions
from health_check.conf import settings
from health_check.registry.calls import called_by, codes_in, named_in
from health_check.registry.endpoints import endpoint_of, views_of
from health_check.views.sync_async import is_issued

View = Callable[..., Any]


def match_of(path: str) -> ResolverMatch | None:
    """Return what the site has at a path, with the decorators that guard it, if that is to be served here."""
    try:
        match = resolve(path, urlconf=settings.URLCONF)
    except Resolver404:
        return None
    pages = extensions.pages.values()
    return match if endpoint_of(match) is not None or any(_shows(match.func, page) for page in pages) else None


def as_mounted(page: View) -> View:
    """Return a page as the site has it at another path, with what guards it; itself if it has not."""
    return _as_mounted(page, get_resolver(settings.URLCONF))


@functools.lru_cache(maxsize=10)
def _as_mounted(page: View, resolver: URLResolver) -> View:
    open_elsewhere = getattr(getattr(page, "view_class", None), "open_elsewhere", ())  # by other packages, to everybody
    mounted = [each.callback for each in views_of(resolver.url_patterns) if _shows(each.callback, page)]
    known = [callback for callback in mounted if is_issued(callback)]
    guarded = (each for each in mounted if each not in known and _path_of(each) not in open_elsewhere)
    return next(guarded, [*known, page][0])


def _shows(callback: View, page: View) -> bool:
    """Return whether a callback shows a metrics page, decorated or not, or makes one in its own way."""
    wanted = getattr(page, "view_class", None)
    makers: Collection[str] = getattr(wanted, "also_made_by", ())
    for inner in _inside(callback):
        view = getattr(inner, "view_class", None)
        if isinstance(wanted, type) and isinstance(view, type) and issubclass(view, wanted):
            return True
        if makers and _calls_one_of(makers, inner if view is None else view):
            return True
    return False


def _path_of(callback: object) -> str:
    """Return where a function is from by its code: a decorator gives its own the name of what it is around."""
    name = getattr(getattr(callback, "__code__", None), "co_name", "")
    return f"{getattr(callback, '__globals__', {}).get('__name__')}.{name}"


def _calls_one_of(makers: Collection[str], view: object) -> bool:
    """Return whether the code of a view, or what it calls in its own package, names one of some functions."""
    return any(
        not names.isdisjoint(makers)
        for function in called_by(view, own_package=True)
        for names in (
            {name for code in codes_in(function.__code__) for name in code.co_names},
            {value.__name__ for value in named_in(function) if type(value) is types.FunctionType},
        )
    )


def _inside(callback: object, depth: int = 5) -> Iterator[object]:
    """Yield a callback and what it calls, also where a decorator does not say so (``functools.wraps``)."""
    yield callback
    cells = getattr(callback, "__closure__", None) or ()
    inner = [getattr(callback, "__wrapped__", None), getattr(callback, "func", None)]
    for cell in cells:
        with contextlib.suppress(ValueError):  # it is empty
            inner.append(cell.cell_contents)
    for each in inner if depth else ():
        if callable(each):
            yield from _inside(each, depth - 1)
