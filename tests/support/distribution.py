"""How pytest-xdist shares the tests out: one by one, but those that share a server together, so that it starts once."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

TOGETHER = (
    "tests/services/",
    "tests/test_packaging",
    "tests/health_check/demo/",
    *(f"tests/end_to_end/test_{name}" for name in ("postgres", "otlp_instrumented", "unix_socket")),
)
"""How the files begin of which each has a server for all of its tests."""


LONGEST = ("rabbitmq", "otlp_alerts", "alerts__fire_when_they_should", "test_alerts", "dashboards_data", "agreement")
"""What is in the names of the tests that take longest: they begin first, so that nothing waits for them alone."""


class Distribution(LoadScopeScheduling):  # type: ignore[misc]
    """Share out tests or files; what it gets first, it gives out first."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return file if file.startswith(TOGETHER) else nodeid
