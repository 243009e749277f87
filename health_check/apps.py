"""The Django app."""

from django.apps import AppConfig
from django.core.checks import register


class HealthCheckConfig(AppConfig):
    """Register the system checks; everything else starts on first use."""

    name = "health_check"
    verbose_name = "Health checks"

    def ready(self) -> None:
        from health_check.management import system_checks

        for check in system_checks.ALL:
            register(check, "health_check")
        for check in system_checks.DEPLOYMENT:
            register(check, "health_check", deploy=True)
