"""A new project, with what the README says."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Mapping

from tests.support.servers import ROOT
from tests.support.wheel import run

BLOCK = re.compile(r"^```python\n# (?P<file>(?:settings|urls)\.py)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Project:
    """A project of ``django-admin startproject``, edited."""

    folder: pathlib.Path
    """Where ``manage.py`` is."""
    edited: Mapping[str, int]
    """How many lines were added, by the file."""


def first_steps() -> dict[str, str]:
    """Return what the first part of the README has one add, by the file."""
    text = (ROOT / "README.md").read_text()
    return {match["file"]: match["code"] for match in BLOCK.finditer(text[: text.index("\n## ")])}


def start_project(folder: pathlib.Path, python: str, environment: Mapping[str, str] | None = None) -> Project:
    """Start a project called ``shop``, and add what the README says, in the place where it belongs."""
    folder.mkdir()
    run([python, "-m", "django", "startproject", "shop", str(folder)], folder.parent, environment=environment)
    edited = {}
    for name, code in first_steps().items():
        file = folder / "shop" / name
        file.write_text(f"{file.read_text()}\n{code}")
        edited[name] = sum(bool(line.strip()) and not line.startswith("#") for line in code.splitlines())
    return Project(folder=folder, edited=edited)
