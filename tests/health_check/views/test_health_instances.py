"""What an instance of a view says of itself holds for its request."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.test import Client
from django.urls import path
from pytest_django import Settings

from health_check.monitor import runtime
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.support.checks import Alias, Broken, Fine, Shaky
from tests.support.site.stacks import STACKS, Ask

GONE = '{"Broken": "unavailable: Something went wrong!"}'


class Saying(HealthCheckView):
    """Says something of itself in one of its methods."""

    checks = (Fine,)
    place = ""
    values: Callable[[], dict[str, Any]] = dict

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.say("init")

    def setup(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().setup(request, *args, **kwargs)
        self.say("setup")

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.say("get")
        assert len(self.errors) + len(self.plugins) >= 0
        self.say("after it looked at its errors")
        return super().get(request, *args, **kwargs)

    def say(self, place: str) -> None:
        """Say it if this is the place."""
        if place == self.place:
            for name, value in self.values().items():
                setattr(self, name, value)


class ByProperty(HealthCheckView):
    """Chooses by properties."""

    error_status_code = property(lambda self: 429)

    @property
    def checks(self) -> Iterable[Any]:  # type: ignore[override]
        yield Broken


class ByState(HealthCheckView):
    """Says by properties what changes while it answers."""

    checks = iter([Broken])  # type: ignore[assignment]
    answering = False
    details = property(lambda self: "never" if self.answering else "always")
    error_status_code = property(lambda self: 429 if self.answering else 500)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        assert self.errors
        self.answering = True
        return super().get(request, *args, **kwargs)


class Once(HealthCheckView):
    """Has checks that can be gone through once."""

    checks = iter([Broken])  # type: ignore[assignment]


class ByRequest(HealthCheckView):
    """Chooses by a property that needs a request."""

    @property
    def checks(self) -> list[Any]:  # type: ignore[override]
        return [Broken] if self.request.path else []


class Raising(HealthCheckView):
    """Cannot say what it checks."""

    @property
    def checks(self) -> list[Any]:  # type: ignore[override]
        raise ZeroDivisionError("a text that nobody meant for readers")


class NoAccess(HealthCheckView):
    """Cannot say who is answered."""

    checks = (Fine,)

    @property
    def open(self) -> bool:  # type: ignore[override]
        raise ZeroDivisionError("a text that nobody meant for readers")


PLACES = ("init", "setup", "get", "after it looked at its errors")

SAID: list[tuple[Callable[[], dict[str, Any]], int, str]] = [
    (lambda: {"checks": [Broken]}, 500, GONE),
    (lambda: {"checks": iter([Broken]), "error_status_code": 429}, 429, GONE),
    (lambda: {"checks": [Shaky]}, 500, '{"Shaky": "warning: Not for long!"}'),
    (lambda: {"checks": [Shaky], "warnings_as_errors": False}, 200, '{"Shaky": "warning: Not for long!"}'),
    (lambda: {"checks": [Broken], "error_status_code": 200}, 500, "error_status_code is 200"),
    (lambda: {"checks": [Broken], "details": "never"}, 500, '{"Broken": "error"}'),
    (lambda: {"open": False}, 403, "Not allowed."),
]


@STACKS
@pytest.mark.parametrize("threads", [0, 4])
@pytest.mark.parametrize(
    ("view_class", "options", "status", "words"),
    [
        *(
            (Saying, {"place": place, "values": values}, status, words)
            for place in PLACES
            for values, status, words in SAID
        ),
        (ByProperty, {}, 429, GONE),
        (ByState, {}, 429, '{"Broken": "error"}'),
        (Once, {}, 500, GONE),
        (ByRequest, {}, 500, GONE),
        (Raising, {}, 500, "Raising.checks raised ZeroDivisionError"),
        (NoAccess, {}, 500, "NoAccess.open raised ZeroDivisionError"),
    ],
)
def test_instance__says(
    mount: Mount,
    settings: Settings,
    view_class: type[HealthCheckView],
    options: dict[str, Any],
    status: int,
    words: str,
    threads: int,
    ask: Ask,
) -> None:
    """However a view says what it checks, how that counts, and who is answered, that holds at every request.

    What it cannot say is an error that names it, and never another answer.
    """
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads, "MAX_AGE": 60}
    mount(path("health/", view_class.as_view(**options), name="health"))
    for _ in range(2):
        response = ask("/health/?format=json")
        assert response.status_code == status
        assert words in response.content.decode()
        assert "nobody meant" not in response.content.decode()


@pytest.mark.parametrize(
    ("view_class", "options", "label"),
    [
        *((Saying, {"place": place, "values": SAID[0][0]}, "Fine") for place in ("get", "setup")),
        (Saying, {"place": "init", "values": SAID[0][0]}, "Broken"),
        (ByProperty, {}, "Broken"),
        (ByRequest, {}, "Broken"),
    ],
)
def test_checks__that_metrics_show(
    mount: Mount, client: Client, view_class: type[HealthCheckView], options: dict[str, Any], label: str
) -> None:
    """Metrics show what a view says without a request; only where it needs one, what it then said."""
    mount(path("health/", view_class.as_view(**options), name="health"), path("metrics", MetricsView.as_view()))
    client.get("/health/")
    text = client.get("/metrics").content.decode()
    assert f'endpoint_check_info{{check="{label}",critical="true",url_name="health"}} 1.0' in text
    assert "0x" not in text
    assert [definition.label for definition in runtime.get().catalogue.check_set.definitions.values()] == [label]


def test_checks__of_each_request(mount: Mount, client: Client) -> None:
    """Requests that choose otherwise are answered otherwise, also at the same moment."""

    class Subset(HealthCheckView):
        checks = (Fine, Broken)

        def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            self.checks = [(Alias, {"alias": alias}) for alias in kwargs["aliases"].split(",")]  # type: ignore[assignment, misc]
            return super().get(request, *args, **kwargs)

    mount(path("health/<str:aliases>/", Subset.as_view(), name="health"))
    for aliases in ("a", "b", "a,b", "a", "b,c"):
        found = client.get(f"/health/{aliases}/?format=json").json()
        assert found == {f"Alias(alias='{alias}')": "OK" for alias in aliases.split(",")}
    assert list(runtime.get().catalogue.check_set.definitions) == ["Fine", "Broken"]


@pytest.mark.parametrize("method", ["dispatch", "get"])
def test_format__that_code_chooses(mount: Mount, client: Client, method: str) -> None:
    """A view may change what is asked for, as with django-health-check."""

    def answer(self: HealthCheckView, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request.GET = QueryDict("format=json")
        return getattr(HealthCheckView, method)(self, request, *args, **kwargs)  # type: ignore[no-any-return]

    view: Any = type("Json", (HealthCheckView,), {method: answer})
    mount(path("health/", view.as_view(checks=[Fine]), name="health"))
    assert client.get("/health/").headers["Content-Type"] == "application/json"
