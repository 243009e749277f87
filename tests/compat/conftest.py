"""What the tests of sites that come from django-health-check share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from health_check.registry.plugins import plugin_dir


@pytest.fixture(autouse=True)
def _nothing_registered() -> Iterator[None]:
    """Leave nothing registered to the next test."""
    plugin_dir.reset()
    yield
    plugin_dir.reset()
