"""Dashboards and alert rules on the metrics of health checks."""
