"""Pages that exporters bring, for the standalone exporter to serve beside the health endpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

View = Callable[..., Any]

_pages: dict[str, View] = {}


def register(path: str, view: View) -> None:
    """Have the standalone exporter serve a page.

    Args:
        path: Where, as in ``"/metrics"``.
        view: A Django view.
    """
    _pages[path] = view


def registered() -> Mapping[str, View]:
    """Return the pages by their paths."""
    return dict(_pages)
