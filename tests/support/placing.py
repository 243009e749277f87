"""What tests of the catalogue and the check set need: endpoints, and what their items turn out to be."""

from __future__ import annotations

from health_check.registry.construction import constructed
from health_check.registry.definitions import Definition
from health_check.registry.endpoints import Endpoint
from health_check.runner.runner import Runner
from health_check.views import HealthCheckView
from tests.support.bench import MovableClock


def entries(*items: object) -> tuple[Definition, ...]:
    """Return what items turn out to be, constructed here and now."""
    return tuple(item.definition for item in constructed(items, Runner(MovableClock()).settle, 5.0, 0.0))


def endpoint(name: str = "health", view_class: type[HealthCheckView] = HealthCheckView) -> Endpoint:
    """Return an endpoint of this name."""
    return Endpoint(name=name, url_name=name, route=f"{name}/", view_class=view_class, initkwargs={})
