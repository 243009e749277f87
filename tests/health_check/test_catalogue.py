"""The catalogue: which checks a site has."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.urls import path, resolve
from django.utils.translation import override
from pytest_django import Settings

from health_check.assembly import Assembly, Resolved, assemble
from health_check.backends import HealthCheck
from health_check.catalogue import Catalogue
from health_check.catalogue import resolve as resolve_items
from health_check.definitions import Definition
from health_check.endpoints import Endpoint, endpoint_at
from health_check.execution import execute
from health_check.runner import Runner
from health_check.views import HealthCheckView
from tests.checks import Alias, Broken, ExitingAtConstruction, Fine, Unbuildable, Unnameable
from tests.health_check.monitoring import MovableClock

Mount = Callable[..., None]


@dataclasses.dataclass(repr=False)
class Nameless(HealthCheck):
    """Is called like its siblings, whatever its options."""

    alias: str = "default"

    def check_status(self) -> None:
        """Find nothing wrong."""


class Mending(HealthCheck):
    """Can be constructed once its service is back."""

    back = False

    def __init__(self) -> None:
        super().__init__()
        if not type(self).back:
            raise ConnectionError


def entries(*items: object) -> tuple[Resolved, ...]:
    """Return what items turn out to be, constructed here and now."""
    runner = Runner(MovableClock())
    return resolve_items(items, lambda functions: runner.call(functions, 5.0))


def endpoint(name: str = "health", view_class: type[HealthCheckView] = HealthCheckView) -> Endpoint:
    """Return an endpoint of this name."""
    return Endpoint(name=name, url_name=name, route=f"{name}/", view_class=view_class, initkwargs={})


def assembled(**items: Sequence[object]) -> tuple[Assembly, Mapping[str, list[tuple[str, bool]]]]:
    """Return the assembly of endpoints with these items, and its members by endpoint."""
    assembly = assemble({endpoint(name): entries(*listed) for name, listed in items.items()})
    members = {e.name: [(m.label, m.critical) for m in found] for e, found in assembly.members.items()}
    return assembly, members


def said(definition: Definition) -> str:
    """Return what a check says when it runs."""
    return "; ".join(message.text for message in execute(definition).messages)


def catalogue_of(settings: Settings, clock: MovableClock | None = None) -> Catalogue:
    """Return a catalogue of the site's URLconf."""
    clock = clock or MovableClock()
    runner = Runner(clock)
    return Catalogue(str(settings.ROOT_URLCONF), lambda functions: runner.call(functions, 5.0), clock)


def test_assemble__in_the_order_of_the_endpoint() -> None:
    """An endpoint has its checks in its order, critical or not as its entries say."""
    assembly, members = assembled(health=[Broken, (Alias, {"alias": "a", "critical_service": False}), Fine])
    assert members == {"health": [("Broken", True), ("Alias(alias='a')", False), ("Fine", True)]}
    assert [definition.label for definition in assembly.definitions.values()] == [
        label for label, _ in members["health"]
    ]
    assert assembly.problems == ()


def test_assemble__same_check_on_two_endpoints() -> None:
    """One check on two endpoints is one definition, critical where its entry says so; the strictest budgets hold."""
    assembly, members = assembled(
        health=[(Fine, {"timeout": 3, "max_age": 20})],
        ready=["tests.checks.Fine", (Fine, {"timeout": 2, "critical_service": False})],
        maybe=[(Fine, {"max_age": 30, "critical_service": False})],
    )
    assert list(assembly.definitions) == ["Fine"]
    assert members == {"health": [("Fine", True)], "ready": [("Fine", True)], "maybe": [("Fine", False)]}
    assert assembly.definitions["Fine"].timeout == 2
    assert assembly.definitions["Fine"].critical is True
    assert {(problem.kind, problem.endpoint) for problem in assembly.problems} == {
        ("policies", "health"),
        ("policies", "ready"),
        ("policies", "maybe"),
    }


@pytest.mark.parametrize("options", [{}, {"critical_service": False}, {"name": "Fine"}])
def test_assemble__no_warning_without_contradiction(options: dict[str, object]) -> None:
    """Entries that contradict each other in no budget are nothing to warn of."""
    assembly, _ = assembled(health=[Fine], ready=[(Fine, options)])
    assert assembly.problems == ()


@pytest.mark.parametrize("order", [1, -1])
def test_assemble__name_of_either_entry(order: int) -> None:
    """A check that one entry names has that name on all endpoints."""
    items: dict[str, Sequence[object]] = {"health": [Fine], "ready": [(Fine, {"name": "it"})]}
    assembly, members = assembled(**dict(list(items.items())[::order]))
    assert list(assembly.definitions) == ["it"]
    assert members == {"health": [("it", True)], "ready": [("it", True)]}


