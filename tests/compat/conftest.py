"""What the tests of sites that come from django-health-check share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from health_check.registry.plugins import plugin_dir


@pytest.fixture(autouse=True)
def _nothing_registered() -> Iterator[None]:
    """Have each test begin as a site that has never used the registry, and leave that to the next one."""
    plugin_dir.entries = None
    yield
    plugin_dir.entries = None
