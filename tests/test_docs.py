"""The pages of the documentation: links lead somewhere, tables are complete, commands and files can be read.

Examples are run by test_documents.py.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import pathlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, load_command_class
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from health_check import __version__
from health_check.conf import KNOWN
from health_check_prometheus import HealthCheckCollector
from tests.support.site_of_docs import SITE, checks

ROOT = pathlib.Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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


BASES = (".Feed", ".AtlassianStatusPage", ".ServiceCheck")
"""What checks are derived from."""


@pytest.mark.parametrize("path", [path for path in checks() if not path.endswith(BASES)])
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


MODULES = ("health_check.ping", "health_check.demo", "health_check_dashboards")
COMMANDS = ("health_check", "health_drain", "health_exporter", "health_init")
BLOCK = re.compile(r"^ *```(?P<language>\w+)\n(?P<text>.*?)^ *```", re.MULTILINE | re.DOTALL)
IN_THE_TEXT = re.compile(r"`((?:python|health-check-ping|manage\.py|make) [^`]+)`")
LEAST_COMMANDS = 60
"""How many commands of ours the pages have at least, so that none is lost here."""


def blocks(document: pathlib.Path, *languages: str) -> list[str]:
    """Return the blocks of a page in some languages."""
    found = BLOCK.finditer(document.read_text())
    return [block["text"] for block in found if block["language"] in languages]


def commands(document: pathlib.Path) -> Iterator[list[str]]:
    """Yield the words of each command of a page, in blocks and in the text."""
    text = "".join(blocks(document, "console", "dockerfile", "ini", "shell", "yaml"))
    lines = text.replace("\\\n", " ").splitlines()
    lines += [" ".join(found.split()) for found in IN_THE_TEXT.findall(BLOCK.sub("", document.read_text()))]
    for line in lines:
        listed = re.search(r"\[(\".*\")\]", line)  # as in HEALTHCHECK and preStop
        text = listed[1].replace(",", "") if listed else line.partition(" #")[0]
        words = shlex.shlex(text, posix=True, punctuation_chars="|&;<>")
        words.whitespace_split, words.commenters = True, ""
        try:
            yield from _parted(list(words))
        except ValueError:  # a quotation mark of another language
            continue


def _parted(words: list[str]) -> Iterator[list[str]]:
    """Yield the commands of a line, without what pipes and the like say."""
    command: list[str] = []
    for word in (*words, ";"):
        if set(word) <= set("|&;<>"):
            yield command
            command = []
        else:
            command.append(word)


def parsed(command: list[str]) -> argparse.Namespace | None:
    """Return how a command of ours understands its arguments; None for a command of others.

    Raises:
        CommandError: If it does not.
        SystemExit: If it does not.
    """
    for number, word in enumerate(command):
        rest = command[number + 1 :]
        if word.endswith("manage.py") and rest and rest[0] in COMMANDS:
            return load_command_class("health_check", rest[0]).create_parser("manage.py", rest[0]).parse_args(rest[1:])
        if word == "-m" and rest and rest[0] in MODULES:
            name = rest[0] if rest[0] == "health_check.ping" else f"{rest[0]}.__main__"
            parser: argparse.ArgumentParser = importlib.import_module(name)._parser()
            return parser.parse_args(rest[1:]) if rest[1:] else argparse.Namespace()
    return None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_commands__are_understood(document: pathlib.Path) -> None:
    """Each command of this package takes the arguments that a page gives it, and each target of make exists."""
    makefile = (ROOT / "Makefile").read_text()
    for command in commands(document):
        try:
            parsed(command)
        except (CommandError, SystemExit) as error:
            pytest.fail(f"{shlex.join(command)}: {error}")
        if command[:1] == ["make"]:
            assert f"\n{command[1]}:" in makefile


def test_commands__are_found() -> None:
    """The pages have as many commands as they should."""
    found = [command for document in DOCUMENTS for command in commands(document) if parsed(command) is not None]
    assert len(found) >= LEAST_COMMANDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_yaml__can_be_read(document: pathlib.Path) -> None:
    """Each block of YAML is YAML."""
    for text in blocks(document, "yaml"):
        assert list(yaml.safe_load_all(text))
