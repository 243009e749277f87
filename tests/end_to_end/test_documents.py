"""The examples of every page of the documentation, on a project of ``startproject`` that has followed the README."""

from __future__ import annotations

import json
import pathlib
import sys

from tests.support import documents
from tests.support.readme import start_project
from tests.support.servers import clean_environment
from tests.support.wheel import run


def test_pages__on_a_new_project(tmp_path: pathlib.Path) -> None:
    """At each stage of each page the system checks are silent, and each endpoint answers."""
    environment = {"PYTHONPATH": clean_environment()["PYTHONPATH"], "TMPDIR": str(tmp_path)}
    project = start_project(tmp_path / "project", sys.executable, environment)
    run([sys.executable, "manage.py", "migrate", "--verbosity=0"], project.folder, environment=environment)
    folders = [documents.follow(project.folder, stage) for stage in documents.stages(project.folder)]
    looking = [sys.executable, "-m", documents.__name__, *map(str, folders)]
    printed = run(looking, documents.ROOT, environment=environment).splitlines()[-1]
    found = {pathlib.Path(name).name: said for name, said in json.loads(printed).items()}
    assert {name: said for name, said in found.items() if not isinstance(said, dict)} == {}
    assert {status for said in found.values() for status in said.values()} <= {200, 401, 403, 500, 503}
    assert len(found) == len(folders)