def test_assemble__equal_labels_of_different_checks() -> None:
    """Of different checks with one label the later is shown as a critical error that says what to do."""
    assembly, members = assembled(
        health=[Nameless, (Nameless, {"alias": "a", "critical_service": False})], ready=[(Nameless, {"alias": "b"})]
    )
    first, second, third = assembly.definitions.values()
    assert first.label == "Nameless"
    assert said(first) == ""
    assert members == {"health": [("Nameless", True), (second.label, True)], "ready": [(third.label, True)]}
    assert second.label != third.label
    for clashing in (second, third):
        assert f"{__name__}.Nameless" in said(clashing)
        assert "option `name`" in said(clashing)
    assert [(problem.kind, problem.endpoint) for problem in assembly.problems] == [
        ("clash", "health"),
        ("clash", "ready"),
    ]


def test_assemble__name_tells_equal_labels_apart() -> None:
    """The remedy works."""
    assembly, _ = assembled(health=[Nameless, (Nameless, {"alias": "a", "name": "a"})])
    assert (list(assembly.definitions), assembly.problems) == (["Nameless", "a"], ())


@pytest.mark.parametrize(
    ("item", "label", "words"),
    [
        ("no.such.Check", "no.such.Check", ["'no.such.Check' cannot be imported"]),
        ((Fine, {"alias": "x"}), "tests.checks.Fine", ["no option 'alias'"]),
        ((Fine, {"timeout": -1}), "tests.checks.Fine", ["'timeout'", "-1"]),
        (Unbuildable, "tests.checks.Unbuildable", ["ZeroDivisionError", "Correct its options"]),
        (ExitingAtConstruction, "tests.checks.ExitingAtConstruction", ["SystemExit", "Correct its options"]),
        (Unnameable, "tests.checks.Unnameable", ["ZeroDivisionError", "__repr__"]),
        (Unnameable(), "Unnameable", ["ZeroDivisionError", "__repr__"]),
        (("key", Unnameable()), "key", ["ZeroDivisionError", "__repr__"]),
    ],
)
def test_assemble__unusable_entry(item: object, label: str, words: list[str]) -> None:
    """An entry that cannot be used is a critical check in error that names it and the remedy."""
    assembly, members = assembled(health=[Fine, item])
    assert members == {"health": [("Fine", True), (label, True)]}
    text = said(assembly.definitions[label])
    assert [word for word in words if word not in text] == []
    assert "nobody meant" not in text
    (problem,) = assembly.problems
    assert (problem.kind, problem.endpoint) == ("unusable", "health")
    assert problem.text in text


def test_assemble__two_unusable_entries_of_one_class() -> None:
    """Each of two bad entries says what is wrong with it."""
    assembly, _ = assembled(health=[(Alias, {"alais": "x"}), (Alias, {"aliaz": "x"})])
    texts = [said(definition) for definition in assembly.definitions.values()]
    assert [("'alais'" in text, "'aliaz'" in text) for text in texts] == [(True, False), (False, True)]
    assert [problem.kind for problem in assembly.problems] == ["unusable", "unusable"]


def test_resolve__logs_why_an_entry_failed(caplog: pytest.LogCaptureFixture) -> None:
    """The traceback of a failed constructor is in the log."""
    with caplog.at_level(logging.ERROR, "health_check"):
        entries(Unbuildable)
    assert "tests.checks.Unbuildable" in caplog.text
    assert "a text that nobody meant for readers" in caplog.text


def test_resolve__constructor_past_its_deadline() -> None:
    """An entry whose constructor does not end is unusable, and the others are not."""

    def construct(functions: Sequence[Callable[[], Definition]]) -> Any:
        futures = Runner(MovableClock()).call(functions[1:], 5.0)
        return [type(futures[0])(), *futures]  # the first is never done

    slow, fine = resolve_items([Alias, Fine], construct)
    assert "TimeoutError" in said(slow.definition)
    assert (fine.definition.label, fine.problem) == ("Fine", "")


def test_catalogue__tries_failed_constructors_again(mount: Mount, settings: Settings) -> None:
    """A check that could not be constructed is tried again after a while, not at every look."""
    mount(path("health/", HealthCheckView.as_view(checks=[Mending]), name="health"))
    clock = MovableClock()
    Mending.back = False
    catalogue = catalogue_of(settings, clock)
    unusable = f"{__name__}.Mending"
    assert list(catalogue.assembly.definitions) == [unusable]
    Mending.back = True
    assert list(catalogue.assembly.definitions) == [unusable]
    clock.forward(11)
    assert list(catalogue.assembly.definitions) == ["Mending"]
    assert catalogue.assembly.problems == ()


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
    assert list(catalogue.assembly.definitions) == ["Unnameable"]


