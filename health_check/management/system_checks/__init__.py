"""The system checks: what ``manage.py check`` says about the settings, the endpoints and the installation."""

from django.core.checks import register

from health_check.management.system_checks.endpoints import check_endpoints, check_exposure, check_mail, check_purposes
from health_check.management.system_checks.installation import check_distributions, check_shadows
from health_check.management.system_checks.migration import check_former, check_names
from health_check.management.system_checks.policies import check_policies
from health_check.management.system_checks.settings import check_settings, check_store

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
)
"""What the app registers."""

DEPLOYMENT = (check_exposure, check_mail)
"""What the app registers for ``manage.py check --deploy``."""


def register_all() -> None:
    """Register all of these, once, however often it is called."""
    for check in ALL:
        register(check, "health_check")
    for check in DEPLOYMENT:
        register(check, "health_check", deploy=True)


__all__ = [
    "ALL",
    "DEPLOYMENT",
    "check_distributions",
    "check_endpoints",
    "check_exposure",
    "check_former",
    "check_mail",
    "check_names",
    "check_policies",
    "check_purposes",
    "check_settings",
    "check_shadows",
    "check_store",
    "register_all",
]
