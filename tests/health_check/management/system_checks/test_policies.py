"""What ``manage.py check`` says about time budgets and ages."""

from __future__ import annotations

import dataclasses

import pytest
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.management.system_checks import check_policies
from tests.conftest import Mount
from tests.support.checks import Alias, Fine
from tests.support.messages import ids, view

W008 = ["health_check.W008"]
W009 = ["health_check.W009"]
W043 = ["health_check.W043"]


class Slow(Fine):
    """Has a budget that its results do not outlive."""

    timeout = 30


class Old(Fine):
    """Has results that are shown for a day."""

    max_age = 86400


@dataclasses.dataclass
class Certificate(HealthCheck):
    """Has an option that happens to be called as a policy is."""

    max_age: int = 365 * 86400

    def check_status(self) -> None:
        """Find nothing wrong."""


class Domain(HealthCheck):
    """Has a parameter that happens to be called as a policy is."""

    def __init__(self, max_age: int = 365 * 86400) -> None:
        super().__init__()
        self.max_age = max_age

    def check_status(self) -> None:
        """Find nothing wrong."""


@pytest.mark.parametrize(
    ("check", "health_check", "expected"),
    [
        (Fine, {}, []),
        (Fine, {"TIMEOUT": 10}, []),
        (Fine, {"TIMEOUT": 11}, W008),
        (Fine, {"MAX_AGE": 3}, W008),
        (Fine, {"MAX_AGE": 3, "TIMEOUT": 3}, []),
        (Fine, {"MAX_AGE": 0}, []),
        (Slow, {}, W008),
        (Slow, {"MAX_AGE": 30}, []),
        ((Slow, {"timeout": 5}), {}, []),
        ((Fine, {"timeout": 12}), {}, W008),
        ((Fine, {"timeout": 12, "max_age": 12}), {}, []),
        ((Fine, {"max_age": 1}), {}, W008),
        ((Fine, {"max_age": 0}), {}, []),
        ("health_check.Mail", {"TIMEOUT": 60}, []),
        (Certificate, {}, []),
        ("no.such.Check", {"MAX_AGE": 3}, []),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_w008__budget_longer_than_max_age(
    check: object, health_check: dict[str, object], expected: list[str], debug: bool, mount: Mount, settings: Settings
) -> None:
    """A run that may take longer than its result counts is told of, be it by setting, class or entry."""
    settings.DEBUG = debug
    settings.HEALTH_CHECK = health_check
    mount(path("health/", view(check), name="health"))
    assert ids(check_policies()) == expected


def test_w008__one_message_for_what_is_alike(mount: Mount, settings: Settings) -> None:
    """Checks of the same budget and age are named together."""
    settings.HEALTH_CHECK = {"MAX_AGE": 2}
    mount(path("health/", view(Fine, Alias, (Alias, {"alias": "x", "timeout": 4}))))
    first, second = check_policies()
    assert ids([first, second]) == W008 * 2
    assert "Fine, Alias(alias='default') may take 5 s" in first.msg
    assert "Alias(alias='x') may take 4 s" in second.msg
    assert "2 s only" in first.msg


def test_w008__the_strictest_counts(mount: Mount) -> None:
    """Of the options that a check is used with those count that are in force: the shortest of each."""
    mount(path("a/", view((Fine, {"timeout": 20})), name="a"), path("b/", view((Fine, {"timeout": 1})), name="b"))
    assert check_policies() == []


@pytest.mark.parametrize(
    ("check", "health_check", "expected"),
    [
        (Old, {}, W009),
        ((Fine, {"max_age": 3601}), {}, W009),
        ((Fine, {"max_age": 3600}), {}, []),
        ((Old, {"max_age": 60}), {}, []),
        (Fine, {"MAX_AGE": 7200}, W009),
        (Fine, {}, []),
        (Certificate, {}, []),
        ((Certificate, {"max_age": 86400}), {}, []),
        (Domain, {}, []),
        ((Domain, {"max_age": 86400}), {}, []),
        ("no.such.Check", {"MAX_AGE": 7200}, []),
    ],
)
def test_w009__age_of_more_than_an_hour(
    check: object, health_check: dict[str, object], expected: list[str], mount: Mount, settings: Settings
) -> None:
    """A result that counts for hours hides an outage, unless the option is the check's own."""
    settings.HEALTH_CHECK = health_check
    mount(path("health/", view(check), name="health"))
    assert ids(check_policies()) == expected


def test_w009__says_what_and_how_long(mount: Mount) -> None:
    """The check and the age are named."""
    mount(path("health/", view((Old, {"name": "Backups"}))))
    (message,) = check_policies()
    assert message.msg.startswith("Backups has a max_age of 86400 s")
    assert "field" in str(message.hint)


@pytest.mark.parametrize(
    ("number", "options", "threads", "needed"),
    [
        (300, {"timeout": 1}, 32, None),
        (300, {"timeout": 2}, 32, 60),
        (300, {"timeout": 2, "max_age": 20}, 32, None),
        (65, {}, 32, 33),
        (65, {}, 33, None),
        (65, {}, 0, None),
    ],
)
def test_w026__more_checks_than_threads(
    number: int, options: dict[str, float], threads: int, needed: int | None, mount: Mount, settings: Settings
) -> None:
    """Whether all can run as often as they are to is computed from what each may take."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": threads}
    mount(path("health/", view(*((Alias, {"alias": str(each), **options}) for each in range(number)))))
    messages = check_policies()
    assert ids(messages) == ([] if needed is None else ["health_check.W026"])
    if needed is not None:
        assert f"If {number} checks" in messages[0].msg
        assert f"they need {needed} threads" in messages[0].msg


@pytest.mark.parametrize(
    ("backend", "number", "is_reported"),
    [
        ("django.core.cache.backends.db.DatabaseCache", 16, True),
        ("django.core.cache.backends.filebased.FileBasedCache", 15, False),
        ("django.core.cache.backends.redis.RedisCache", 99, False),
    ],
)
def test_w044__cache_without_room(
    mount: Mount, settings: Settings, backend: str, number: int, is_reported: bool
) -> None:
    """Django's own caches drop anything beyond 300 entries; servers have rules of their own."""
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://localhost"}}
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "health_check.stores.cache.DjangoCacheStore"}}
    mount(path("health/", view(*((Alias, {"alias": str(each)}) for each in range(number)))))
    messages = check_policies()
    assert ids(messages) == (["health_check.W044"] if is_reported else [])
    if is_reported:
        assert messages[0].msg.endswith("16 checks have up to 160 for each host. Counters and history would be lost.")
        assert "Set MAX_ENTRIES of its OPTIONS to 320 or more" in str(messages[0].hint)


def test_check__beside_an_unusable_store(mount: Mount, settings: Settings) -> None:
    """A store that cannot be used, which another system check reports, hides nothing of what is found here."""
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "no.such.Store"}}
    mount(path("health/", view(("Database", {"max_age": 7200})), name="health"))
    assert ids(check_policies()) == ["health_check.W009"]


@pytest.mark.parametrize(
    ("check", "setting"), [("Database", "DATABASES"), ("Cache", "CACHES"), ("Storage", "STORAGES")]
)
def test_w043__of_what_the_settings_do_not_have(mount: Mount, check: str, setting: str) -> None:
    """A check of an alias that there is not is found before the deploy, with the alias that was meant."""
    mount(path("health/", view(check, (check, {"alias": "defualt"})), name="health"))
    [message] = check_policies()
    assert ids([message]) == W043
    assert message.msg == (
        f"{check}(alias='defualt') is about 'defualt', which is not in {setting}. Did you mean 'default'?"
    )
