"""The examples of the documentation: each runs as it stands there."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from health_check import __version__
from health_check.conf import KNOWN
from health_check_prometheus import HealthCheckCollector
from tests.support.site_of_docs import SITE, checks

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python\n# (?P<file>\w+\.py)\n(?P<code>.*?)^```", re.MULTILINE | re.DOTALL)
SETTINGS = """\
import pathlib
BASE_DIR = pathlib.Path(__file__).parent
SECRET_KEY = "docs"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
INSTALLED_APPS = []
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
MEDIA_ROOT = "media"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
HEALTH_CHECK = {"MAX_CONCURRENCY": 0}
"""
NEW_URLS = "from django.urls import path\n\nurlpatterns = []\n"
"""The urls.py of a new project."""

TRY = """\
import importlib, json, pathlib, sys
import django
django.setup()
for module in sys.argv[2:]:
    importlib.import_module(module)
from django.core.management import call_command
call_command("check", fail_level="WARNING")
from django.test import Client
from health_check.monitor import runtime
paths = [f"/{endpoint.route}" for endpoint in runtime.get().catalogue.endpoints]
def ask(path):
    response = Client().get(path, {"format": "json"})
    return response.json() if response.status_code not in (401, 403) else "closed"
pathlib.Path(sys.argv[1]).write_text(json.dumps({path: ask(path) for path in paths}))
"""


def blocks_of(document: pathlib.Path) -> list[tuple[str, str]]:
    """Return the examples of a document: the name of the file that each is of, and its code."""
    return [(match["file"], match["code"]) for match in BLOCK.finditer(document.read_text())]


def first(document: pathlib.Path, file: str) -> str:
    """Return the first example of a file in a document."""
    return next(code for name, code in blocks_of(document) if name == file)


def steps_of(document: pathlib.Path) -> list[list[int]]:
    """Return the numbers of its examples that are tried together: those up to the one that shows a file again."""
    steps: list[list[int]] = []
    files: set[str] = set()
    for number, (file, _) in enumerate(blocks_of(document)):
        if not steps or file in files:
            steps.append([])
            files.clear()
        steps[-1].append(number)
        files.add(file)
    return steps


EXAMPLES = [
    pytest.param(document, step, id=f"{document.stem}-{step[-1]}")
    for document in DOCUMENTS
    for step in steps_of(document)
]


def project(folder: pathlib.Path, document: pathlib.Path, last: int) -> None:
    """Write a site as it is when somebody has followed the README, and a document up to an example."""
    readme = DOCUMENTS[0]
    files = {name: first(readme, name) for name in ("urls.py", "checks.py")}
    files["urls.py"] = NEW_URLS + files["urls.py"]
    settings = SETTINGS + first(readme, "settings.py")
    for name, code in blocks_of(document)[: last + 1]:
        if name != "settings.py":
            files[name] = NEW_URLS + code if "urlpatterns +=" in code else code
        elif document is not readme and code not in settings:
            settings += code
    for name, code in {**files, "settings.py": settings}.items():
        (folder / name).write_text(code)


def python(folder: pathlib.Path, *arguments: str) -> str:
    """Run Python on a site and return what it printed."""
    paths = [str(folder), str(ROOT), str(ROOT / "exporters")]
    environment = os.environ | {
        "TMPDIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "settings",
        "PYTHONPATH": os.pathsep.join(paths),
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def answers_of(folder: pathlib.Path, *modules: str) -> dict[str, Any]:
    """Import modules of a site, and return what its endpoints answer: by way of a file, since receivers may print."""
    file = folder / "answers.json"
    python(folder, "-c", TRY, str(file), *modules)
    answers: dict[str, Any] = json.loads(file.read_text())
    return answers


@pytest.mark.parametrize(("document", "step"), EXAMPLES)
def test_examples__run(tmp_path: pathlib.Path, document: pathlib.Path, step: list[int]) -> None:
    """The examples can be imported, the system checks are silent, and every endpoint answers."""
    project(tmp_path, document, step[-1])
    assert answers_of(tmp_path, *(blocks_of(document)[number][0].removesuffix(".py") for number in step))


def test_readme__answers_what_it_says(tmp_path: pathlib.Path) -> None:
    """The labels of the README's JSON are those of a new site."""
    project(tmp_path, DOCUMENTS[0], 1)
    answers = answers_of(tmp_path, "urls")
    match = re.search(r"^\{.*\}$", DOCUMENTS[0].read_text(), re.MULTILINE)
    assert match is not None
    assert list(answers["/health/"]) == list(json.loads(match[0]))
    assert answers["/health/live/"] == {}


