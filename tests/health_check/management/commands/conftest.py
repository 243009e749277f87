"""What tests of commands share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import ManagementUtility
from django.db import connections
from django.urls import path

from health_check.backends import HealthCheck
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Alias, AsyncFine, Broken, Fine, Shaky, TwiceBroken
from tests.support.commands import Ran, Run, Terminal


class Counting(HealthCheck):
    """Counts its runs."""

    runs = 0

    def check_status(self) -> None:
        Counting.runs += 1


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    """A check that counts its runs, from 0."""
    monkeypatch.setattr(Counting, "runs", 0)
    return Counting


@pytest.fixture
def site(mount: Mount) -> None:
    """A site with endpoints that fail, are in order, warn, have no checks, and have an argument in their path.

    One check is not critical; one has a name, and its former label.
    """
    named, optional = (Alias, {"name": "Orders", "aliases": ["Alias(alias='default')"]}), {"critical_service": False}
    view = HealthCheckView.as_view
    mount(
        path("health/", view(checks=[Fine, Broken, (TwiceBroken, optional)]), name="health"),
        path("ready/", view(checks=[Fine, named]), name="ready"),
        path("warn/", view(checks=[Shaky], warnings_as_errors=False), name="warn"),
        path("live/", view(checks=[]), name="live"),
        path("of/<str:shop>/", view(checks=[AsyncFine]), name="shop"),
    )


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
        code: object = 0
        try:
            ManagementUtility(["manage.py", command, *args]).execute()
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
