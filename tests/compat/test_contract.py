"""What a check of django-health-check 3.x or 4.x may rely on, whichever of its versions it was written for."""

from __future__ import annotations

import asyncio
import concurrent.futures
import copy
import dataclasses
import datetime
import email.utils
import re
import threading
from typing import Any

import pytest
from django.core.cache import caches
from django.core.files.base import File
from django.core.files.storage import InMemoryStorage
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template import Context, Template
from django.test import Client, RequestFactory
from django.urls import path
from pytest_django import Settings

import health_check
from health_check.backends import HealthCheck
from health_check.base import HealthCheckResult
from health_check.exceptions import HealthCheckException, ServiceUnavailable, ServiceWarning
from health_check.management.system_checks.migration import check_hooks
from health_check.views import HealthCheckView
from tests.compat import shapes
from tests.compat.shapes import Down, Field, Grumbling, Incident, Named, Up, Versioned
from tests.conftest import Mount
from tests.support.messages import ids

pytestmark = pytest.mark.filterwarnings(
    "ignore:plugin_dir|.*identifier|.*of django-health-check 3|.*CacheBackend:DeprecationWarning"
)


# -- what it is called


class NamedCache(health_check.Cache):
    """A check of ours under a name of the site's, though it has a ``repr`` of its own."""

    def identifier(self) -> str:
        """Say what it is called."""
        return f"Cache backend: {self.alias}"


def test_identifier__is_the_label(mount_checks: Mount, client: Client) -> None:
    """Each check has an ``identifier``; one that is written, which may ask the base class, is the label."""
    checks = Up(), health_check.Database(), health_check.Database("replica")
    assert [check.identifier() for check in checks] == ["Up", "Database", "Database(alias='replica')"]
    mount_checks(Named, NamedCache)
    assert client.get("/health/?format=json").json() == {"Named: the search": "OK", "Cache backend: default": "OK"}


def test_identifier__is_no_default_of_a_field() -> None:
    """Required fields that are called as methods of former versions stay required."""
    assert (Field("a", "b").identifier, Field("a", "b").run) == ("a", "b")
    with pytest.raises(TypeError, match="missing 2 required"):
        Field()  # type: ignore[call-arg]


LINE = "{{ plugin.identifier }}={{ plugin.pretty_status }};{{ plugin.status }} "
TEMPLATE = f"{{% for plugin in plugins %}}{LINE}{{% endfor %}}"


def test_template__of_3x() -> None:
    """A template of 3.x shows name, words and status of each check."""

    class View(HealthCheckView):
        def render_to_response(self, plugins: Any, status: int = 200, **response_kwargs: Any) -> HttpResponse:  # type: ignore[override]
            return HttpResponse(Template(TEMPLATE).render(Context({"plugins": plugins})))

    view = View.as_view(checks=[Named, Versioned, Down])
    response = view(RequestFactory().get("/health/"))
    assert response.content.decode().split() == [
        *("Named:", "the", "search=OK;1", "Versioned=version", "8.1", "of"),
        *("https://***@search.example;1", "Down=unavailable:", "it", "is", "down;0"),
    ]


class OfThree(HealthCheckView):
    """A view of 3.16, whose ``plugins`` are a list of checks; since 3.18 they are a dict by label."""

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        """Answer with both."""
        plugins: Any = self.plugins
        said = {str(plugin.identifier()): plugin.pretty_status() for plugin in plugins}
        also = {str(label): self.plugins[label].pretty_status() for label in copy.deepcopy(list(self.plugins))}
        return JsonResponse({"list": said, "dict": also}, status=500 if self.run_check() else 200)


def test_view__plugins_as_a_list_and_as_a_dict(mount: Mount, client: Client) -> None:
    """Who iterates over ``plugins`` finds labels that have what the checks have."""
    mount(path("health/", OfThree.as_view(checks=[Named, Down])))
    response = client.get("/health/")
    said = {"Named: the search": "OK", "Down": "unavailable: it is down"}
    assert (response.status_code, response.json()) == (500, {"list": said, "dict": said})


# -- what it says


