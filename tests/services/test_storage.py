"""The check of a file storage, on real file systems."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from pytest_django import Settings

from health_check import Storage
from tests.support.checked import RUNS, errors_of, nothing_left
from tests.support.mounts import Mounted, mounted
from tests.support.repetitions import times
from tests.support.servers import as_nobody, clean_environment, for_everybody
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

CANNOT = "unavailable: cannot save a file (OSError: "

Fault = Callable[[Mounted], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mounted]:
    """A small file system with a file of the site's in it."""
    with mounted(tmp_path_factory.mktemp("disk")) as disk:
        (disk.folder / "picture.png").write_bytes(b"picture")
        yield disk


@pytest.fixture
def check(disk: Mounted, settings: Settings) -> Storage:
    """A check of a storage on it."""
    backend = "django.core.files.storage.FileSystemStorage"
    settings.STORAGES = {"default": {"BACKEND": backend, "OPTIONS": {"location": str(disk.folder)}}}
    return Storage()


@pytest.mark.parametrize("fault", [Mounted.read_only, Mounted.full, Mounted.full_of_names])
def test_check__cannot_save(disk: Mounted, check: Storage, fault: Fault) -> None:
    """Where nothing can be saved that is told, without the place; many runs leave no file, and then all is well."""
    assert errors_of(check) == []
    with fault(disk):
        before = disk.names()
        [error] = errors_of(check)
        with nothing_left():
            for _ in range(times(200, least=80)):  # the disk has room for fewer files than these
                check.run_check()
                assert [str(found) for found in check.errors] == [error]
        assert disk.names() == before
    assert error in (f"{CANNOT}{words})" for words in ("Read-only file system", "No space left on device"))
    assert str(disk.place) not in error
    assert errors_of(check) == []
    assert disk.names() == ["picture.png"]


def test_check__file_system_that_is_gone(tmp_path: pathlib.Path, settings: Settings) -> None:
    """A storage whose file system is no more there is told."""
    with mounted(tmp_path) as disk:
        options = {"location": str(disk.folder)}
    settings.STORAGES = {"default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}}
    [error] = errors_of(Storage())
    assert error.startswith("unavailable: cannot save a file (")


@pytest.mark.long  # starts Django twice, as a user without rights
def test_check__folder_of_somebody_else(tmp_path: pathlib.Path) -> None:
    """A folder that the site's user may not write to is told, without its path; and nothing more once it may."""
    site = Site(folder=tmp_path, checks=["health_check.Storage"])
    for_everybody(site)
    media = site.folder / "media"
    media.chmod(0o555)
    assert command_says(site) == ({"Storage": "unavailable: cannot save a file (PermissionError)"}, 1)
    media.chmod(0o777)
    assert command_says(site) == ({"Storage": "OK"}, 0)
    assert list(media.iterdir()) == []


def command_says(site: Site) -> tuple[dict[str, str], int]:
    """Return what the command says of a site as a user without rights, and its exit code."""
    command = [*as_nobody(), sys.executable, "-m", "django", "health_check", "--fresh", "--format=json"]
    environment = {**clean_environment(), **site.environment()}
    ran = subprocess.run(command, cwd=site.folder, env=environment, capture_output=True, text=True, check=False)
    assert str(site.folder) not in ran.stdout
    assert "media" not in ran.stdout + ran.stderr
    said: dict[str, str] = json.loads(ran.stdout)
    return said, ran.returncode


def test_check__leaves_nothing(disk: Mounted, check: Storage) -> None:
    """After many runs there is no file, thread or open file that was not there before."""
    assert errors_of(check) == []
    with nothing_left():
        for _ in range(RUNS):
            check.run_check()
    assert disk.names() == ["picture.png"]
    assert (disk.folder / "picture.png").read_bytes() == b"picture"
