"""What the checks of django-health-check promise about services that fail, under the names of 3.x and of 4.x."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
from django.core.cache.backends.base import CacheKeyWarning
from django.core.cache.backends.locmem import LocMemCache
from django.core.files.base import File
from django.core.files.storage import Storage as DjangoStorage
from django.test import Client
from django.utils.module_loading import import_string
from pytest_django import Settings

from tests.conftest import Mount

pytestmark = pytest.mark.filterwarnings("ignore:health_check.*is deprecated:DeprecationWarning")

CACHES = ["health_check.cache.backends.CacheBackend", "health_check.Cache"]
STORAGES = [
    *(
        "health_check.storage.backends.StorageHealthCheck",
        "health_check.storage.backends.DefaultFileStorageHealthCheck",
    ),
    *("health_check.contrib.s3boto3_storage.backends.S3Boto3StorageHealthCheck", "health_check.Storage"),
]


class Forgetful(LocMemCache):
    """Takes everything and keeps nothing."""

    def set(self, *args: Any, **kwargs: Any) -> None:
        """Forget."""


class Unreachable(LocMemCache):
    """Cannot be reached."""

    def set(self, *args: Any, **kwargs: Any) -> None:
        raise ConnectionRefusedError


class Choosy(LocMemCache):
    """Warns of keys, where warnings are errors."""

    def set(self, *args: Any, **kwargs: Any) -> None:
        raise CacheKeyWarning("the key is too long")


def backend(of: type) -> str:
    """Return the dotted path of a class here."""
    return f"{__name__}.{of.__name__}"


@pytest.mark.parametrize("check", CACHES)
@pytest.mark.parametrize(
    ("cache", "kind"), [(Forgetful, "unavailable"), (Unreachable, "unavailable"), (Choosy, "unexpected result")]
)
def test_cache__fails(
    mount_checks: Mount, client: Client, settings: Settings, check: str, cache: type, kind: str
) -> None:
    """A cache that loses, refuses or warns is told, by its kind of error; the check of another alias is not touched."""
    settings.CACHES = {"default": {"BACKEND": backend(LocMemCache)}, "broken": {"BACKEND": backend(cache)}}
    mount_checks((check, {"alias": "default"}), (check, {"alias": "broken"}))
    response = client.get("/health/?format=json")
    well, failing = response.json().values()
    assert (response.status_code, well, failing.partition(":")[0]) == (500, "OK", kind)


class Shelf(DjangoStorage):
    """Keeps files in memory."""

    files: dict[str, bytes] = {}  # noqa: RUF012

    def _save(self, name: str, content: File[bytes]) -> str:
        self.files[name] = content.read()
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return File(io.BytesIO(self.files[name]))

    def exists(self, name: str) -> bool:
        return name in self.files

    def delete(self, name: str) -> None:
        self.files.pop(name, None)


class Losing(Shelf):
    """Takes files and keeps none."""

    def _save(self, name: str, content: File[bytes]) -> str:
        return name


class Keeping(Shelf):
    """Deletes nothing."""

    def delete(self, name: str) -> None:
        """Keep it."""


class Garbling(Shelf):
    """Gives back something else."""

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        return File(io.BytesIO(b"something else"))


class Refusing(Shelf):
    """Takes nothing."""

    def _save(self, name: str, content: File[bytes]) -> str:
        raise PermissionError


@pytest.mark.parametrize("check", STORAGES)
@pytest.mark.parametrize("storage", [Shelf, Losing, Keeping, Garbling, Refusing])
def test_storage__fails(
    mount_checks: Mount, client: Client, settings: Settings, check: str, storage: type[Shelf]
) -> None:
    """A storage of any class that loses, keeps, garbles or refuses files is unavailable."""
    Shelf.files.clear()
    settings.STORAGES = {"default": {"BACKEND": backend(storage)}}
    mount_checks(check)
    response = client.get("/health/?format=json")
    [said] = response.json().values()
    expected = (200, "OK") if storage is Shelf else (500, "unavailable")
    assert (response.status_code, said.partition(":")[0]) == expected


@pytest.mark.parametrize(("path", "word"), [(backend(Losing), "not there"), ("no.such.Storage", "cannot be used")])
def test_storage__of_a_path(mount_checks: Mount, client: Client, path: str, word: str) -> None:
    """A subclass that names its backend, as the guide of 3.16 says, has that one checked: not the default one."""
    base = import_string(STORAGES[0])
    mount_checks(type("Backup", (base,), {"storage": path}))
    assert word in client.get("/health/?format=json").json()["Backup"]


@pytest.mark.parametrize("limit", [0, None])
def test_psutil__no_limit(mount_checks: Mount, client: Client, settings: Settings, limit: float | None) -> None:
    """A limit of 0 is none, as an option and as a setting of 3.x."""
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": limit}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        mount_checks(
            "health_check.contrib.psutil.backends.DiskUsage",
            ("health_check.Disk", {"path": "/", "max_disk_usage_percent": limit}),
            ("health_check.Memory", {"max_memory_usage_percent": limit}),
            ("health_check.contrib.psutil.CPU", {"max_usage_percent": limit}),
        )
        assert set(client.get("/health/?format=json").json().values()) == {"OK"}