@pytest.mark.parametrize("max_age", [0, 60])
def test_pretty_status__overridden(mount: Mount, client: Client, settings: Settings, max_age: int) -> None:
    """Words of the check's own are shown on every face where messages are, with what its run found, secrets masked."""
    settings.HEALTH_CHECK = {"MAX_AGE": max_age, "MAX_CONCURRENCY": 4}
    checks = [Versioned, Grumbling]
    mount(
        path("health/", HealthCheckView.as_view(checks=checks), name="health"),
        path("closed/", HealthCheckView.as_view(checks=checks, details="never"), name="closed"),
    )
    assert client.get("/closed/?format=json").json() == {"Versioned": "OK", "Grumbling": "warning"}
    for _ in range(2):
        said = client.get("/health/?format=json")
        assert said.status_code == 200
        assert said.json() == {
            "Versioned": "version 8.1 of https://***@search.example",
            "Grumbling": "1 problem(s)",
        }
    assert "Grumbling: 1 problem(s)" in client.get("/health/?format=text").text


class Unsayable(Up):
    """Cannot say how it is."""

    def pretty_status(self) -> str:
        raise ZeroDivisionError


def test_pretty_status__raises(mount_checks: Mount, client: Client) -> None:
    """A check that cannot say how it is has an error, and costs no answer."""
    mount_checks(Unsayable)
    response = client.get("/health/?format=json")
    assert (response.status_code, response.json()) == (500, {"Unsayable": "unknown error"})


@pytest.mark.parametrize(("kind", "text"), [(HealthCheckException, "unknown error: x"), (ServiceWarning, "warning: x")])
def test_exception__timestamp(kind: type[HealthCheckException], text: str) -> None:
    """An exception has a time: that of its making, unless one is given."""
    before = datetime.datetime.now(datetime.UTC)
    assert before <= kind("x").timestamp <= datetime.datetime.now(datetime.UTC)
    error = kind("x", timestamp=shapes.MOMENT)
    assert (error.timestamp, str(error), error.message) == (shapes.MOMENT, text, "x")


@pytest.mark.parametrize("max_age", [0, 60])
@pytest.mark.parametrize("form", ["rss", "atom"])
def test_feed__time_of_an_incident(
    mount_checks: Mount, client: Client, settings: Settings, form: str, max_age: int
) -> None:
    """A feed tells when an incident was, as its exception says; also from a record, and again."""
    settings.HEALTH_CHECK = {"MAX_AGE": max_age, "MAX_CONCURRENCY": 4}
    mount_checks(Incident)
    written = email.utils.format_datetime(shapes.MOMENT) if form == "rss" else shapes.MOMENT.isoformat()
    for _ in range(2):
        assert written in client.get(f"/health/?format={form}").text


class Instances(HealthCheckView):
    """Answers with the times of the errors."""

    def render_to_response_json(self, plugins: Any, status: int = 200) -> Any:
        return JsonResponse({label: plugin.errors[0].timestamp.isoformat() for label, plugin in plugins.items()})


def test_plugins__time_of_an_error(mount: Mount, client: Client) -> None:
    """The instances that a view gets have the errors' times."""
    mount(path("health/", Instances.as_view(checks=[Incident]), name="health"))
    assert client.get("/health/?format=json").json() == {"Incident": shapes.MOMENT.isoformat()}


# -- how it runs


class Old(HealthCheck):
    """Overrides ``run_check``, as checks of 3.x do."""

    def run_check(self) -> None:
        self.add_error("JSON Error")


def test_run_check__overridden(mount_checks: Mount, client: Client) -> None:
    """An overridden ``run_check`` is what runs; what it adds is told."""
    mount_checks(Old)
    assert client.get("/health/?format=json").json() == {"Old": "unknown error: JSON Error"}


@dataclasses.dataclass
class Sync(HealthCheck):
    """A sync check of 4.x, which remembers its thread."""

    threads: list[str] = dataclasses.field(default_factory=list, repr=False)

    def run(self) -> None:
        self.threads.append(threading.current_thread().name)


