"""Ask the site of a test's own process, by WSGI or by ASGI, in the same words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpResponse
from django.test import AsyncClient, Client

Ask = Callable[..., HttpResponse]


def wsgi(
    path: str,
    *,
    method: str = "GET",
    peer: str = "127.0.0.1",
    session: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the answer of the site under WSGI; exceptions become answers, too.

    Args:
        path: The path, with the query string.
        method: The method.
        peer: The address of who is connected; empty for a unix socket.
        session: The value of the session cookie; default none.
        headers: More headers.
    """
    client = Client(raise_request_exception=False, REMOTE_ADDR=peer)
    if session is not None:
        client.cookies[settings.SESSION_COOKIE_NAME] = session
    response: object = client.generic(method, path, headers=headers)
    assert isinstance(response, HttpResponse)
    return response


def asgi(
    path: str,
    *,
    method: str = "GET",
    peer: str = "127.0.0.1",
    session: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the answer of the site under ASGI, for the arguments of ``wsgi``."""
    client: Any = AsyncClient(raise_request_exception=False)
    if session is not None:
        client.cookies[settings.SESSION_COOKIE_NAME] = session
    place = [peer, 0] if peer else None  # defaults of the client would become headers, too
    base_scope = client._base_scope
    client._base_scope = lambda **scope: base_scope(**{**scope, "client": place})

    async def answer() -> object:
        found: object = await client.generic(method, path, headers=dict(headers or {}))
        return found

    response = async_to_sync(answer)()
    assert isinstance(response, HttpResponse)
    return response


STACKS = pytest.mark.parametrize("ask", [wsgi, asgi], ids=["wsgi", "asgi"])
"""Runs a test under both."""
