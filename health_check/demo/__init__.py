"""A small site to try the health checks on: ``python -m health_check.demo``."""
