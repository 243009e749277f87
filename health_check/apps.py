"""The Django app."""

from django.apps import AppConfig


class HealthCheckConfig(AppConfig):
    """Register the system checks and the exporters; everything else starts on first use."""

    name = "health_check"
    verbose_name = "Health checks"

    def ready(self) -> None:
        from health_check import extensions
        from health_check.management import system_checks  # noqa: F401 - that registers them

        extensions.load_exporters()
