"""Which version of the semantic conventions our spans and metrics follow."""

SCHEMA_URL = "https://opentelemetry.io/schemas/1.37.0"
"""The schema of ``code.function.name``, ``error.type`` and the names of units and instruments."""
