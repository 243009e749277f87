"""The runbooks of alerts, from the page on alerts of the documentation: their links work without the internet."""

from __future__ import annotations

import functools
import importlib.resources
import re

from django.http import HttpResponse

from health_check.redaction import shown

MOST_LETTERS = 100
"""How much of an unknown name is repeated."""


def runbook(method: str | None, name: str | None) -> HttpResponse | None:
    """Return the runbook of an alert, as text: 404 if there is no such alert, None if none is asked for.

    Args:
        method: The method of the request.
        name: The name of the alert, as ``?runbook=`` has it; empty lists all.
    """
    if name is None or method not in ("GET", "HEAD"):
        return None
    sections = _sections()
    found = sections.get(name.lower())
    if found is not None:
        return _text(found, 200)
    names = "".join(f"{section.splitlines()[0].lstrip('# ')}\n" for section in sections.values())
    if not name:
        return _text(f"Runbooks of alerts, as ?runbook=NAME:\n\n{names}", 200)
    return _text(f"There is no alert {shown(name[:MOST_LETTERS])}. These have a runbook:\n\n{names}", 404)


@functools.cache
def _sections() -> dict[str, str]:
    """Return the section of each alert, by its name in small letters."""
    page = importlib.resources.files("health_check.views").joinpath("runbooks.md").read_text(encoding="utf-8")
    plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", page)
    sections = re.findall(r"^## (HealthCheck\w+)\n(.*?)(?=^## |\Z)", plain, re.MULTILINE | re.DOTALL)
    return {name.lower(): f"# {name}\n{text.rstrip()}\n" for name, text in sections}


def _text(text: str, status: int) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
