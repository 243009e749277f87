"""What tests of checks over HTTP share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.pages import Pages, serving_pages


@pytest.fixture
def pages() -> Iterator[Pages]:
    """A server that answers with what the test says."""
    with serving_pages() as pages:
        yield pages
