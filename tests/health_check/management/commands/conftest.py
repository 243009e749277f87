"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import ManagementUtility
from django.db import connections

from tests.support.commands import Ran, Run, Terminal


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A function that runs the command as ``manage.py`` does."""
    monkeypatch.delenv("HOST", raising=False)
    monkeypatch.delenv("PORT", raising=False)
    monkeypatch.setenv("COLUMNS", "120")

    def run_command(*args: str) -> Ran:
        code: object = 0
        try:
            ManagementUtility(["manage.py", "health_check", *args]).execute()
        except SystemExit as exit_:
            code = exit_.code or 0
        assert isinstance(code, int)
        return Ran(code, *capsys.readouterr())

    yield run_command
    connections.close_all()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard output, as a terminal of 80 columns without colours."""
    found = Terminal()
    monkeypatch.setenv("DJANGO_COLORS", "nocolor")
    monkeypatch.setenv("COLUMNS", "80")
    return found
