"""How system checks are registered, and how they say what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from health_check.logs import log_once

SystemCheck = Callable[..., list[CheckMessage]]


def system_check(*, deploy: bool = False) -> Callable[[Callable[[], Iterable[CheckMessage]]], SystemCheck]:
    """Register a function that yields messages as a system check, and return that.

    It ends early where settings cannot be used, as ``check_settings`` reports that. Where it fails otherwise it says so
    (W000): ``check`` and ``migrate`` go on.

    Args:
        deploy: Whether it is for ``manage.py check --deploy`` alone.
    """

    def decorate(find: Callable[[], Iterable[CheckMessage]]) -> SystemCheck:
        def check(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
            messages: list[CheckMessage] = []
            try:
                messages.extend(find())
            except ImproperlyConfigured:
                pass
            except Exception as error:
                text = f"The system check {find.__name__} of the health checks failed ({type(error).__name__})"
                log_once(find.__name__, f"{text}.", error)
                hint = "The traceback is in the log. Its messages are missing; the other system checks have run."
                messages.append(warning("W000", f"{text}.", hint))
            return messages

        check.__name__, check.__doc__ = find.__name__, find.__doc__
        return register("health_check", deploy=deploy)(check)

    return decorate


def warning(number: str, text: str, hint: str) -> CheckMessage:
    """Return a warning of ours, as in ``W001``."""
    return CheckWarning(text, hint=hint, id=f"health_check.{number}")


def unusable(text: str, hint: str = "See the section on settings in the documentation.") -> CheckMessage:
    """Return the error that says why something cannot be used."""
    return Error(text, hint=hint, id="health_check.E001")