def test_testing__examples_pass(tmp_path: pathlib.Path) -> None:
    """The tests of the page on testing pass under pytest."""
    document = ROOT / "docs" / "how-to" / "testing.md"
    project(tmp_path, document, len(blocks_of(document)))
    python(tmp_path, "-m", "pytest", "-p", "no:randomly", "--rootdir", str(tmp_path), "tests.py", "test_checks.py")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_links__lead_somewhere(document: pathlib.Path) -> None:
    """Every link to a file of the repository finds it, and the heading that it names."""
    missing = []
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)", document.read_text()):
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        is_there = file.exists() or file == ROOT / "docs" / "reference" / "python.md"  # which make docs writes
        if not is_there or (anchor and file.suffix == ".md" and anchor not in anchors_of(file)):
            missing.append(target)
    assert missing == []


@pytest.mark.parametrize("name", ["README.md", "SUPPORT.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "pyproject.toml"])
def test_addresses__lead_somewhere(name: str) -> None:
    """Every address of this project, in its files for the package index, is that of a file or page that there is."""
    text = (ROOT / name).read_text()
    for address in re.findall(r"https://[^)\"\s]*django-health-exporter[^)\"\s]*", text):
        page, _, anchor = address.partition("#")
        if page.startswith(f"{SITE}/"):
            path = page.removeprefix(f"{SITE}/").rstrip("/")
            file = ROOT / "docs" / f"{path or 'index'}.md"
        elif found := re.search(r"(?:/blob/main|/main)/(.+)$", page):
            file = ROOT / found[1]
        else:
            continue
        assert file.exists() or file == ROOT / "docs" / "reference" / "python.md", address
        assert not anchor or anchor in anchors_of(file), address


def test_readme__has_absolute_links() -> None:
    """The package index shows the README, and has no file of the repository beside it."""
    assert re.findall(r"\]\((?!https://)[^)]*\)", (ROOT / "README.md").read_text()) == []


def anchors_of(document: pathlib.Path) -> set[str]:
    """Return the anchors of a document's headings, as the repository and the site make them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_site__has_every_page() -> None:
    """The menu of the site names each page of the documentation."""
    listed = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]))
    pages = {str(page.relative_to(ROOT / "docs")) for page in DOCUMENTS[1:]}
    assert listed - {"reference/python.md"} == pages


def test_changelog__has_a_section_of_this_version() -> None:
    """The newest release in the changelog is the version of the package."""
    versions = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == __version__


def test_metrics__table_is_complete() -> None:
    """The page on Prometheus has a row for each metric there is, with its labels, and no other."""
    page = (ROOT / "docs" / "reference" / "prometheus.md").read_text()
    rows = re.findall(r"^\| `(django_health_check_\w+)` \| (\w+) \| ([\w, ]*?) ?\|", page, re.MULTILINE)
    assert {name: ", ".join(sorted(labels.split(", "))) for name, _, labels in rows} == emitted()


def test_settings__table_is_complete() -> None:
    """The page on settings has one row for each setting there is, and no other."""
    page = (ROOT / "docs" / "reference" / "settings.md").read_text().partition("## System checks")[0]
    assert sorted(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE)) == sorted(KNOWN)


@pytest.mark.parametrize("path", [path for path in checks() if not path.endswith((".Feed", ".AtlassianStatusPage"))])
def test_checks__each_has_a_row(path: str) -> None:
    """The page on checks names each check of the package, and its options where it has a row of its own."""
    page = (ROOT / "docs" / "reference" / "checks.md").read_text()
    module, _, name = path.rpartition(".")
    (row,) = [
        line for line in page.splitlines() if line.startswith("| `health_check") and re.search(rf"\b{name}`", line)
    ]
    check: Any = getattr(importlib.import_module(module), name)
    options = {field.name for field in dataclasses.fields(check) if field.init}
    is_alone = row.split("|")[1].count("`") == 2 and "docstring" not in row
    missing = [option for option in options if f"`{option}`" not in row and option != "client"]  # that of 4.x
    assert not is_alone or missing == []


def emitted() -> dict[str, str]:
    """Return the labels of each metric that a site with one check and one endpoint emits."""
    registry = CollectorRegistry()
    HealthCheckCollector(registry=registry)
    found: dict[str, str] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            is_part = family.type == "histogram"
            found[family.name if is_part else sample.name] = ", ".join(sorted(set(sample.labels) - {"le"}))
    return found
