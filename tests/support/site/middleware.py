"""Middleware of sites: each refuses, breaks or knows requests in a way of its own."""

from __future__ import annotations

import threading
import types
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.asyncio import async_unsafe
from django.utils.decorators import async_only_middleware, sync_and_async_middleware
from django.utils.functional import SimpleLazyObject

GetResponse = Callable[[HttpRequest], HttpResponseBase]
AsyncGetResponse = Callable[[HttpRequest], Awaitable[HttpResponseBase]]

USERS = {
    "staff": types.SimpleNamespace(is_active=True, is_staff=True),
    "inactive": types.SimpleNamespace(is_active=False, is_staff=True),
    "customer": types.SimpleNamespace(is_active=True, is_staff=False),
    "nobody": types.SimpleNamespace(is_active=False, is_staff=False),
}
"""The users by their sessions."""

PLANTED = "postgres://planted-user:planted-password@db/planted"


def raising(get_response: GetResponse) -> GetResponse:
    """Raise, whatever is asked for."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        raise OperationalError(PLANTED)

    return middleware


@async_only_middleware
def async_raising(get_response: AsyncGetResponse) -> AsyncGetResponse:
    """Raise, whatever is asked for; for async stacks only."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        raise OperationalError(PLANTED)

    return middleware


@sync_and_async_middleware
def maintenance(get_response: GetResponse) -> Callable[[HttpRequest], object]:
    """Answer that the site is in maintenance, in either stack."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            return HttpResponse("In maintenance", status=503)

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return HttpResponse("In maintenance", status=503)

    return middleware


def users(get_response: GetResponse) -> GetResponse:
    """Know who asks by the session, once somebody wants to know; raise where there is none of that name."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.user = SimpleLazyObject(lambda: _user_of(request))  # type: ignore[assignment]
        return get_response(request)

    return middleware


@async_unsafe  # as the ORM is
def _user_of(request: HttpRequest) -> object:
    name = request.COOKIES.get("sessionid")
    if name not in USERS:
        raise OperationalError(PLANTED)
    return USERS[name]


def _close_connection_of_thread() -> None:
    """Close what a thread of an ASGI handler has opened: Django keeps connections to a database in memory open."""
    if threading.current_thread() is not threading.main_thread() and connection.connection is not None:
        connection.connection.close()
        connection.connection = None


def touches_session(get_response: GetResponse) -> GetResponse:
    """Read the session of whoever asks, as shops do."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        try:
            request.session.get("basket")
        finally:
            _close_connection_of_thread()
        return get_response(request)

    return middleware


@async_only_middleware
def async_passing(get_response: AsyncGetResponse) -> AsyncGetResponse:
    """Do nothing, for async stacks only."""

    async def middleware(request: HttpRequest) -> HttpResponseBase:
        return await get_response(request)

    return middleware


def names_itself(get_response: GetResponse) -> GetResponse:
    """Say in each answer that it was here."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers["X-Site"] = "was here"
        return response

    return middleware


def touches_host(get_response: GetResponse) -> GetResponse:
    """Ask for the host, as most sites do in the end."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.get_host()
        return get_response(request)

    return middleware
