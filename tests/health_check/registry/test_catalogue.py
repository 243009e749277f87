"""The catalogue: which checks a site has."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.urls import path, resolve
from django.utils.translation import override
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.concurrency.futures import Future
from health_check.registry.catalogue import Catalogue
from health_check.registry.construction import constructed
from health_check.registry.definitions import Definition, problem_of
from health_check.registry.endpoints import endpoint_at
from health_check.runner.runner import Runner
from health_check.views import HealthCheckView
from tests.support.bench import MovableClock, eventually
from tests.support.checks import Alias, Broken, Fine, Unnameable
from tests.support.placing import endpoint

Mount = Callable[..., None]


class Mending(HealthCheck):
    """Can be constructed once its service is back."""

    back = False

    def __init__(self) -> None:
        super().__init__()
        if not type(self).back:
            raise ConnectionError


def catalogue_of(settings: Settings, clock: MovableClock | None = None) -> Catalogue:
    """Return a catalogue of the site's URLconf."""
    clock = clock or MovableClock()
    runner = Runner(clock)
    return Catalogue(str(settings.ROOT_URLCONF), runner.settle, clock)


def test_construction__past_its_deadline() -> None:
    """An entry whose constructor does not end is run all the same, and the others are not waited for any longer."""
    started: list[Callable[[], Definition]] = []

    def start(future: Future[Definition], function: Callable[[], Definition]) -> None:
        if started:
            future.set_result(function())
        started.append(function)  # the first is never done

    slow, fine = (item.definition for item in constructed([Alias, Fine], start, 0.01, 0.0))
    assert "not constructed yet" in problem_of(slow)
    assert (slow.label, slow.check_class) == ("Alias(alias='default')", Alias)
    assert (fine.label, problem_of(fine)) == ("Fine", "")


def test_catalogue__tries_failed_constructors_again(mount: Mount, settings: Settings) -> None:
    """A check that could not be constructed is tried again after a while, not at every look."""
    mount(path("health/", HealthCheckView.as_view(checks=[Mending]), name="health"))
    clock = MovableClock()
    Mending.back = False
    catalogue = catalogue_of(settings, clock)
    assert [(problem.kind, "unavailable" in problem.text) for problem in catalogue.check_set.problems] == [
        ("unusable", True)
    ]
    Mending.back = True
    assert len(catalogue.check_set.problems) == 1
    clock.forward(11)
    found = catalogue.check_set
    assert (found.problems, list(found.definitions)) == ((), ["Mending"])


def test_catalogue__tries_again_where_plugins_need_a_request(mount: Mount, settings: Settings) -> None:
    """A view that cannot choose its checks without a request costs no other reader its answer."""

    class Asking(HealthCheckView):
        def get_plugins(self) -> Iterable[Any]:
            assert self.request.path
            yield Unnameable()

    mount(path("health/", Asking.as_view(), name="health"))
    clock = MovableClock()
    catalogue = catalogue_of(settings, clock)
    assert catalogue.endpoints == ()
    wanted = endpoint_at(resolve("/health/").func, name="health", route="health/")
    assert wanted is not None
    catalogue.place(wanted, [Unnameable()])
    clock.forward(11)
    assert list(catalogue.check_set.definitions) == ["Unnameable"]


