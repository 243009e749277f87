"""The servers that tests need: `make services` brings them all."""

from __future__ import annotations

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]

ESSENTIAL = {"bsdutils", "util-linux"}
"""What no Debian is without."""


def test_services__are_those_of_the_makefile() -> None:
    """Each package that a test names is installed for it, and none besides."""
    makefile = (ROOT / "Makefile").read_text().replace("\\\n", " ")
    installed = re.search(r"^SERVICES := (.*)$", makefile, re.MULTILINE)
    assert installed is not None
    pattern = re.compile(r'(?:package=|^PACKAGE = )"([^"]+)"', re.MULTILINE)
    found = [pattern.findall(file.read_text()) for file in (ROOT / "tests").rglob("*.py")]
    named = {name for packages in found for names in packages for name in names.split()}
    assert named - ESSENTIAL == set(installed[1].split())
