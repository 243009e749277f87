"""A place for the records that somebody else has prepared is not used, and nothing of theirs is touched."""

from __future__ import annotations

import os
import pathlib
import stat
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.client import get
from tests.support.observer import METRICS, Observer
from tests.support.repetitions import long
from tests.support.servers import (
    as_nobody,
    await_output,
    clean_environment,
    for_everybody,
    site_under_gunicorn,
    site_under_wrapped_gunicorn,
)
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

WORKERS = 2
ARGUMENTS = [f"--workers={WORKERS}", "--threads=1"]
LABELS = ["Counting", "Flip"]
NOBODY = 65534

REMEDIES = ("remove it", "chmod 700 it")
"""What the log says is to be done."""


def site_of(folder: pathlib.Path) -> Site:
    """Return a site whose records are in the default file."""
    return Site(folder=folder, checks=[f"tests.support.site.checks.{label}" for label in LABELS])


def default_path(site: Site) -> pathlib.Path:
    """Return where a site has its records unless configured."""
    code = (
        "import django; django.setup(); from health_check.stores.sqlite import SQLiteStore; print(SQLiteStore().path)"
    )
    environment = {**clean_environment(), **site.environment()}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return pathlib.Path(done.stdout.strip())


def folder_of_another_user(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir(mode=0o700)
    os.chown(path.parent, NOBODY, NOBODY)
    return path.parent


def folder_that_is_a_link(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.symlink_to(precious)
    return path.parent


def folder_that_is_a_file(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.write_text("precious")
    return path.parent


def folder_open_to_all(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir()
    path.parent.chmod(0o777)
    return path.parent


def file_that_is_a_link(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(precious / "file")
    return path


def file_that_is_a_link_to_nothing(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir(mode=0o700)
    path.symlink_to(precious / "nothing")
    return path


def file_with_another_name(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir(mode=0o700)
    path.hardlink_to(precious / "file")
    return path


def file_of_another_user(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir(mode=0o700)
    path.touch()
    os.chown(path, NOBODY, NOBODY)
    return path


def file_that_is_a_pipe(path: pathlib.Path, precious: pathlib.Path) -> pathlib.Path:
    path.parent.mkdir(mode=0o700)
    os.mkfifo(path)
    return path


TRAPS = [
    folder_of_another_user,
    folder_that_is_a_link,
    folder_that_is_a_file,
    folder_open_to_all,
    file_that_is_a_link,
    file_that_is_a_link_to_nothing,
    file_with_another_name,
    file_of_another_user,
    file_that_is_a_pipe,
]

SELDOM = set(TRAPS) - {folder_of_another_user, file_that_is_a_link, file_that_is_a_pipe}
"""What only ``make test-long`` meets under a server: what is safe to use is tested without one."""


@pytest.mark.parametrize("trap", [long(trap) if trap in SELDOM else trap for trap in TRAPS])
def test_hostile_place__is_not_used(
    tmp_path: pathlib.Path, trap: Callable[[pathlib.Path, pathlib.Path], pathlib.Path]
) -> None:
    """The site works from memory, the log names the place and what to do, and nothing there or behind is touched."""
    if os.geteuid() != 0:
        pytest.skip("Only root can make what belongs to others")
    site = site_of(tmp_path)
    precious = tmp_path / "precious"
    precious.mkdir(mode=0o700)
    (precious / "file").write_text("precious")
    path = default_path(site)
    place = trap(path, precious)
    before = [inventory(folder) for folder in (precious, path.parent)]

    with site_under_gunicorn(site, *ARGUMENTS) as server:
        observer = Observer(server, tmp_path, LABELS)
        with observer.watching():
            observer.await_down()
        observer.assert_right(observer.seen)
        assert not any(seen.store_up or seen.runs for seen in observer.seen)
        warnings = [line for line in server.output().splitlines() if "cannot be used" in line]
        assert len(warnings) <= WORKERS
        for warning in warnings:
            assert str(place) in warning
            assert any(remedy in warning for remedy in REMEDIES), warning
        assert "Traceback" not in server.output()

    assert [inventory(folder) for folder in (precious, path.parent)] == before


def inventory(place: pathlib.Path) -> dict[str, tuple[object, ...]]:
    """Return what there is at a place, and in it: kind, mode, owner, time of change, size, content."""
    found: dict[str, tuple[object, ...]] = {}
    inside = sorted(place.iterdir()) if place.is_dir() else []
    for file in (place, *inside):
        status = file.lstat()
        content = file.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(file)] = (status.st_mode, status.st_uid, status.st_mtime_ns, status.st_size, content)
    return found


def test_two_users__have_records_of_their_own(tmp_path: pathlib.Path) -> None:
    """The same site run by two users has a folder for each, which nobody else may enter."""
    site = site_of(tmp_path)
    for_everybody(site)
    places = tmp_path / "tmp"
    places.chmod(0o1777)
    with (
        site_under_wrapped_gunicorn(site, as_nobody(), *ARGUMENTS) as nobodys,
        site_under_gunicorn(site, *ARGUMENTS) as roots,
    ):
        for server in (nobodys, roots):
            await_output(server, "Listening at")
            assert get(f"{server.url}/health/", format="json").status == 200
            assert "django_health_check_store_up 1.0" in get(server.url + METRICS).body
            assert "cannot be used" not in server.output()

    folders = {folder.stat().st_uid: folder for folder in places.glob("django-health-check-*")}
    assert {uid: folder.name for uid, folder in folders.items()} == {
        uid: f"django-health-check-{uid}" for uid in (0, NOBODY)
    }
    for uid, folder in folders.items():
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [file.suffix for file in folder.iterdir()].count(".sqlite3") == 1
        for file in folder.iterdir():
            assert (file.stat().st_uid, stat.S_IMODE(file.stat().st_mode)) == (uid, 0o600)
