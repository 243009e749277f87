"""The check of the mail server."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client
from pytest_django import Settings

from health_check import Mail
from tests.support.checks import messages_of
from tests.support.small_servers import free_address, silent_address

SMTP = "django.core.mail.backends.smtp.EmailBackend"


class RecordingBackend(BaseEmailBackend):
    """A backend that notes its timeout."""

    timeouts: ClassVar[list[float]] = []
    timeout: float | None = None

    def open(self) -> bool:
        self.timeouts.append(float(self.timeout or 0))
        return True


RECORDING = f"{__name__}.RecordingBackend"


def test_check__default_backend() -> None:
    """The backend of the settings is in order if it can be opened; nothing is sent."""
    assert messages_of(Mail()) == []
    assert mail.outbox == []


def test_check__server_is_silent(settings: Settings) -> None:
    """A server that says nothing is given up by the client, whose message comes before ours."""
    with silent_address() as address:
        settings.EMAIL_HOST, _, settings.EMAIL_PORT = address.partition(":")
        assert messages_of(Mail(backend=SMTP, timeout=0.05)) == ["unavailable: the mail server did not answer in time"]


@pytest.fixture
def _unreachable(settings: Settings) -> None:
    """A site whose mail server, as by Django's defaults, is on the host itself, and is not there."""
    settings.EMAIL_HOST, _, settings.EMAIL_PORT = free_address().partition(":")
    settings.EMAIL_BACKEND = SMTP


@pytest.mark.usefixtures("_unreachable")
@pytest.mark.parametrize(
    ("debug", "names", "options", "critical", "beginning"),
    [
        (True, [], {}, False, "warning: mail is not set up, and this host has no mail server. Set "),
        (False, [], {}, True, "unavailable: cannot connect"),
        (True, ["EMAIL_USE_SSL", "EMAIL_HOST"], {}, True, "unavailable: cannot connect"),
        (True, [], {"backend": SMTP}, True, "unavailable: cannot connect"),
    ],
)
def test_not_set_up__a_warning_while_developing(
    debug: bool,
    names: list[str],
    options: dict[str, Any],
    critical: bool,
    beginning: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where no mail setting is set and DEBUG is on, a failure says how to set one, and does not count."""
    settings.DEBUG = debug
    monkeypatch.setattr("health_check.checks.mail.SETTINGS", names)  # Django's test environment sets some of them
    check = Mail(**options)
    [error] = messages_of(check)
    assert error.startswith(beginning)
    assert check.critical_service is critical
    if not names and not options:
        assert ("MAILERS" in error) is hasattr(mail, "mailers")
        assert error.endswith("or list the `checks` of this endpoint without Mail.")


@pytest.mark.usefixtures("_unreachable")
def test_not_set_up__does_not_count(
    settings: Settings, mount_checks: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint with the check is healthy while developing, unless it is made critical there."""
    settings.DEBUG = True
    monkeypatch.setattr("health_check.checks.mail.SETTINGS", [])
    mount_checks("health_check.Mail")
    response = Client().get("/health/", {"format": "health+json"})
    [check] = response.json()["checks"]["Mail"]
    assert (response.status_code, check["state"], check["critical"]) == (200, "warning", False)
    mount_checks(("health_check.Mail", {"critical_service": True}))
    assert Client().get("/health/").status_code == 500


@pytest.mark.parametrize(
    ("timeout", "setting", "expected"),
    [(None, None, 4), (None, 10, 8), (2, 10, 1.6), (datetime.timedelta(seconds=3), None, 2.4)],
)
def test_timeout__share_of_the_budget(settings: Settings, timeout: Any, setting: Any, expected: float) -> None:
    """The client may take 0.8 of the budget, so that its message comes before ours."""
    settings.HEALTH_CHECK = {} if setting is None else {"TIMEOUT": setting}
    RecordingBackend.timeouts.clear()
    assert messages_of(Mail(backend=RECORDING, timeout=timeout)) == []
    assert RecordingBackend.timeouts == [pytest.approx(expected)]


@pytest.mark.parametrize("backend", ["no.such.Backend", "django.core.mail.backends.smtp.Missing", "nonsense"])
def test_check__no_such_backend(backend: str) -> None:
    """A backend that cannot be imported gives an error that names it."""
    [error] = messages_of(Mail(backend=backend))
    assert error.startswith("unavailable: ")
    assert f"'{backend}'" in error


def test_check__files(settings: Settings, tmp_path: pathlib.Path) -> None:
    """A backend that writes mail to files is left without one."""
    settings.EMAIL_FILE_PATH = str(tmp_path)
    assert messages_of(Mail(backend="django.core.mail.backends.filebased.EmailBackend")) == []
    assert list(tmp_path.iterdir()) == []


needs_mailers = pytest.mark.skipif(not hasattr(mail, "mailers"), reason="MAILERS came with Django 6.1")


@needs_mailers
def test_mailers(settings: Settings) -> None:
    """With MAILERS the alias chooses the backend; a missing one, and a backend beside MAILERS, are named."""
    settings.MAILERS = {
        "default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"},
        "bulk": {"BACKEND": RECORDING},
    }
    RecordingBackend.timeouts.clear()
    assert messages_of(Mail()) == []
    assert RecordingBackend.timeouts == []
    assert messages_of(Mail(alias="bulk")) == []
    assert len(RecordingBackend.timeouts) == 1
    [error] = messages_of(Mail(alias="missing"))
    assert "'missing' is not in MAILERS" in error
    [error] = messages_of(Mail(backend=SMTP))
    assert "use `alias`" in error


def test_alias__without_mailers() -> None:
    """Without MAILERS there is only one mailer."""
    [error] = messages_of(Mail(alias="bulk"))
    assert "needs the setting MAILERS" in error
