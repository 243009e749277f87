"""The check of the mail server, against a real one."""

from __future__ import annotations

import base64
import contextlib
import logging
import re
import socket
from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from health_check import Mail
from health_check.registry.entries import parse
from tests.services.contract import Contract, Service
from tests.support.bench import Bench
from tests.support.checked import BUDGET_SECONDS, errors_of
from tests.support.client import eventually
from tests.support.mail import CONNECTIONS, KINDS, PASSWORD, USER, MailServer, mail_server
from tests.support.repetitions import long
from tests.support.web import Authority

pytestmark = pytest.mark.server

SMTP = "django.core.mail.backends.smtp.EmailBackend"

WRONG = "planted-wrong-2c9a"
"""A password that is not the user's."""

REFUSED = "unavailable: the mail server refused the login (SMTP 535)"
SILENT = "unavailable: the mail server did not answer in time"
GONE = "unavailable: cannot connect to the mail server (ConnectionRefusedError)"
NO_SESSION = "unavailable: cannot open a session with the mail server"

Use = Callable[..., Mail]

every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who issues the server's certificate."""
    return Authority(folder=tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailServer]:
    """A mail server."""
    certificate = authority.certificate(days=90, name="127.0.0.1")
    with mail_server(tmp_path_factory.mktemp("mail"), certificate) as server:
        yield server


@pytest.fixture
def use(server: MailServer, settings: Settings, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Use:
    """A function that makes a port of the server the site's, and returns a check of it."""
    monkeypatch.setenv("SSL_CERT_FILE", authority.ca_file)

    def use_port(kind: str, *, port: str = "", user: str = USER, password: str = PASSWORD) -> Mail:
        place = {"EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": server.ports[port or kind]}
        login = {"EMAIL_HOST_USER": user, "EMAIL_HOST_PASSWORD": password}
        for name, value in {**place, **login, **KINDS[kind]}.items():
            if getattr(settings, name) != value:  # each setting that is set is one more to look through
                setattr(settings, name, value)
        return Mail(backend=SMTP, timeout=BUDGET_SECONDS)

    return use_port


@every_kind
def test_check__ok(use: Use, kind: str) -> None:
    """A server that lets the site in is in order, whatever the encryption, and without login."""
    for user in (USER, ""):
        eventually(lambda user=user: errors_of(use(kind, user=user)) == [], what="a server in order")  # type: ignore[misc]


@pytest.fixture(params=["starttls", long("plain"), long("tls")])
def service(server: MailServer, use: Use, request: pytest.FixtureRequest) -> Service:
    """A mail server, and the check of it, with each kind of encryption."""
    return Service(
        server=server,
        build=lambda: use(request.param),
        failing=lambda: use(request.param, password=WRONG),
        silent=SILENT,
        gone=re.escape(GONE),
        left=lambda: {"files": server.open_files()},
    )


class TestContract(Contract):
    """The check of a mail server."""


@every_kind
def test_check__wrong_password(use: Use, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A login that is refused is told without it and the server's words; the log has these, but no password."""
    caplog.set_level(logging.DEBUG)
    check = use(kind, password=WRONG)
    eventually(lambda: errors_of(check) == [REFUSED], what="a refusal")
    reading = Bench().read(parse((Mail, {"backend": SMTP, "timeout": 60})).define())
    assert reading.pretty_status == REFUSED
    assert REFUSED in caplog.text
    sent = (WRONG, base64.b64encode(WRONG.encode()).decode(), base64.b64encode(f"\0{USER}\0{WRONG}".encode()).decode())
    assert not [form for form in sent if form in caplog.text]
    eventually(lambda: errors_of(use(kind)) == [], what="a server in order")


def test_check__out_of_connections(server: MailServer, use: Use) -> None:
    """A server without a connection left (421) is told at once, until there is one."""
    check = use("plain")
    with contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.ports["plain"]), BUDGET_SECONDS))
        eventually(lambda: errors_of(check) == [f"{NO_SESSION} (SMTP 421)"], what="a refusal")
    eventually(lambda: errors_of(check) == [], what="a server in order")


@pytest.mark.parametrize(
    ("kind", "port", "error"),
    [
        ("starttls", "plain", f"{NO_SESSION} (SMTPNotSupportedError)"),
        ("tls", "plain", "unavailable: cannot connect to the mail server (SSLError)"),
        ("plain", "starttls", f"{NO_SESSION} (SMTPNotSupportedError)"),
        ("plain", "tls", SILENT),
    ],
)
def test_check__another_kind_of_port(use: Use, kind: str, port: str, error: str) -> None:
    """A port that speaks otherwise than the site is configured for is told."""
    check = use(kind, port=port)
    eventually(lambda: errors_of(check) == [error], what=error)


def test_check__certificate_of_nobody_known(
    use: Use, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that the site does not trust is told, before the login is."""
    other = Authority(folder=tmp_path_factory.mktemp("other")).ca_file
    for kind in ("starttls", "tls"):
        check = use(kind)
        monkeypatch.setenv("SSL_CERT_FILE", other)
        assert errors_of(check) == ["unavailable: cannot connect to the mail server (SSLCertVerificationError)"]
