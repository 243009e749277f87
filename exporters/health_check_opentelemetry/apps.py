"""The Django app."""

from django.apps import AppConfig


class HealthCheckOpenTelemetryConfig(AppConfig):
    """Have spans and metrics follow the runs; which SDK gets them, if any, is the site's own choice."""

    name = "health_check_opentelemetry"
    verbose_name = "Health checks: OpenTelemetry"

    def ready(self) -> None:
        from health_check_opentelemetry.registration import register

        register()
