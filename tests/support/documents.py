"""The examples of the documentation, on a project of ``django-admin startproject``."""

from __future__ import annotations

import dataclasses
import importlib
import json
import multiprocessing
import os
import pathlib
import re
import shutil
import sys
import traceback
from collections.abc import Iterator, Mapping

ROOT = pathlib.Path(__file__).parents[2]
WITH_A_PROJECT_OF_ITS_OWN = ("tutorial",)
"""The pages that begin at ``startproject`` themselves, which other tests follow."""

BLOCK = re.compile(r"^```python\n# (?P<file>\w+\.py)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)


SHARED_CACHE = """
CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": BASE_DIR / "cache"}}
"""
"""A cache that processes share, as pages have it that keep records there."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A project as it is when somebody has followed a page up to some example."""

    name: str
    """The page, and the number of the example."""
    files: Mapping[str, str]
    """What there is to write, by the path in the project."""


def stages(project: pathlib.Path) -> Iterator[Stage]:
    """Yield each stage of each page: whenever a file is written again, and at the end.

    Args:
        project: What the pages are followed on.
    """
    shop = project / "shop"
    first = {f"shop/{name}": (shop / name).read_text() for name in ("settings.py", "urls.py")}
    first["shop/settings.py"] += SHARED_CACHE
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        if page.stem in WITH_A_PROJECT_OF_ITS_OWN:
            continue
        files, written = dict(first), set[str]()
        for number, block in enumerate(BLOCK.finditer(page.read_text())):
            name, code = block["file"], block["code"]
            if name in written:
                yield Stage(name=f"{page.stem}-{number}", files=dict(files))
            written.add(name)
            if code in files.get(f"shop/{name}", ""):
                continue  # the first steps of the README, which the project has taken
            if name == "settings.py":
                files["shop/settings.py"] += f"\n{code}"
            elif name == "urls.py":
                files["shop/urls.py"] = f"{first['shop/urls.py'] if 'urlpatterns +=' in code else ''}\n{code}"
            else:
                files[name] = code
        if written:
            yield Stage(name=f"{page.stem}-end", files=files)


def follow(project: pathlib.Path, stage: Stage) -> pathlib.Path:
    """Write a copy of a project at a stage, and return its folder."""
    folder = project.parent / stage.name
    shutil.copytree(project, folder)
    for name, code in stage.files.items():
        (folder / name).write_text(code)
    return folder


def look(folder: pathlib.Path) -> dict[str, int]:
    """Import the modules of a project, run the system checks, and return the status of each of its endpoints.

    That can be done once in a process.
    """
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ |= {"DJANGO_SETTINGS_MODULE": "shop.settings", "TMPDIR": str(folder)}
    import django
    from django.core.management import call_command
    from django.test import Client

    django.setup()
    for name in {file.stem for file in folder.glob("*.py")} - {"manage", "tests", "test_checks"}:
        importlib.import_module(name)
    call_command("check", fail_level="WARNING")
    from health_check.monitor import runtime

    client = Client(headers={"host": "localhost"})
    endpoints = runtime.get().catalogue.endpoints
    return {one.name: client.get(f"/{one.route}", {"format": "json"}).status_code for one in endpoints}


def outcome(folder: str) -> dict[str, int] | str:
    """Return what looking at a project came to: what ``look`` returns, or a traceback."""
    try:
        return look(pathlib.Path(folder))
    except BaseException:
        return traceback.format_exc()


def main() -> None:
    """Look at the projects that are named, two at a time, each in a fork, and print what came of it."""
    for module in ("django.contrib.admin", "django.core.management", "django.test"):
        importlib.import_module(module)  # once, for all
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        found = pool.map(outcome, sys.argv[1:], chunksize=1)
    json.dump(dict(zip(sys.argv[1:], found, strict=True)), sys.stdout)


if __name__ == "__main__":
    main()
