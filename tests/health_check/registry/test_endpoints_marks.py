"""The marks of readiness and liveness endpoints."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from health_check.views import HealthCheckView


def marked(**marks: object) -> type[HealthCheckView]:
    """Return a view whose class has these marks."""
    return type("Marked", (HealthCheckView,), marks)


def is_refused(marks: dict[str, object], view: type[HealthCheckView] = HealthCheckView) -> str:
    """Return why a view cannot be mounted with these marks."""
    with pytest.raises(ImproperlyConfigured) as caught:
        view.as_view(**marks)
    return str(caught.value)


@pytest.mark.parametrize("mark", ["readiness", "liveness"])
@pytest.mark.parametrize("value", ["yes", 1, 0, ""])
def test_as_view__mark_of_another_kind(mark: str, value: object) -> None:
    """A mark is True or False, as an argument and on a class."""
    reason = f"{mark} is {value!r}: use True or False"
    assert reason in is_refused({mark: value})
    assert reason in is_refused({}, marked(**{mark: value}))


def test_as_view__both_marks() -> None:
    """One endpoint is not for both, whichever way it is said; an argument goes before the class."""
    ready, both = marked(readiness=True), marked(readiness=True, liveness=True)
    assert "readiness and liveness" in is_refused({"readiness": True, "liveness": True})
    assert "Marked: it is marked" in is_refused({"liveness": True}, ready)
    assert "readiness and liveness" in is_refused({}, both)
    assert callable(ready.as_view(liveness=True, readiness=False))
    assert callable(both.as_view(liveness=False))


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ({"cheks": []}, "Marked.as_view() has no argument 'cheks'. Did you mean 'checks'?"),
        ({"check": []}, "Marked.as_view() has no argument 'check'. Did you mean 'checks'?"),
        ({"nonsense": 1}, "Marked.as_view() has no argument 'nonsense'. Use checks, details, error_status_code,"),
        ({"error_status_code": 200}, "Marked: error_status_code is 200: use a status from 400 to 599."),
    ],
)
def test_as_view__remedy(arguments: dict[str, object], remedy: str) -> None:
    """An argument that there is none of, or that cannot be used, is told with the remedy."""
    assert remedy in is_refused(arguments, marked())