@dataclasses.dataclass
class Async(HealthCheck):
    """An async check of 4.x."""

    error: Exception | None = dataclasses.field(default=None, repr=False)

    async def run(self) -> None:
        if self.error is not None:
            raise self.error


@pytest.mark.parametrize(
    ("error", "text"),
    [(None, None), (ServiceUnavailable("x"), "unavailable: x"), (ZeroDivisionError("secret"), "unknown error")],
)
def test_get_result__async(error: Exception | None, text: str | None) -> None:
    """``get_result`` of 4.x tells the error and the time taken, and raises nothing."""
    result = asyncio.run(Async(error).get_result())
    assert isinstance(result, HealthCheckResult)
    assert isinstance(result.check, Async)
    assert (None if result.error is None else str(result.error)) == text
    assert 0 <= result.time_taken < 60


def test_get_result__sync_on_an_executor() -> None:
    """A sync check runs on the executor that is given, or on another thread, never on the loop's."""
    check = Sync()
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="given") as executor:
        assert asyncio.run(check.get_result(executor)).error is None
    asyncio.run(check.get_result())
    assert check.threads[0].startswith("given")
    assert threading.main_thread().name not in check.threads


@dataclasses.dataclass(repr=False)
class SyncSubclass(health_check.Database):
    """Adds to one of our checks what it wants, in the way of 4.x."""

    def run(self) -> None:
        super().run()
        raise ServiceUnavailable("and something else")


@dataclasses.dataclass(repr=False)
class AsyncSubclass(health_check.Cache):
    """The same, asynchronously."""

    async def run(self) -> None:
        await super().run()
        raise ServiceUnavailable(f"and something else, {type(caches['default']).__name__}")


@pytest.mark.django_db
@pytest.mark.parametrize("settled", [{}, {"MAX_CONCURRENCY": 4}])
def test_run__of_a_subclass_of_ours(
    mount_checks: Mount, client: Client, settings: Settings, settled: dict[str, Any]
) -> None:
    """A subclass of our checks that overrides ``run`` is never passed over for our ``check_status``."""
    settings.HEALTH_CHECK = settled
    mount_checks(AsyncSubclass, *([] if settled else [SyncSubclass]))
    said = client.get("/health/?format=json").json()
    assert said["AsyncSubclass"] == "unavailable: and something else, LocMemCache"
    assert settled or said["SyncSubclass"] == "unavailable: and something else"


class Helped(HealthCheck):
    """Has a helper of the name ``run`` beside a ``check_status`` of its own, as checks of 3.x may."""

    def check_status(self) -> None:
        self.run()

    def run(self) -> None:
        self.add_error("found by its helper")


class Helping(Helped):
    """Overrides the helper alone."""

    def run(self) -> None:
        super().run()
        self.add_error("and more")


def test_run__as_a_helper(mount_checks: Mount, client: Client) -> None:
    """A helper of the name ``run`` is the check's own affair."""
    mount_checks(Helped, Helping)
    said = client.get("/health/?format=json").json()
    assert ["found by its helper" in said[name] for name in ("Helped", "Helping")] == [True, True]


# -- what its subclasses override


