"""What ``manage.py check`` says about the endpoints and their entries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.urls import include, path
from django.views.generic import TemplateView
from pytest_django import Settings

from health_check.management.system_checks import check_endpoints, check_settings
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Alias, Broken, Exiting, ExitingAtConstruction, Fine, Telling, Unbuildable, Unnameable
from tests.support.messages import ids, view


@pytest.mark.parametrize("urlconf", ["no.such.urls", ""])
def test_e001__unusable_urlconf(urlconf: str, settings: Settings) -> None:
    """A URLconf that cannot be imported is an error that names it, not an exception."""
    settings.HEALTH_CHECK = {"URLCONF": urlconf}
    messages = [*check_settings(), *check_endpoints()]
    assert ids(messages) == ["health_check.E001"]
    assert f"HEALTH_CHECK['URLCONF'] is {urlconf!r}" in messages[0].msg


def test_w016__equal_names(mount: Mount) -> None:
    """Endpoints of one URL name are a warning that names them."""
    mount(path("a/", view(Fine), name="x"), path("b/", view(Fine), name="x"), path("c/", view(Fine), name="y"))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W016"]
    assert "'x'" in messages[0].msg


def test_w021__routes_without_a_name(mount: Mount) -> None:
    """Endpoints without a name are named by their numbers, and their routes by nobody."""
    mount(path("secret-1/", view(Fine)), path("b/", view(Fine), name="b"), path("secret-2/", view("no.such.Check")))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W021", "health_check.W017"]
    assert "unnamed-1, unnamed-2" in messages[0].msg
    assert "'unnamed-2'" in messages[1].msg
    assert "secret-" not in str(messages)


def test_w016__not_for_namespaces(mount: Mount) -> None:
    """Equal names in different namespaces, and those of our own URLs, are nobody's mistake."""
    inner = [path("", view(Fine), name="home")]
    mount(
        path("a/", include((inner, "a"))), path("b/", include((inner, "b"))), path("h/", include("health_check.urls"))
    )
    assert check_endpoints() == []


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ("no.such.Check", "'no.such.Check'"),
        ((Alias, {"alais": "x"}), "Did you mean 'alias'?"),
        ((Fine, {"scope": "galaxy"}), "'host' or 'fleet'"),
        (Unbuildable, "tests.support.checks.Unbuildable"),
        (ExitingAtConstruction, "SystemExit"),
        (Unnameable, "tests.support.checks.Unnameable"),
        (Telling, "tests.support.checks.Telling"),
        (42, "'42'"),
    ],
)
def test_w017__unusable_entry(item: object, word: str, mount: Mount) -> None:
    """An entry that cannot be used is a warning that names the endpoint, the entry and the remedy."""
    mount(path("health/", view(Fine, item), name="health"))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W017"]
    assert "'health'" in messages[0].msg
    assert word in messages[0].msg
    assert "nobody meant" not in messages[0].msg


def test_w017__through_super_get_plugins(mount: Mount) -> None:
    """An entry that cannot be used is found where a view adds to ``super().get_plugins()``, too."""

    class Adding(HealthCheckView):
        checks = ("no.such.Check",)

        def get_plugins(self) -> Iterable[Any]:
            yield from super().get_plugins()
            yield Broken()

    mount(path("health/", Adding.as_view(), name="health"))
    assert ids(check_endpoints()) == ["health_check.W017"]


def test_w017__not_for_checks_that_fail(mount: Mount) -> None:
    """A system check runs no check."""
    mount(path("health/", view(Broken, Exiting), name="health"))
    assert check_endpoints() == []


def test_w017__not_for_plugins_that_need_a_request(mount: Mount) -> None:
    """A view that chooses its checks by the request is no mistake."""

    class Asking(HealthCheckView):
        def get_plugins(self) -> Iterable[Any]:
            yield self.request.path, Fine()

    mount(path("health/", Asking.as_view(), name="health"))
    assert check_endpoints() == []


def test_w018__equal_labels(mount: Mount) -> None:
    """Different checks of one label are a warning that names it and the remedy."""
    mount(
        path("a/", view((Alias, {"alias": "a", "name": "db"})), name="a"),
        path("b/", view((Alias, {"alias": "b", "name": "db"})), name="b"),
    )
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W018"]
    assert "'db'" in messages[0].msg
    assert """{'name': "db(alias='b')", …}""" in str(messages[0].hint)


