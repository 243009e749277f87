"""What makes a health view answer under WSGI and ASGI alike, and outside of transactions.

A sync view under ASGI costs a thread per request, and an async one under WSGI an event loop. Django asks a view
whether it is a coroutine function just before it calls it; the callback of a health view answers by whether an event
loop is running.
"""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

V = TypeVar("V", bound=Callable[..., object])


class _EveryDatabase(frozenset[str]):
    """The aliases of all databases, also of those that settings add later."""

    def __contains__(self, alias: object) -> bool:
        return True


def non_atomic_requests(view: V) -> V:
    """Exempt a view from ``ATOMIC_REQUESTS`` of every database; Django's own decorator exempts from one."""
    vars(view)["_non_atomic_requests"] = _EveryDatabase()
    return view


_MARK = vars(markcoroutinefunction(lambda: None))
"""The attribute by which this version of Python knows a coroutine function."""

View = Callable[..., HttpResponseBase]
AsyncView = Callable[..., Awaitable[HttpResponseBase]]


class Callback:
    """Answer a request synchronously, or, on an event loop, with a coroutine.

    Args:
        view: Has the attributes that this callback is to have, too.
        sync_view: Answers a request.
        async_view: Does so without blocking the event loop.
    """

    __defaults__ = __kwdefaults__ = None
    """As of a function without: inspect asks for them at each request, and __getattr__ would take longer."""

    def __init__(self, view: View, sync_view: View, async_view: AsyncView) -> None:
        functools.update_wrapper(self, view)
        self._sync_view = sync_view
        self._async_view = async_view

    def __call__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        view = self._async_view if on_event_loop() else self._sync_view
        return view(request, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name in _MARK and on_event_loop():
            return _MARK[name]
        raise AttributeError(name)


_issued: weakref.WeakSet[Any] = weakref.WeakSet()


def issue(callback: Any) -> Any:
    """Return a callback of ours, to be known later from one that a decorator of the site's has wrapped."""
    _issued.add(callback)
    return callback


def is_issued(callback: Any) -> bool:
    """Return whether a callback is one of ours as it was made."""
    try:
        return callback in _issued
    except TypeError:  # a view of the site's may be a callable without hash
        return False


def on_event_loop() -> bool:
    """Return whether this code runs on an event loop, and not beside the one of another greenlet in this thread."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - the public one raises: too much for each request
    return loop is not None and asyncio.current_task(loop) is not None
