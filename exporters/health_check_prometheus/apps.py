"""The Django app."""

from django.apps import AppConfig


class HealthCheckPrometheusConfig(AppConfig):
    """Add the collector to prometheus_client's default registry, the page and the outputs to the commands.

    ``health_check`` does so itself, as ``HEALTH_CHECK["EXPORTERS"]`` says; to name this app does no harm.
    """

    name = "health_check_prometheus"
    verbose_name = "Health checks: Prometheus"

    def ready(self) -> None:
        from health_check_prometheus.registration import register

        register()
