"""What an instance of a view says of itself holds for its request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Alias, Broken, Fine, Shaky

GONE = {"Broken": "unavailable: Something went wrong!"}


class InGet(HealthCheckView):
    """Chooses in ``get``."""

    checks = (Fine,)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.checks = [Broken]  # type: ignore[assignment, misc]
        return super().get(request, *args, **kwargs)


class InSetup(HealthCheckView):
    """Chooses in ``setup``."""

    checks = (Fine,)

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.checks = iter([Broken])  # type: ignore[assignment, misc]


class InInit(HealthCheckView):
    """Chooses in ``__init__``."""

    checks = (Fine,)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.checks = [Broken]  # type: ignore[assignment, misc]


class ByProperty(HealthCheckView):
    """Chooses by a property."""

    @property
    def checks(self) -> Iterable[Any]:  # type: ignore[override]
        yield Broken


class ByRequest(HealthCheckView):
    """Chooses by a property that needs a request."""

    @property
    def checks(self) -> list[Any]:  # type: ignore[override]
        return [Broken] if self.request.path else []


class TooLate(HealthCheckView):
    """Looks at its errors before it chooses."""

    checks = (Fine,)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        assert self.errors == []
        self.checks = [Broken]  # type: ignore[assignment, misc]
        return super().get(request, *args, **kwargs)


VIEWS = [InGet, InSetup, InInit, ByProperty, ByRequest, TooLate]


def wsgi(url: str) -> HttpResponse:
    """Ask under WSGI."""
    return Client().get(url)  # type: ignore[return-value]


def asgi(url: str) -> HttpResponse:
    """Ask under ASGI."""
    return asyncio.run(AsyncClient().get(url))  # type: ignore[return-value]


BOTH = pytest.mark.parametrize("ask", [wsgi, asgi])
Ask = Callable[[str], HttpResponse]


@BOTH
@pytest.mark.parametrize("threads", [0, 4])
@pytest.mark.parametrize("view_class", VIEWS)
def test_checks__of_the_instance(
    mount: Mount, settings: Settings, view_class: type[HealthCheckView], threads: int, ask: Ask
) -> None:
    """However a view chooses its checks, these are shown, and count, at every request."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads, "MAX_AGE": 60}
    mount(path("health/", view_class.as_view(error_status_code=503), name="health"))
    for _ in range(2):
        response = ask("/health/?format=json")
        assert (response.status_code, response.headers["Content-Type"]) == (503, "application/json")
        assert response.json() == GONE  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("view_class", "label"),
    [(InGet, "Fine"), (InSetup, "Fine"), (InInit, "Broken"), (ByProperty, "Broken"), (ByRequest, "Broken")],
)
def test_checks__that_metrics_show(mount: Mount, client: Client, view_class: type[HealthCheckView], label: str) -> None:
    """Metrics show what a view says without a request; only where it needs one, what it then said."""
    mount(path("health/", view_class.as_view(), name="health"), path("metrics", MetricsView.as_view()))
    client.get("/health/")
    text = client.get("/metrics").content.decode()
    assert f'endpoint_check_info{{check="{label}",critical="true",url_name="health"}} 1.0' in text
    assert "0x" not in text
    assert [definition.label for definition in runtime.get().catalogue.check_set.definitions.values()] == [label]


def test_checks__of_each_request(mount: Mount) -> None:
    """Requests that choose otherwise are answered otherwise, also at the same moment."""

    class Subset(HealthCheckView):
        checks = (Fine, Broken)

        def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            self.checks = [(Alias, {"alias": alias}) for alias in kwargs["aliases"].split(",")]  # type: ignore[assignment, misc]
            return super().get(request, *args, **kwargs)

    mount(path("health/<str:aliases>/", Subset.as_view(), name="health"))
    for aliases in ("a", "b", "a,b", "a", "b,c"):
        found = wsgi(f"/health/{aliases}/?format=json").json()  # type: ignore[attr-defined]
        assert found == {f"Alias(alias='{alias}')": "OK" for alias in aliases.split(",")}
    assert list(runtime.get().catalogue.check_set.definitions) == ["Fine", "Broken"]


@BOTH
@pytest.mark.parametrize(("status", "lenient"), [(429, False), (200, True)])
def test_options__of_the_instance(mount: Mount, ask: Ask, status: int, lenient: bool) -> None:
    """So are the status code, and whether warnings count."""

    class Own(HealthCheckView):
        checks = (Shaky,)

        @property
        def error_status_code(self) -> int:  # type: ignore[override]
            return 429

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.warnings_as_errors = not lenient  # type: ignore[misc]

    mount(path("health/", Own.as_view(), name="health"))
    assert ask("/health/?format=json").status_code == status


class Raising(HealthCheckView):
    """Cannot say what it checks."""

    @property
    def checks(self) -> list[Any]:  # type: ignore[override]
        raise ZeroDivisionError("a text that nobody meant for readers")


class NoStatus(HealthCheckView):
    """Says a status that would be a wrong answer."""

    checks = (Broken,)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.error_status_code = 200  # type: ignore[misc]
        return super().get(request, *args, **kwargs)


class NoAccess(HealthCheckView):
    """Cannot say who is answered."""

    checks = (Fine,)

    @property
    def open(self) -> bool:  # type: ignore[override]
        raise ZeroDivisionError("a text that nobody meant for readers")


@BOTH
@pytest.mark.parametrize(
    ("view_class", "words"),
    [
        (Raising, "Raising.checks raised ZeroDivisionError"),
        (NoStatus, "error_status_code is 200"),
        (NoAccess, "NoAccess.open raised ZeroDivisionError"),
    ],
)
def test_instance__that_cannot_say(mount: Mount, view_class: type[HealthCheckView], words: str, ask: Ask) -> None:
    """What a view cannot say is an error that names it, and never another answer."""
    mount(path("health/", view_class.as_view(), name="health"))
    response = ask("/health/?format=text")
    assert response.status_code == 500
    assert words in response.content.decode()
    assert "nobody meant" not in response.content.decode()


class Closing(HealthCheckView):
    """Closes itself in one of its methods."""

    checks = (Broken,)
    place = ""
    values: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.say("init")

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.say("setup")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        assert self.errors
        self.say("get")
        return super().get(request, *args, **kwargs)

    def say(self, place: str) -> None:
        """Say it if this is the place."""
        if place == self.place:
            for name, value in self.values.items():
                setattr(self, name, value)


@BOTH
@pytest.mark.parametrize("place", ["init", "setup", "get"])
def test_access__of_the_instance(mount: Mount, place: str, ask: Ask) -> None:
    """And so is who is answered, and who may read messages."""
    mount(
        path("closed/", Closing.as_view(place=place, values={"open": False}), name="closed"),
        path("bare/", Closing.as_view(place=place, values={"details": "never"}), name="bare"),
    )
    assert ask("/closed/?format=json").status_code == 403
    assert ask("/bare/?format=json").json() == {"Broken": "error"}  # type: ignore[attr-defined]
