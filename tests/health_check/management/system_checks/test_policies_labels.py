"""What ``manage.py check`` says about labels that name hosts."""

from __future__ import annotations

import dataclasses
import socket

import pytest
from django.urls import path

from health_check.backends import HealthCheck
from health_check.management.system_checks import check_policies
from tests.conftest import Mount
from tests.support.checks import Alias, Fine
from tests.support.messages import ids, view

W010 = ["health_check.W010"]


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a host of this name."""
    monkeypatch.setattr(socket, "gethostname", lambda: "web-1")


@pytest.mark.parametrize(
    "label",
    [
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
    ],
)
def test_w010__label_that_names_a_host(label: str, mount: Mount) -> None:
    """An address, a URL, a host with its port or an option that holds one is told of, and so is this host's name."""
    mount(path("health/", view((Fine, {"name": label}), Alias), name="health"))
    messages = check_policies()
    assert ids(messages) == W010
    assert repr(label) in messages[0].msg
    assert "name" in str(messages[0].hint)


@pytest.mark.parametrize(
    "label",
    [
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
    ],
)
def test_w010__not_for_other_labels(label: str, mount: Mount) -> None:
    """Aliases, versions, times, ratios, names and paths are no hosts."""
    mount(path("health/", view((Fine, {"name": label})), name="health"))
    assert check_policies() == []


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
    """The label that a check has by default is looked at, too, without its password; a name of its own mends it."""
    options = {"url": "redis://:hunter2@cache.internal:6379/0"}
    mount(path("health/", view((Redis, options)), name="health"))
    messages = check_policies()
    assert ids(messages) == W010
    assert "hunter2" not in str(messages[0])
    mount(path("health/", view((Redis, {**options, "name": "Redis"})), name="health"))
    assert check_policies() == []


def test_w010__not_for_entries_that_cannot_be_used(mount: Mount) -> None:
    """What stands for an entry that cannot be used anyway is not told of twice."""
    mount(path("health/", view("10.0.0.7.Check"), name="health"))
    assert check_policies() == []
