"""The Django app."""

from django.apps import AppConfig


class HealthCheckPrometheusConfig(AppConfig):
    """Add the collector to prometheus_client's default registry, the page and the outputs to the commands.

    Nothing runs before a scrape.
    """

    name = "health_check_prometheus"
    verbose_name = "Health checks: Prometheus"

    def ready(self) -> None:
        from health_check import extensions
        from health_check_prometheus.collector import register_default
        from health_check_prometheus.push import push, verify_push, verify_textfile, write_textfile
        from health_check_prometheus.views import MetricsView

        register_default()
        extensions.register_page("/metrics", MetricsView.as_view())
        extensions.register_output("textfile", write_textfile, verify=verify_textfile)
        extensions.register_output("pushgateway", push, verify=verify_push)
