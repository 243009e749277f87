"""The system checks for those who come from django-health-check: what is written otherwise here."""

from __future__ import annotations

import os
import pathlib
import re
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.template import engines
from django.template.backends.django import DjangoTemplates
from django.urls import NoReverseMatch, reverse

from health_check.conf import settings

BARE_NAMES = ("health_check_home", "health_check_live", "health_check_subset")
"""The views of ``health_check.urls``, without their namespace."""

TAG = re.compile(rf"""\{{%\s*url\s+["']({"|".join(BARE_NAMES)})["']""")


def check_names(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report settings and templates that name our views without their namespace (W015)."""
    bare = [name for name in BARE_NAMES if not _is_a_name(name)]
    found = [(place, name) for place, name in (*_named_in_settings(), *_named_in_templates()) if name in bare]
    return [
        CheckWarning(
            f"{place} names the view {name!r}, which is called 'health_check:{name}'.",
            hint=f"Write 'health_check:{name}', or your namespace of include(\"health_check.urls\") before it.",
            id="health_check.W015",
        )
        for place, name in dict.fromkeys(found)
    ]


def _is_a_name(name: str) -> bool:
    """Tell whether a view of the site's own has the name; if the URLconf cannot be imported that is told elsewhere."""
    try:
        reverse(name, urlconf=settings.URLCONF)
    except NoReverseMatch:
        return False
    except Exception:
        return True
    return True


def _named_in_settings() -> Iterator[tuple[str, str]]:
    for setting in dir(django_settings):
        if setting.isupper():
            yield from ((f"The setting {setting}", name) for name in _strings(getattr(django_settings, setting)))


def _strings(value: object, depth: int = 4) -> Iterator[str]:
    """Yield the strings in a setting, as deep as settings are nested."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping) and depth:
        for key, inner in value.items():
            yield from (*_strings(key, depth - 1), *_strings(inner, depth - 1))
    elif isinstance(value, list | tuple | set | frozenset) and depth:
        for inner in value:
            yield from _strings(inner, depth - 1)


def _named_in_templates() -> Iterator[tuple[str, str]]:
    for folder in _template_folders():
        for place, _, names in os.walk(folder):
            for path in (pathlib.Path(place) / name for name in names):
                try:
                    text = path.read_text(errors="replace")
                except OSError:
                    continue
                yield from ((f"The template {path}", name) for name in TAG.findall(text))


def _template_folders() -> Iterator[pathlib.Path]:
    """Yield the site's own folders of templates; not those of installed packages."""
    installed = tuple({os.path.realpath(path) for path in sysconfig.get_paths().values()})
    for engine in engines.all():
        if isinstance(engine, DjangoTemplates):
            for folder in engine.template_dirs:
                if not os.path.realpath(folder).startswith(installed):
                    yield pathlib.Path(folder)
