"""The default file: where it is, whose it is, and which settings make it another one."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import tempfile

import pytest
from django.core.cache import caches
from django.db import connections
from django.db.utils import ConnectionHandler
from pytest_django import Settings

from health_check.stores import StoreError, permissions, sqlite_file
from tests.support.peer import peer

needs_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")

SITE_SETTINGS = """
import json, os, pathlib
from tests.settings import *
BASE_DIR = pathlib.Path("/srv/site")
DATABASES = json.loads(os.environ["DATABASES_OF_THE_TEST"])
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"b": {1, 2}, "a": {"x"}}}}
"""


@pytest.fixture(autouse=True)
def temp(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder for temporary files of this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_default_path__is_the_user_s_and_the_site_s(temp: pathlib.Path) -> None:
    """The folder is named by the user, the file by the site; nothing is made by asking."""
    path = sqlite_file.default_path(7)
    assert path.parent == temp / f"django-health-check-{os.geteuid()}"
    assert path.name == f"{sqlite_file.site()}.v7.sqlite3"
    assert len(sqlite_file.site()) == 32
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "another"),
        ("BASE_DIR", pathlib.Path("/srv/other")),
        ("BASE_DIR", "/srv/other"),
        ("SETTINGS_MODULE", "other.settings"),
        ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}),
    ],
)
def test_site__another_one(settings: Settings, name: str, value: object) -> None:
    """What makes another site makes another file."""
    before = sqlite_file.site()
    setattr(settings, name, value)
    assert sqlite_file.site() != before


@pytest.mark.parametrize("change", [{"NAME": "other"}, {"HOST": "db"}, {"PASSWORD": "other"}])
def test_site__another_database(monkeypatch: pytest.MonkeyPatch, change: dict[str, str]) -> None:
    """The databases of a site are a part of it."""
    before = sqlite_file.site()
    monkeypatch.setattr(
        connections, "settings", ConnectionHandler({"default": {**connections.settings["default"], **change}}).settings
    )
    assert sqlite_file.site() != before


def test_site__values_without_a_text_of_their_own(settings: Settings) -> None:
    """Objects are told by their class, not by where in memory they happen to be."""

    def site_with(value: object) -> str:
        settings.CACHES = {"default": {**caches.settings["default"], "OPTIONS": {"object": value}}}
        return sqlite_file.site()

    assert site_with(object()) == site_with(object())
    assert site_with([1, 2]) != site_with([2, 1])
    assert site_with({"b": 1, "a": 2}) == site_with({"a": 2, "b": 1})


def test_site__other_process_other_environment(temp: pathlib.Path) -> None:
    """A service, a cron job and a shell have one file, whatever else their environments say."""
    (temp / "site_of_the_test.py").write_text(SITE_SETTINGS)
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": "a", "OPTIONS": {"x": 1, "y": {"z": 2, "w": 3}}}
    reordered = {"OPTIONS": {"y": {"w": 3, "z": 2}, "x": 1}, **database}
    environments = [
        {"PYTHONHASHSEED": "1", "HOME": "/root", "LANG": "C", "DATABASES": json.dumps({"default": database})},
        {"PYTHONHASHSEED": "2", "HOME": "/", "TZ": "Asia/Tokyo", "DATABASES": json.dumps({"default": reordered})},
        {"DATABASES": json.dumps({"default": {**database, "NAME": "b"}})},
    ]
    sites = [site_of(temp, **environment) for environment in environments]
    assert sites[0] == sites[1]
    assert sites[0] != sites[2]


def site_of(place: pathlib.Path, *, DATABASES: str, **environment: str) -> str:  # noqa: N803 - a setting
    """Return the site that a process of its own has."""
    paths = os.pathsep.join([str(place), *_python_path()])
    variables = {"DATABASES_OF_THE_TEST": DATABASES, "DJANGO_SETTINGS_MODULE": "site_of_the_test", "PYTHONPATH": paths}
    with peer(None, environment={**environment, **variables}) as other:
        found: str = other.call("site")
        return found


def _python_path() -> list[str]:
    root = pathlib.Path(__file__).parents[3]
    return [str(root), str(root / "exporters")]


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
    with pytest.raises(StoreError, match="is open to other users: chmod 700 it"):
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
    with pytest.raises(StoreError, match="is no folder, but a link or a file: remove it, or give HEALTH_CHECK"):
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