@pytest.mark.parametrize("options", [{"timeout": 1}, {"max_age": 1}])
def test_w003__different_budgets(options: dict[str, object], mount: Mount) -> None:
    """One check with different budgets is a warning on each of its endpoints."""
    mount(
        path("a/", view((Alias, {"alias": "a"})), name="a"),
        path("b/", view((Alias, {"alias": "a", **options})), name="b"),
        path("c/", view(Fine), name="c"),
    )
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W003", "health_check.W003"]
    assert "Alias(alias='a')" in messages[0].msg


def test_w003__not_for_criticality(mount: Mount) -> None:
    """Critical here and not there is what endpoints are for."""
    mount(path("a/", view(Fine), name="a"), path("b/", view((Fine, {"critical_service": False})), name="b"))
    assert check_endpoints() == []


def test_w020__methods_of_version_4(mount: Mount) -> None:
    """A view that overrides what nobody calls, or with a coroutine what must be sync, is told so."""

    class Old(HealthCheckView):
        def get_checks(self) -> list[object]:
            return []

        async def get(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
            """Answer nothing."""

    mount(path("health/", Old.as_view(checks=[]), name="health"))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W020"] * 2
    assert "get_checks() has no effect" in messages[0].msg
    assert "get() is async" in messages[1].msg


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"details": "sometimes"}, "DETAILS is 'sometimes'"),
        ({"networks": ["10.0.0.0/99"]}, "NETWORKS has '10.0.0.0/99'"),
        ({"open": "no"}, "OPEN is 'no'"),
        ({"tokens": "secret-of-mine"}, "TOKENS is not a list of tokens"),
    ],
)
def test_e001__unusable_rules_of_a_view(options: dict[str, object], words: str, mount: Mount) -> None:
    """Rules of access that a view cannot use are an error that names the endpoint, and no token."""
    mount(path("a/", view(Fine), name="a"), path("b/", view(Fine, **options), name="b"))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.E001"]
    assert "Health endpoint 'b'" in messages[0].msg
    assert words in messages[0].msg
    assert "as_view()" in str(messages[0].hint)
    assert "secret-of-mine" not in str(messages[0])


def test_e001__unusable_rules_of_a_class(mount: Mount) -> None:
    """Rules of a view's class count as those of ``as_view`` do, also where its checks depend on the request."""

    class Closed(HealthCheckView):
        details = "sometimes"

        def get_plugins(self) -> Iterable[Any]:
            yield self.request.path, Fine()

    mount(path("a/", Closed.as_view(), name="a"))
    assert ids(check_endpoints()) == ["health_check.E001"]


def test_e001__unusable_rules_of_the_setting_are_said_once(mount: Mount, settings: Settings) -> None:
    """What the setting says is not repeated for each endpoint."""
    settings.HEALTH_CHECK = {"ACCESS": {"DETAILS": "sometimes"}}
    mount(path("a/", view(Fine), name="a"), path("b/", view(Fine, open=False), name="b"))
    assert ids([*check_settings(), *check_endpoints()]) == ["health_check.E001"]


def test_w011__no_endpoint(mount: Mount) -> None:
    """A site that has no health endpoint is told how to get one."""
    mount(path("about/", TemplateView.as_view(template_name="about.html")))
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W011"]
    assert 'include("health_check.urls")' in str(messages[0].hint)


def test_w011__not_for_checks_that_depend_on_the_request(mount: Mount) -> None:
    """An endpoint whose checks nobody knows yet is one."""

    class Asking(HealthCheckView):
        def get_plugins(self) -> Iterable[Any]:
            yield self.request.path, Fine()

    mount(path("health/", Asking.as_view(), name="health"))
    assert check_endpoints() == []


def test_w011__not_for_an_endpoint_without_checks(mount: Mount) -> None:
    """An endpoint that answers, and nothing else, is one."""
    mount(path("live/", view(), name="live"))
    assert check_endpoints() == []


def test_w011__urlconf_of_the_setting(mount: Mount, settings: Settings) -> None:
    """Where the endpoints have a URLconf of their own, that one counts, and is named."""
    mount(path("health/", view(Fine), name="health"))
    settings.HEALTH_CHECK = {"URLCONF": "django.contrib.staticfiles.urls"}
    messages = check_endpoints()
    assert ids(messages) == ["health_check.W011"]
    assert "django.contrib.staticfiles.urls" in messages[0].msg


def test_w011__not_for_a_broken_urlconf(settings: Settings) -> None:
    """Where nobody can know, nobody says that there is none."""
    settings.ROOT_URLCONF = "tests.support.site.broken_urls"
    messages = check_endpoints()
    assert ids([*check_settings(), *messages]) == ["health_check.E001"]
    assert "ROOT_URLCONF" in messages[0].msg