@pytest.fixture
def catalogue(mount: Mount, settings: Settings) -> Catalogue:
    """The catalogue of a site with one endpoint."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
    return catalogue_of(settings)


MISSED = dataclasses.replace(endpoint("health"), route="hidden/", initkwargs={"checks": [Broken]})
"""An endpoint that is in no pattern."""


def test_catalogue__served_view_that_the_walk_missed(catalogue: Catalogue) -> None:
    """A served view that is in no pattern adds itself, once, under a name of its own."""
    added, _ = catalogue.add(MISSED)
    assert catalogue.add(dataclasses.replace(MISSED))[0] is added
    assert [(e.name, e.route) for e in catalogue.endpoints] == [("health", "health/"), ("health-2", "hidden/")]
    assert list(catalogue.check_set.definitions) == ["Fine", "Broken"]


def test_catalogue__one_endpoint_in_all_languages(settings: Settings) -> None:
    """An endpoint whose path begins with the language is the same one in each."""
    settings.ROOT_URLCONF = "tests.support.urls_i18n"
    with override("en"):
        catalogue = catalogue_of(settings)
    with override("de"):
        match = resolve("/de/health/")
        wanted = endpoint_at(match.func, name=match.view_name, route=match.route)
        assert wanted is not None
        found, _ = catalogue.add(wanted)
    assert found.name == "health"
    assert [e.name for e in catalogue.endpoints] == ["health"]


def test_catalogue__place_keeps_what_is_alike(catalogue: Catalogue) -> None:
    """A view that chooses the same checks at each request changes nothing; other checks take their place.

    A view that is called without a URLconf is answered, and forgotten.
    """
    (known,) = catalogue.endpoints
    _, first = catalogue.place(known, [("a", Alias("a")), Fine()])
    assert catalogue.place(known, [("a", Alias("a")), Fine()])[1] is first
    assert list(catalogue.place(known, [("a", Alias("b"))])[1].definitions) == ["a"]
    unlisted = endpoint("other")
    check_set = catalogue.with_chosen(unlisted, [Broken])
    assert [definition.label for definition in check_set.checks_of([unlisted])] == ["Broken"]
    assert list(catalogue.check_set.definitions) == ["a"]


def test_catalogue__first_requests_at_once__all_find_their_checks(catalogue: Catalogue) -> None:
    """Requests that meet while the checks of a missed view are constructed wait for them."""
    meeting = threading.Barrier(8, timeout=20)

    def ask() -> list[str]:
        meeting.wait()
        found, check_set = catalogue.listed(MISSED) or catalogue.add(MISSED)
        return [definition.label for definition in check_set.checks_of([found])]

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask) for _ in range(8)]
        assert {tuple(answer.result()) for answer in answers} == {("Broken",)}


def test_catalogue__tries_again_only_what_failed(mount: Mount, settings: Settings) -> None:
    """A constructor that hangs is not called again while it does, whatever else is tried again."""
    calls: list[str] = []
    gate = threading.Event()

    class Constructed(HealthCheck):
        def __init__(self, how: str) -> None:
            super().__init__()
            calls.append(how)
            if how == "hangs":
                gate.wait(20)
            elif how == "raises":
                raise OSError("not yet")

    checks = [(Constructed, {"how": how, "name": how}) for how in ("hangs", "raises", "works")]
    mount(path("health/", HealthCheckView.as_view(checks=checks), name="health"))
    clock = MovableClock()
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4}
    runner = Runner(clock)
    try:
        catalogue = Catalogue(settings.ROOT_URLCONF, runner.settle, clock, 0.2)
        assert len(catalogue.check_set.definitions) == 3
        for number in (2, 3, 4):
            clock.forward(11)
            assert len(catalogue.current.definitions) == 3
            eventually(lambda number=number: calls.count("raises") == number and catalogue.needs_work)  # type: ignore[misc]
            assert len(catalogue.current.definitions) == 3
    finally:
        gate.set()
    assert (calls.count("hangs"), calls.count("raises"), calls.count("works")) == (1, 4, 1)


def test_place__same_entries__construct_nothing_again(catalogue: Catalogue) -> None:
    """A function view that names its checks anew at each request does not have them constructed anew."""
    made: list[int] = []

    class Counted(HealthCheck):
        def __init__(self, number: int = 0) -> None:
            super().__init__()
            made.append(number)

    for _ in range(3):
        catalogue.place(MISSED, [Counted, (Counted, {"number": 1, "name": "one"})])
    assert made == [0, 1]
