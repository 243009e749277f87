"""What ``manage.py check`` says about time budgets, ages, labels that name hosts, and what the settings do not have."""

from __future__ import annotations

import dataclasses
import socket

import pytest
from django.urls import path
from pytest_django import Settings

from health_check.backends import HealthCheck
from health_check.management.system_checks.policies import check_policies
from tests.conftest import Mount
from tests.support.checks import Alias, Fine
from tests.support.messages import assert_said, ids, view

W008 = ["health_check.W008"]
W009 = ["health_check.W009"]
W010 = ["health_check.W010"]


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
        ("no.such.Check", {"MAX_AGE": 3}, []),
        (Old, {}, W009),
        ((Fine, {"max_age": 3601}), {}, W009),
        ((Fine, {"max_age": 3600}), {}, []),
        ((Old, {"max_age": 60}), {}, []),
        (Fine, {"MAX_AGE": 7200}, W009),
        (Certificate, {}, []),
        ((Certificate, {"max_age": 86400}), {}, []),
        ("no.such.Check", {"MAX_AGE": 7200}, []),
        ("10.0.0.7.Check", {}, []),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_policies__budgets_and_ages(
    check: object, health_check: dict[str, object], expected: list[str], debug: bool, mount: Mount, settings: Settings
) -> None:
    """A run that may take longer than its result counts is told of, and so is a result that hides an outage for hours.

    Be it by setting, class or entry; but not where the option is the check's own, or the entry cannot be used.
    """
    settings.DEBUG = debug
    settings.HEALTH_CHECK = health_check
    mount(path("health/", view(check), name="health"))
    assert ids(check_policies()) == expected


def test_policies__one_message_for_what_is_alike(mount: Mount, settings: Settings) -> None:
    """Checks of the same budget and age are named together; the shortest of the options of a check counts."""
    settings.HEALTH_CHECK = {"MAX_AGE": 2}
    mount(
        path("health/", view(Fine, Alias, (Alias, {"alias": "x", "timeout": 4}), (Slow, {"timeout": 20}))),
        path("b/", view((Slow, {"timeout": 1}))),
    )
    assert_said(
        check_policies(),
        ("W008", "Fine, Alias(alias='default') may take 5 s", "2 s only"),
        ("W008", "Alias(alias='x') may take 4 s"),
    )
    mount(path("health/", view((Old, {"name": "Backups"}))))
    assert_said(check_policies(), ("W009", "Backups has a max_age of 86400 s", "field"))


@pytest.mark.parametrize(
    ("number", "options", "threads", "needed"),
    [
        (60, {"timeout": 1}, 6, None),
        (60, {"timeout": 2}, 6, 12),
        (60, {"timeout": 2, "max_age": 20}, 6, None),
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
    words = [] if needed is None else [("W026", f"If {number} checks", f"they need {needed} threads")]
    assert_said(check_policies(), *words)


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
    words = "16 checks have up to 160 for each host.", "Set MAX_ENTRIES of its OPTIONS to 320 or more"
    assert_said(check_policies(), *([("W044", *words)] if is_reported else []))


def test_check__beside_an_unusable_store(mount: Mount, settings: Settings) -> None:
    """A store that cannot be used, which another system check reports, hides nothing of what is found here."""
    settings.HEALTH_CHECK = {"STORE": {"BACKEND": "no.such.Store"}}
    mount(path("health/", view(("Database", {"max_age": 7200})), name="health"))
    assert ids(check_policies()) == W009


@pytest.mark.parametrize(
    ("check", "setting"), [("Database", "DATABASES"), ("Cache", "CACHES"), ("Storage", "STORAGES")]
)
def test_w043__of_what_the_settings_do_not_have(mount: Mount, check: str, setting: str) -> None:
    """A check of an alias that there is not is found before the deploy, with the alias that was meant."""
    mount(path("health/", view(check, (check, {"alias": "defualt"})), name="health"))
    text = f"{check}(alias='defualt') is about 'defualt', which is not in {setting}. Did you mean 'default'?"
    assert_said(check_policies(), ("W043", text))


HOSTS = [
    "Ping 10.0.0.7",
    "Ping 10.0.0.7.",
    "Ping(10.0.0.7:5432)",
    "Subnet 10.0.0.0/8",
    "DNS(nameserver='2001:db8::1')",
    "DNS [2001:db8::1]:53",
    "Router fe80::1.",
    "Loop ::1",
    "Mapped ::ffff:10.0.0.1",
    "Search https://search.example/",
    "Search https://[::1]/",
    "Redis(url='redis://***@cache')",
    "db.internal:5432",
    "Orders on db-1.internal:5432",
    "Database(host='db')",
    "Database(HOST='db')",
    'Kafka(bootstrap_servers=["kafka"])',
    "Memcached(servers=('cache', 11211))",
    "Cache(server='cache')",
    "Ldap(address='ldap')",
    "Orders(dsn='orders')",
    "Disk of web-1",
    "WEB-1 disk",
]
"""Labels with an address, a URL, a host with its port, an option that holds one, or the name of this host."""

NO_HOSTS = [
    "Database(alias='replica')",
    "API 1.2.3",
    "API 1.2.3.4.5",
    "Windows 10.0.19041.1",
    "Backup at 12:30",
    "Backup at 12:30:45",
    "Backup of 2026-11-22T12:30:45",
    "Screens 16:9",
    "Ratio 1.5:1",
    'Payments(name="stripe.com")',
    "stripe.com",
    "Disk(path='/srv/media')",
    "Page(url='/shop/')",
    "Page(url='')",
    "Server(observer='me')",
    "Hosts",
    "A host of things",
    "std::max",
    "Foo::Bar",
    "Any ::",
    "Queue(name='mail')",
    "web-10",
    "my-web-1",
    "Größe 10 %",
]
"""Labels with aliases, versions, times, ratios, names and paths."""


def test_w010__labels_that_name_hosts(mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each label that names a host is told of, with the remedy, and no other."""
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1")
    labels = [*HOSTS, *NO_HOSTS]
    mount(path("health/", view(*((Alias, {"alias": label, "name": label}) for label in labels)), name="health"))
    assert_said(check_policies(), *(("W010", repr(label), "Give the entry a name") for label in HOSTS))


@pytest.mark.parametrize("host", ["mail", "Orders", "", "mail.example.com"])
def test_w010__host_named_like_a_word(host: str, mount: Mount, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word, or nothing, is no name of this host where it stands in a label."""
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    mount(path("health/", view((Fine, {"name": "Mail (of orders)"}), (Alias, {"name": "Orders"})), name="health"))
    assert check_policies() == []


@dataclasses.dataclass
class Redis(HealthCheck):
    """Has a label that tells where it looks, as a dataclass has unless told otherwise."""

    url: str

    def check_status(self) -> None:
        """Find nothing wrong."""


def test_w010__label_of_a_dataclass(mount: Mount) -> None:
    """The label that a check has by default is looked at, too, without its password; a name of its own replaces it."""
    options = {"url": "redis://:hunter2@cache.internal:6379/0"}
    mount(path("health/", view((Redis, options)), name="health"))
    messages = check_policies()
    assert ids(messages) == W010
    assert "hunter2" not in str(messages[0])
    mount(path("health/", view((Redis, {**options, "name": "Redis"})), name="health"))
    assert check_policies() == []
