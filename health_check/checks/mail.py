"""The check of the mail server."""

from __future__ import annotations

import contextlib
import dataclasses
import smtplib
from typing import Any

from django.conf import settings as django_settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.filebased import EmailBackend as FileEmailBackend

from health_check.checks.clients import ServiceCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning

SETTINGS = (
    "MAILERS",
    "EMAIL_BACKEND",
    "EMAIL_HOST",
    "EMAIL_PORT",
    "EMAIL_HOST_USER",
    "EMAIL_HOST_PASSWORD",
    "EMAIL_USE_TLS",
    "EMAIL_USE_SSL",
    "EMAIL_SSL_CERTFILE",
    "EMAIL_SSL_KEYFILE",
)
"""The settings that say how mail is sent; without any, Django asks the host itself."""

NOT_SET_UP = "mail is not set up, and this host has no mail server."

REMEDY = (
    "Set MAILERS, or list the `checks` of this endpoint without Mail."
    if hasattr(mail, "mailers")
    else "Set EMAIL_HOST (or EMAIL_BACKEND), or list the `checks` of this endpoint without Mail."
)


@dataclasses.dataclass(repr=False)
class Mail(ServiceCheck):
    """Check that the mail server accepts connections.

    Verifies that a connection of the mail backend can be opened, which with SMTP includes TLS and the login.
    Sends nothing. That costs the mail server a connection a run, by default once a minute.

    While a site that is being developed (``DEBUG``) has no setting for mail, a failure is a warning that says so, and
    the check is not critical. Without ``DEBUG`` it is: Django's defaults are a mail server on the host itself.

    Args:
        alias: The mailer, as in ``MAILERS``; default ``"default"``. Needs Django 6.1.
        backend: The dotted path of the mail backend, for sites without ``MAILERS``; default ``EMAIL_BACKEND``.
    """

    max_age = 60

    alias: str = "default"
    backend: str | None = None

    def __post_init__(self) -> None:
        if is_not_set_up() and self.backend is None:
            self.critical_service = False

    def check_status(self) -> None:
        try:
            self._open_session()
        except ServiceUnavailable as error:
            if self.backend is not None or has_settings():
                raise
            if is_not_set_up():
                raise ServiceWarning(f"{NOT_SET_UP} {REMEDY}") from error
            raise ServiceUnavailable(f"{error.message}. No setting says where it is. {REMEDY}") from error

    def _open_session(self) -> None:
        connection: Any = self._connection()
        connection.timeout = self.client_timeout()
        if isinstance(connection, FileEmailBackend):
            return  # its folder is verified already, and opening it would make a file
        try:
            connection.open()
        except smtplib.SMTPAuthenticationError as error:
            raise ServiceUnavailable(f"the mail server refused the login ({_kind(error)})") from error
        except (smtplib.SMTPException, TimeoutError) as error:
            if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
                raise ServiceUnavailable("the mail server did not answer in time") from error
            raise ServiceUnavailable(f"cannot open a session with the mail server ({_kind(error)})") from error
        except OSError as error:
            raise ServiceUnavailable(f"cannot connect to the mail server ({type(error).__name__})") from error
        finally:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.close()

    def _connection(self) -> BaseEmailBackend:
        """Return a connection of the mailer, or of the backend where the site has no ``MAILERS``."""
        has_mailers = hasattr(django_settings, "MAILERS") and hasattr(mail, "mailers")
        if has_mailers and self.backend is not None:
            raise ServiceUnavailable("the option `backend` cannot be used with MAILERS: use `alias`")
        if not has_mailers and self.alias != "default":
            raise ServiceUnavailable("the option `alias` needs the setting MAILERS, and Django 6.1")
        try:
            return mail.mailers[self.alias] if has_mailers else mail.get_connection(self.backend)
        except ImportError as error:
            name = self.backend or "EMAIL_BACKEND"
            raise ServiceUnavailable(f"the mail backend {name!r} cannot be imported") from error
        except (KeyError, ImproperlyConfigured) as error:
            if not has_mailers:
                raise
            raise ServiceUnavailable(
                f"the mailer {self.alias!r} is not in MAILERS, or not configured properly, see the log"
            ) from error


def has_settings() -> bool:
    """Return whether the site has settings for mail of its own."""
    return any(django_settings.is_overridden(name) for name in SETTINGS)  # type: ignore[misc]


def is_not_set_up() -> bool:
    """Return whether the site is being developed, and has no settings for mail yet."""
    return bool(django_settings.DEBUG) and not has_settings()


def _kind(error: smtplib.SMTPException) -> str:
    """Return what kind of error it is; the reply code distinguishes a wrong password (535) from a busy server (421)."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"SMTP {error.smtp_code}"
    return type(error).__name__
