"""The Django app."""

from django.apps import AppConfig


class HealthCheckPrometheusConfig(AppConfig):
    """Add the collector to prometheus_client's default registry; nothing runs before a scrape."""

    name = "health_check_prometheus"
    verbose_name = "Health checks: Prometheus"

    def ready(self) -> None:
        from health_check_prometheus.collector import register_default

        register_default()
