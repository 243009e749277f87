"""Show the records of health checks to Prometheus."""

from health_check_prometheus.collector import HealthCheckCollector

__all__ = ["HealthCheckCollector"]
