"""The default file: where it is, and whose it is."""

from __future__ import annotations

import os
import pathlib
import stat
import tempfile

import pytest

from health_check.stores import StoreError, permissions, sqlite_file
from health_check.stores.site import site

needs_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def temp(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder for temporary files of this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_default_path__is_the_user_s_and_the_site_s(temp: pathlib.Path) -> None:
    """The folder is named by the user, the file by the site; nothing is made by asking."""
    path = sqlite_file.default_path(7)
    assert path.parent == temp / f"django-health-check-{os.geteuid()}"
    assert path.name == f"{site()}.v7.sqlite3"
    assert len(site()) == 32
    assert list(temp.iterdir()) == []


def test_require_safe__makes_it(temp: pathlib.Path) -> None:
    """A folder that is made is for its user alone, whatever the umask; one that is there already is kept."""
    place = temp / "place"
    before = os.umask(0)
    try:
        permissions.require_safe_folder(place)
    finally:
        os.umask(before)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    permissions.require_safe_folder(place)
    assert permissions.problem_of_folder(place) == ""


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o777])
def test_require_safe__loose_mode(temp: pathlib.Path, mode: int) -> None:
    """A folder that others can look into, or write to, is refused: they may have put something there."""
    place = temp / "place"
    place.mkdir()
    place.chmod(mode)
    with pytest.raises(StoreError, match="is accessible to other users: chmod 700 it"):
        permissions.require_safe_folder(place)


@pytest.mark.parametrize("kind", ["link", "file", "link to nothing"])
def test_require_safe__no_folder(temp: pathlib.Path, kind: str) -> None:
    """What is a link, wherever it leads, or a file is refused."""
    place, target = temp / "place", temp / "target"
    if kind == "file":
        place.touch(mode=0o700)
    else:
        place.symlink_to(target)
    if kind == "link":
        target.mkdir(mode=0o700)
    with pytest.raises(StoreError, match="is not a folder, but a link or a file: remove it, or give HEALTH_CHECK"):
        permissions.require_safe_folder(place)
    assert not target.exists() or list(target.iterdir()) == []


def test_require_safe__cannot_be_made(temp: pathlib.Path) -> None:
    """Where no folder can be made the error says which one and why."""
    with pytest.raises(StoreError, match="place cannot be made: No such file"):
        permissions.require_safe_folder(temp / "missing" / "place")


def test_problem_of__nothing_there(temp: pathlib.Path) -> None:
    """What is not there is no problem: it will be made."""
    assert permissions.problem_of_folder(temp / "missing") == ""
    assert permissions.trust_in(temp).problem_of(temp / "missing") == ""
