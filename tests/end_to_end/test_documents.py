"""The examples of the README and every page, on a project of ``startproject`` that has followed the README."""

from __future__ import annotations

import json
import pathlib
import shutil
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
    failed = [f"{name}: {said}" for name, said in found.items() if not isinstance(said, dict)]
    assert not failed, "\n".join(failed)
    assert {status for said in found.values() for status in said.values()} <= {200, 401, 403, 500, 503}
    assert len(found) == len(folders)
    by_name = {folder.name: folder for folder in folders}
    shutil.copy(by_name["README-end"] / "checks.py", by_name["testing-end"])
    its_tests_pass(by_name["testing-end"], environment)


def its_tests_pass(project: pathlib.Path, environment: dict[str, str]) -> None:
    """Run the tests of the page on testing, by pytest."""
    command = [sys.executable, "-m", "pytest", "-p", "no:randomly", "--rootdir", ".", "tests.py", "test_checks.py"]
    passed = run(command, project, environment={**environment, "DJANGO_SETTINGS_MODULE": "shop.settings"})
    assert "2 passed" in passed