def test_catalogue__served_view_that_the_walk_missed(mount: Mount, settings: Settings) -> None:
    """A served view that is in no pattern adds itself, once, under a name of its own."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
    catalogue = catalogue_of(settings)
    missed = dataclasses.replace(endpoint("health"), route="hidden/", initkwargs={"checks": [Broken]})
    added, _ = catalogue.add(missed)
    assert catalogue.add(dataclasses.replace(missed))[0] is added
    assert [(e.name, e.route) for e in catalogue.endpoints] == [("health", "health/"), ("hidden/", "hidden/")]
    assert list(catalogue.assembly.definitions) == ["Fine", "Broken"]


def test_catalogue__one_endpoint_in_all_languages(settings: Settings) -> None:
    """An endpoint whose path begins with the language is the same one in each."""
    settings.ROOT_URLCONF = "tests.health_check.urls_i18n"
    with override("en"):
        catalogue = catalogue_of(settings)
    with override("de"):
        match = resolve("/de/health/")
        wanted = endpoint_at(match.func, name=match.view_name, route=match.route)
        assert wanted is not None
        found, _ = catalogue.add(wanted)
    assert found.name == "health"
    assert [e.name for e in catalogue.endpoints] == ["health"]


def test_catalogue__place_keeps_what_is_alike(mount: Mount, settings: Settings) -> None:
    """A view that chooses the same checks at each request changes nothing; other checks take their place."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
    catalogue = catalogue_of(settings)
    (known,) = catalogue.endpoints
    _, first = catalogue.place(known, [("a", Alias("a")), Fine()])
    assert catalogue.place(known, [("a", Alias("a")), Fine()])[1] is first
    assert list(catalogue.place(known, [("a", Alias("b"))])[1].definitions) == ["a"]


def test_catalogue__unlisted_endpoint_is_not_kept(mount: Mount, settings: Settings) -> None:
    """A view called without a URLconf is answered, and forgotten."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
    catalogue = catalogue_of(settings)
    unlisted = endpoint("other")
    assembly = catalogue.with_unlisted(unlisted, [Broken])
    assert [definition.label for definition in assembly.checks_of([unlisted])] == ["Broken"]
    assert list(catalogue.assembly.definitions) == ["Fine"]


@pytest.mark.parametrize("checks", ["tests.checks.Fine", None, 42, {"a": Fine}])
def test_catalogue__checks_that_are_no_list(checks: object, mount: Mount, settings: Settings) -> None:
    """``checks`` that is no list gives an endpoint that fails or works, and never an exception."""
    mount(path("health/", HealthCheckView.as_view(checks=checks), name="health"))
    assembly = catalogue_of(settings).assembly
    assert len(assembly.definitions) == 1
    assert (list(assembly.definitions) == ["Fine"]) is (assembly.problems == ())


def test_catalogue__first_requests_at_once__all_find_their_checks(mount: Mount, settings: Settings) -> None:
    """Requests that meet while the checks of a missed view are constructed wait for them."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
    catalogue = catalogue_of(settings)
    missed = dataclasses.replace(endpoint("health"), route="hidden/", initkwargs={"checks": [Broken]})
    meeting = threading.Barrier(8, timeout=20)

    def ask() -> list[str]:
        meeting.wait()
        found, assembly = catalogue.listed(missed) or catalogue.add(missed)
        return [definition.label for definition in assembly.checks_of([found])]

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask) for _ in range(8)]
        assert {tuple(answer.result()) for answer in answers} == {("Broken",)}


def test_catalogue__tries_again_only_what_failed(mount: Mount, settings: Settings) -> None:
    """A constructor that hangs is not called again while it does, whatever else is tried again."""
    calls: list[str] = []
    gate = threading.Event()

    class Hangs(HealthCheck):
        def __init__(self) -> None:
            super().__init__()
            calls.append("hangs")
            gate.wait(20)

    class Raises(HealthCheck):
        def __init__(self) -> None:
            super().__init__()
            calls.append("raises")
            raise OSError("not yet")

    class Works(HealthCheck):
        def __init__(self) -> None:
            super().__init__()
            calls.append("works")

    mount(path("health/", HealthCheckView.as_view(checks=[Hangs, Raises, Works]), name="health"))
    clock = MovableClock()
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4}
    runner = Runner(clock)
    try:
        catalogue = Catalogue(settings.ROOT_URLCONF, lambda functions: runner.call(functions, 0.2), clock)
        for _ in range(3):
            clock.forward(11)
            assert len(catalogue.assembly.definitions) == 3
    finally:
        gate.set()
    assert (calls.count("hangs"), calls.count("raises"), calls.count("works")) == (1, 4, 1)


def test_place__same_entries__construct_nothing_again(mount: Mount, settings: Settings) -> None:
    """A function view that names its checks anew at each request does not have them constructed anew."""
    made: list[int] = []

    class Counted(HealthCheck):
        def __init__(self, number: int = 0) -> None:
            super().__init__()
            made.append(number)

    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))
    catalogue = catalogue_of(settings)
    wanted = dataclasses.replace(endpoint("health"), route="hidden/")
    for _ in range(3):
        catalogue.place(wanted, [Counted, (Counted, {"number": 1, "name": "one"})])
    assert made == [0, 1]
