"""The system checks: what ``manage.py check`` says about the settings, the endpoints and the installation."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

from django.core.checks import CheckMessage, register
from django.core.checks import Warning as CheckWarning

from health_check.logs import log_once
from health_check.management.system_checks.endpoints import check_endpoints, check_exposure, check_mail, check_purposes
from health_check.management.system_checks.installation import (
    check_distributions,
    check_exporters,
    check_middleware,
    check_shadows,
)
from health_check.management.system_checks.migration import check_former, check_hooks, check_names, check_subsets
from health_check.management.system_checks.policies import check_policies
from health_check.management.system_checks.routes import check_routes
from health_check.management.system_checks.settings import check_settings, check_store

SystemCheck = Callable[..., list[CheckMessage]]


def guarded(check: SystemCheck) -> SystemCheck:
    """Return a system check that says so where it fails (W000): ``check`` and ``migrate`` go on."""

    @functools.wraps(check)
    def look(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
        try:
            return check(app_configs, **kwargs)
        except Exception as error:
            text = f"The system check {check.__name__} of the health checks failed ({type(error).__name__})"
            log_once(check.__name__, f"{text}.", error)
            hint = "The traceback is in the log. Its messages are missing; the other system checks have run."
            return [CheckWarning(f"{text}.", hint=hint, id="health_check.W000")]

    return look


ALL = (
    check_settings,
    check_store,
    check_endpoints,
    check_purposes,
    check_policies,
    check_distributions,
    check_shadows,
    check_former,
    check_names,
    check_hooks,
    check_middleware,
    check_exporters,
    check_routes,
    check_subsets,
)
"""What the app registers."""

DEPLOYMENT = (check_exposure, check_mail)
"""What the app registers for ``manage.py check --deploy``."""


GUARDED = {check: guarded(check) for check in (*ALL, *DEPLOYMENT)}


def register_all() -> None:
    """Register all of these, once, however often it is called."""
    for check, guard in GUARDED.items():
        register(guard, "health_check", deploy=check in DEPLOYMENT)


__all__ = [
    "ALL",
    "DEPLOYMENT",
    "check_distributions",
    "check_endpoints",
    "check_exporters",
    "check_exposure",
    "check_former",
    "check_hooks",
    "check_mail",
    "check_middleware",
    "check_names",
    "check_policies",
    "check_purposes",
    "check_routes",
    "check_settings",
    "check_shadows",
    "check_store",
    "check_subsets",
    "register_all",
]