class Listing(InMemoryStorage):
    """A storage in memory that writes down what is done with which file."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[str, str]] = []

    def _save(self, name: str, content: File[bytes]) -> str:
        self.done.append(("save", name))
        return str(super()._save(name, content))  # type: ignore[misc]

    def delete(self, name: str) -> None:
        super().delete(name)
        self.done.append(("delete", name))


@dataclasses.dataclass(repr=False)
class Bucket(health_check.Storage):
    """A storage check of 4.x: another storage by property, and steps of its own."""

    @property
    def storage(self) -> Any:
        """The storage."""
        return LISTING

    def check_delete(self, file_name: str) -> None:
        super().check_delete(file_name)
        LISTING.done.append(("own", file_name))


class Saving(Bucket):
    """Saves in a way of its own, and fails."""

    def check_save(self, file_name: str, file_content: bytes) -> str:
        super().check_save(file_name, file_content)
        raise ServiceUnavailable("not as it was")


LISTING = Listing()


def test_storage__hooks(mount_checks: Mount, client: Client) -> None:
    """``storage``, ``check_save`` and ``check_delete`` of subclasses are what runs, and no file is left."""
    LISTING.done.clear()
    mount_checks(Bucket, Saving)
    assert client.get("/health/?format=json").json() == {"Bucket": "OK", "Saving": "unavailable: not as it was"}
    assert sorted(what for what, _ in LISTING.done) == ["delete", "delete", "own", "save", "save"]
    assert not any(LISTING.exists(name) for _, name in LISTING.done)


class Hooked(health_check.Migrations):
    """Overrides what is not called here."""

    def get_migration_plan(self, executor: Any) -> list[Any]:
        """Say that there is nothing to do."""
        return []


class Labelled(Up):
    """Has labels of 4.x, and a result of its own."""

    labels = {"check": "x"}  # noqa: RUF012

    async def get_result(self, executor: Any = None) -> Any:
        """Say whatever it likes."""


def test_w020__hooks_that_are_not_called(mount_checks: Mount) -> None:
    """A check that overrides what is not called here is told, never silently OK."""
    mount_checks(Hooked, Labelled, Bucket)
    messages = check_hooks()
    assert ids(messages) == ["health_check.W020"] * 3
    assert [re.split(r"\.(?=\w+ )", message.msg)[1].split(" ")[0] for message in messages] == [
        *("get_migration_plan", "get_result", "labels"),
    ]


# -- options


@pytest.mark.parametrize(
    ("entry", "label"),
    [
        (("health_check.Cache", {"cache_key": "old"}), "CacheBackend"),
        (("health_check.Cache", {"alias": "default", "key_prefix": "new"}), "Cache"),
        (("health_check.cache.backends.CacheBackend", {"backend": "default"}), "CacheBackend"),
        (("health_check.Disk", {"path": "/", "max_disk_usage_percent": None}), "Disk(path='/')"),
        (("health_check.Memory", {"min_gibibytes_available": 0, "max_memory_usage_percent": None}), "Memory"),
        (("health_check.Mail", {"backend": "django.core.mail.backends.dummy.EmailBackend"}), None),
        (("health_check.Mail", {"timeout": datetime.timedelta(seconds=3)}), None),
        (("health_check.Database", {"alias": "default"}), "Database"),
        (("health_check.Storage", {"alias": "default"}), "Storage"),
    ],
)
@pytest.mark.django_db
def test_options__of_321_to_324(mount_checks: Mount, client: Client, entry: Any, label: str | None) -> None:
    """The options of those versions are taken under the names of those versions."""
    mount_checks(entry)
    [(found, said)] = client.get("/health/?format=json").json().items()
    assert found == (label or found)
    assert "misconfigured" not in said
    assert label is None or said == "OK"


def test_conf__of_3x(settings: Settings) -> None:
    """``health_check.conf.HEALTH_CHECK`` has the settings with the defaults of 3.x, live, and can be changed."""
    settings.HEALTH_CHECK = {"MEMORY_MIN": 50}
    with pytest.warns(DeprecationWarning, match="django.conf.settings"):
        from health_check.conf import HEALTH_CHECK
    assert (HEALTH_CHECK["MEMORY_MIN"], HEALTH_CHECK["DISK_USAGE_MAX"], HEALTH_CHECK["SUBSETS"]) == (50, 90, {})
    HEALTH_CHECK["WARNINGS_AS_ERRORS"] = False
    assert settings.HEALTH_CHECK == {"MEMORY_MIN": 50, "WARNINGS_AS_ERRORS": False}
    del HEALTH_CHECK["MEMORY_MIN"]
    assert {**HEALTH_CHECK}["MEMORY_MIN"] == 100


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"checks": []}, []), ({"checks": [Up, ("health_check.Cache", {"alias": "default"})]}, ["Up", "Cache"])],
)
def test_get_plugins__of_an_instance(options: dict[str, Any], expected: list[str]) -> None:
    """``get_plugins`` yields labels and instances; an empty list none; nothing stated the defaults."""
    assert [label for label, _ in HealthCheckView(**options).get_plugins()] == expected
    assert len(list(HealthCheckView().get_plugins())) == 6
