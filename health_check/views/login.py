"""The way to the page where users log in."""

from __future__ import annotations

from urllib.parse import urlencode

from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, resolve


def login_link(request: HttpRequest) -> str:
    """Return where to log in; empty where the site has no sessions, or none of its pages is for that."""
    if not apps.is_installed("django.contrib.sessions"):
        return ""
    for name in (django_settings.LOGIN_URL, "admin:login"):
        try:
            url = resolve_url(name)
            if not url.startswith(("http://", "https://", "//")):
                resolve(url)
        except (NoReverseMatch, Resolver404):
            continue
        return f"{url}{'&' if '?' in url else '?'}{urlencode({REDIRECT_FIELD_NAME: request.get_full_path()})}"
    return ""
