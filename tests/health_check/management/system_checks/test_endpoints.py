"""What ``manage.py check`` says about the endpoints, their entries, and who may read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.urls import include, path
from django.views.generic import TemplateView
from pytest_django import Settings

from health_check.management.system_checks.endpoints import check_endpoints, check_exposure, check_mail
from health_check.management.system_checks.settings import check_settings
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Alias, Broken, Exiting, ExitingAtConstruction, Fine, Telling, Unbuildable, Unnameable
from tests.support.messages import Asking, assert_said, ids, view


class Adding(HealthCheckView):
    """Adds to an entry that cannot be used."""

    checks = ("no.such.Check",)

    def get_plugins(self) -> Iterable[Any]:
        yield from super().get_plugins()
        yield Broken()


class Old(HealthCheckView):
    """Overrides what nobody calls, and with a coroutine what must be sync."""

    checks = ()

    def get_checks(self) -> list[object]:
        return []

    def get_executor(self) -> None:
        """Return none."""

    def render_to_response_openmetrics(self) -> None:
        """Return none."""

    async def get(self, *args: object, **kwargs: object) -> None:  # type: ignore[override]
        """Answer nothing."""


class Closed(Asking):
    """States an access policy that cannot be used."""

    details = "sometimes"


def of_two(first: object, second: object) -> list[Any]:
    """Return the patterns of two endpoints of one check each."""
    return [path("a/", view(first), name="a"), path("b/", view(second), name="b")]


POLICIES: list[tuple[dict[str, Any], str]] = [
    ({"details": "sometimes"}, "DETAILS is 'sometimes'"),
    ({"networks": ["10.0.0.0/99"]}, "NETWORKS has '10.0.0.0/99'"),
    ({"open": "no"}, "OPEN is 'no'"),
    ({"tokens": "secret-of-mine"}, "TOKENS is not a list of tokens"),
]
"""Access policies of a view that cannot be used, and what is said of them."""


NAMESPACED = ([path("", view(Fine), name="home")], "inner")


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (
            [path("a/", view(Fine), name="x"), path("b/", view(Fine), name="x"), path("c/", view(Fine), name="y")],
            [("W016", "2 health endpoints have the URL name 'x'")],
        ),
        (
            [
                path("a/", include(NAMESPACED, "a")),
                path("b/", include(NAMESPACED, "b")),
                path("h/", include("health_check.urls")),
            ],
            [],
        ),
        (
            [path("secret-1/", view(Fine)), path("b/", view(Fine), name="b"), path("secret-2/", view("no.such.Check"))],
            [("W021", "unnamed-1, unnamed-2"), ("W017", "'unnamed-2'")],
        ),
        ([path("health/", Adding.as_view(), name="health")], [("W017", "no.such.Check")]),
        ([path("health/", view(Broken, Exiting), name="health")], []),  # a system check runs no check
        ([path("health/", Asking.as_view(), name="health")], []),
        ([path("live/", view(), name="live")], []),
        (
            [path("about/", TemplateView.as_view(template_name="about.html"))],
            [("W011", "nothing is ever checked", 'include("health_check.urls")')],
        ),
        (
            of_two((Alias, {"alias": "a", "name": "db"}), (Alias, {"alias": "b", "name": "db"})),
            [("W018", "'db'", """{'name': "db(alias='b')", …}""")],
        ),
        *(
            (of_two((Alias, {"alias": "a"}), (Alias, {"alias": "a", **options})), [("W003", "Alias(alias='a')")] * 2)
            for options in ({"timeout": 1}, {"max_age": 1})
        ),
        (of_two(Fine, (Fine, {"critical_service": False})), []),  # that is what endpoints are for
        (
            [path("health/", Old.as_view(), name="health")],
            [
                ("W020", "get_checks() has no effect", "Override get_plugins()"),
                ("W020", "get_executor() has no effect", "MAX_CONCURRENCY"),
                ("W020", "render_to_response_openmetrics() has no effect", "Mount /metrics"),
                ("W020", "get() is async", "as sync methods"),
            ],
        ),
        ([path("a/", Closed.as_view(), name="a")], [("E001", "DETAILS is 'sometimes'")]),
        *(
            (
                [path("a/", view(Fine), name="a"), path("b/", view(Fine, **options), name="b")],
                [("E001", "Health endpoint 'b'", words, "as_view()")],
            )
            for options, words in POLICIES
        ),
    ],
)
def test_endpoints__what_is_said(patterns: list[Any], expected: list[tuple[str, ...]], mount: Mount) -> None:
    """Mistakes are told with their names and the remedy, without tokens or routes that have no name."""
    mount(*patterns)
    messages = check_endpoints()
    assert_said(messages, *expected)
    assert "secret" not in "".join(message.msg for message in messages)


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
    assert_said(messages, ("W017", "'health'", word))
    assert "nobody meant" not in messages[0].msg


def test_settings__are_told_once(mount: Mount, settings: Settings) -> None:
    """What a setting says is not repeated for each endpoint; the URLconf of the setting counts, and is named."""
    mount(path("a/", view(Fine), name="a"), path("b/", view(Fine, open=False), name="b"))
    settings.HEALTH_CHECK = {"ACCESS": {"DETAILS": "sometimes"}}
    assert_said([*check_settings(), *check_endpoints()], ("E001", "DETAILS is 'sometimes'"))
    settings.HEALTH_CHECK = {"URLCONF": "django.contrib.staticfiles.urls"}
    assert_said(check_endpoints(), ("W011", "django.contrib.staticfiles.urls"))


W012 = ["health_check.W012"]


@pytest.mark.parametrize(
    ("access", "options", "expected"),
    [
        ({}, {}, W012),
        ({"DETAILS": "always"}, {}, W012),
        ({"TOKENS": ["a"]}, {}, W012),
        ({"NETWORKS": ["10.0.0.0/8"]}, {}, W012),
        ({"DETAILS": "authorized"}, {}, []),
        ({"DETAILS": "never"}, {}, []),
        ({"OPEN": False, "TOKENS": ["a"]}, {}, []),
        ({}, {"details": "authorized"}, []),
        ({}, {"open": False}, []),
        ({"DETAILS": "never"}, {"details": "always"}, W012),
        ({"OPEN": False}, {"open": True}, W012),
        ({}, {"details": "sometimes"}, []),
    ],
)
def test_w012__messages_that_everybody_reads(
    access: dict[str, object], options: dict[str, object], expected: list[str], mount: Mount, settings: Settings
) -> None:
    """An open endpoint with messages is told of, be it by setting or by view; one that lets nobody in is not."""
    settings.HEALTH_CHECK = {"ACCESS": access}
    mount(path("health/", view(Fine, **options), name="health"))
    assert ids(check_exposure()) == expected


def test_w012__one_message_for_all(mount: Mount) -> None:
    """All such endpoints are named together, for a deployment alone; those without checks have no messages."""
    mount(
        path("health/", view(Fine), name="health"),
        path("live/", view(), name="live"),
        path("asking/", Asking.as_view(), name="asking"),
        path("closed/", Asking.as_view(details="never"), name="closed"),
        path("closed-by-class/", Closed.as_view(), name="closed-by-class"),
    )
    assert_said(check_exposure(), ("W012", " health, asking."))
    assert "health_check.W012" not in [message.id for message in run_checks(tags=["health_check"])]


@pytest.mark.parametrize(
    ("names", "check", "expected"),
    [
        ([], ("health_check.Mail", {"timeout": 1}), [("W022", "health will fail", "list the `checks`")]),
        ([], "health_check.Cache", []),
        (["EMAIL_USE_TLS", "EMAIL_BACKEND"], "health_check.Mail", []),
    ],
)
def test_w022__mail_that_nobody_has_set_up(
    names: list[str],
    check: object,
    expected: list[tuple[str, ...]],
    settings: Settings,
    mount: Mount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before a deployment it is said that Mail will ask the host itself, and what to do."""
    monkeypatch.setattr("health_check.checks.mail.SETTINGS", names)  # Django's test environment sets EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mount(path("health/", view(check), name="health"))
    assert_said(check_mail(), *expected)
