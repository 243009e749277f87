"""The check of the mail server."""

from __future__ import annotations

import datetime
import pathlib
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.test import Client
from pytest_django import Settings

from health_check import Mail
from health_check.registry.definitions import label_of

SMTP = "django.core.mail.backends.smtp.EmailBackend"


class Conversation(socketserver.StreamRequestHandler):
    """Speak as much SMTP as a session without mail takes."""

    server: SMTPServer

    def handle(self) -> None:
        if self.server.silent:
            self.server.released.wait()
            return
        self._say(self.server.greeting)
        for line in self.rfile:
            command = line.decode().strip()
            self.server.commands.append(command.partition(" ")[0].upper())
            if command.upper().startswith("EHLO"):
                self._say("250-mail.internal")
                self._say("250 AUTH PLAIN LOGIN")
            elif command.upper().startswith("AUTH"):
                self._say("535 mail.internal knows no such user")
            elif command.upper() == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 ok")

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class SMTPServer(socketserver.ThreadingTCPServer):
    """A mail server that notes what it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Conversation)
        self.commands: list[str] = []
        self.greeting = "220 mail.internal ESMTP"
        self.silent = False
        self.released = threading.Event()


@pytest.fixture
def server(settings: Settings) -> Iterator[SMTPServer]:
    """A mail server, which Django is configured to use."""
    with SMTPServer() as smtp_server:
        thread = threading.Thread(target=smtp_server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        settings.EMAIL_HOST, settings.EMAIL_PORT = smtp_server.server_address[:2]
        yield smtp_server
        smtp_server.released.set()
        smtp_server.shutdown()
        thread.join()


def errors_of(check: Mail) -> list[str]:
    """Return the texts of the errors of a run."""
    check.run_check()
    return [str(error) for error in check.errors]


def test_check__default_backend() -> None:
    """The backend of the settings is in order if it can be opened; nothing is sent."""
    assert errors_of(Mail()) == []
    assert mail.outbox == []


def test_check__smtp(server: SMTPServer) -> None:
    """A session is opened and closed, and no mail is begun."""
    assert errors_of(Mail(backend=SMTP)) == []
    assert set(server.commands) <= {"EHLO", "HELO", "QUIT"}
    assert server.commands[-1] == "QUIT"


def test_check__login_is_refused(settings: Settings, server: SMTPServer) -> None:
    """A refused login is said, without user, password or the server's words."""
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "postmaster", "geheim"
    [error] = errors_of(Mail(backend=SMTP))
    assert error.startswith("unavailable: ")
    assert "login" in error
    assert not {"postmaster", "geheim", "internal"} & set(error.replace(".", " ").split())


def test_check__no_session(server: SMTPServer) -> None:
    """A server that turns us away is unavailable."""
    server.greeting = "554 mail.internal is closed"
    [error] = errors_of(Mail(backend=SMTP))
    assert error.startswith("unavailable: ")
    assert "internal" not in error


def test_check__nobody_listens(settings: Settings) -> None:
    """A port where nobody listens is unavailable."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.EMAIL_HOST, settings.EMAIL_PORT = free.getsockname()
        [error] = errors_of(Mail(backend=SMTP))
    assert error.startswith("unavailable: ")
    assert "127.0.0.1" not in error


@pytest.mark.parametrize("timeout", [0.05, datetime.timedelta(milliseconds=50)])
def test_check__server_is_silent(server: SMTPServer, timeout: Any) -> None:
    """A server that says nothing is given up by the client, whose message comes before ours."""
    server.silent = True
    check = Mail(backend=SMTP, timeout=timeout)
    [error] = errors_of(check)
    assert error.startswith("unavailable: ")
    assert 0.03 < check.time_taken < 5


@pytest.fixture
def _unreachable(settings: Settings) -> None:
    """A site whose mail server, as by Django's defaults, is on the host itself, and is not there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.EMAIL_HOST, settings.EMAIL_PORT = free.getsockname()
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
    [error] = errors_of(check)
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


class RecordingBackend(BaseEmailBackend):
    """A backend that notes its timeout."""

    timeouts: ClassVar[list[float]] = []
    timeout: float | None = None

    def open(self) -> bool:
        self.timeouts.append(float(self.timeout or 0))
        return True


@pytest.mark.parametrize(
    ("timeout", "setting", "expected"),
    [(None, None, 4), (None, 10, 8), (2, 10, 1.6), (datetime.timedelta(seconds=3), None, 2.4)],
)
def test_timeout__share_of_the_budget(settings: Settings, timeout: Any, setting: Any, expected: float) -> None:
    """The client may take 0.8 of the budget, so that its message comes before ours."""
    settings.HEALTH_CHECK = {} if setting is None else {"TIMEOUT": setting}
    RecordingBackend.timeouts.clear()
    assert errors_of(Mail(backend=f"{__name__}.RecordingBackend", timeout=timeout)) == []
    assert RecordingBackend.timeouts == [pytest.approx(expected)]


@pytest.mark.parametrize("backend", ["no.such.Backend", "django.core.mail.backends.smtp.Missing", "nonsense"])
def test_check__no_such_backend(backend: str) -> None:
    """A backend that cannot be imported gives an error that names it."""
    [error] = errors_of(Mail(backend=backend))
    assert error.startswith("unavailable: ")
    assert f"'{backend}'" in error


def test_check__files(settings: Settings, tmp_path: pathlib.Path) -> None:
    """A backend that writes mail to files is left without one."""
    settings.EMAIL_FILE_PATH = str(tmp_path)
    assert errors_of(Mail(backend="django.core.mail.backends.filebased.EmailBackend")) == []
    assert list(tmp_path.iterdir()) == []


def test_max_age__a_minute() -> None:
    """By default the server is asked once a minute."""
    assert Mail().max_age == 60


@pytest.mark.parametrize(
    ("check", "label"),
    [
        (Mail(), "Mail"),
        (Mail(timeout=3), "Mail"),
        (Mail(backend="shop.mail.Backend"), "Mail(backend='shop.mail.Backend')"),
    ],
)
def test_label__backend_alone(check: Mail, label: str) -> None:
    """The label has the backend where it is not the default, and nothing else."""
    assert label_of(check) == label


needs_mailers = pytest.mark.skipif(not hasattr(mail, "mailers"), reason="MAILERS came with Django 6.1")


@needs_mailers
def test_mailers__alias(settings: Settings, server: SMTPServer) -> None:
    """With MAILERS the alias chooses the server, and the options of its mailer hold."""
    host, port = server.server_address[:2]
    settings.MAILERS = {
        "default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"},
        "bulk": {"BACKEND": SMTP, "OPTIONS": {"host": host, "port": port}},
    }
    assert errors_of(Mail()) == []
    assert server.commands == []
    assert errors_of(Mail(alias="bulk")) == []
    assert server.commands[-1] == "QUIT"


@needs_mailers
def test_mailers__wrong(settings: Settings) -> None:
    """A mailer that is not there, and a backend beside MAILERS, are named."""
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    [error] = errors_of(Mail(alias="missing"))
    assert "'missing' is not in MAILERS" in error
    [error] = errors_of(Mail(backend=SMTP))
    assert "use `alias`" in error


def test_alias__without_mailers() -> None:
    """Without MAILERS there is only one mailer."""
    [error] = errors_of(Mail(alias="bulk"))
    assert "needs the setting MAILERS" in error
