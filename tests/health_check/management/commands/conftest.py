"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections

from tests.support.commands import Ran, Run, Terminal, executed


@pytest.fixture
def run(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """A function that runs the command that the module names, or another one, as ``manage.py`` does."""
    own = getattr(request.module, "COMMAND", "health_check")
    monkeypatch.delenv("HOST", raising=False)
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def run_command(*args: str, command: str = own) -> Ran:
        return Ran(executed(command, *args), *capsys.readouterr())

    yield run_command
    connections.close_all()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard output, as a terminal of 80 columns without colours."""
    found = Terminal()
    monkeypatch.setenv("DJANGO_COLORS", "nocolor")
    monkeypatch.setenv("COLUMNS", "80")
    return found
