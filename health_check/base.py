"""Where checks written for django-health-check 4.x look for their base class."""

from health_check.backends import HealthCheck, HealthCheckResult

__all__ = ["HealthCheck", "HealthCheckResult"]
