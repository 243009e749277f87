"""The commands and files in the pages of the documentation: they can be read by the programs that they are for."""

from __future__ import annotations

import argparse
import importlib
import pathlib
import re
import shlex
from collections.abc import Iterator

import pytest
import yaml
from django.core.management import CommandError, load_command_class

from tests.test_docs import DOCUMENTS, ROOT

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
