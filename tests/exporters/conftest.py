"""What tests of exporters share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.bench import Held


@pytest.fixture
def held() -> Iterator[Held]:
    """What a check waits for until the test ends, or lets it go."""
    found = Held()
    yield found
    found.let_go.set()
