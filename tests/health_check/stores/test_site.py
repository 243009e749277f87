"""What tells a site from others: its name, or what makes it, and nothing that is secret or another in each process."""

from __future__ import annotations

import json
import os
import pathlib

import pytest
from django.db import connections
from django.db.utils import ConnectionHandler
from pytest_django import Settings

from health_check.stores import site as module
from health_check.stores.site import facts, looks_like_a_release, site
from tests.support.peer import peer

SITE_SETTINGS = """
import json, os, pathlib, secrets
from tests.settings import *
SECRET_KEY = secrets.token_hex(16)
BASE_DIR = pathlib.Path("/srv/site")
DATABASES = json.loads(os.environ["DATABASES_OF_THE_TEST"])
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "OPTIONS": {"a": object()}}}
"""
REDIS = "django.core.cache.backends.redis.RedisCache"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BASE_DIR", pathlib.Path("/srv/other")),
        ("BASE_DIR", "/srv/other"),
        ("SETTINGS_MODULE", "other.settings"),
        ("CACHES", {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}),
        ("CACHES", {"default": {"BACKEND": REDIS, "LOCATION": ["redis://a:6379/1", "redis://b:6379/1"]}}),
        ("HEALTH_CHECK", {"SITE": "shop"}),
    ],
)
def test_site__another_one(settings: Settings, name: str, value: object) -> None:
    """What makes another site makes another one of this."""
    before = site()
    setattr(settings, name, value)
    assert site() != before
    assert len(site()) == 32


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("redis://user:one@db:6379/1?timeout=1", "redis://:two@db:6379/1", True),
        ("redis://db:6379/1", "redis://db:6379/2", False),
        ("redis://db:6379/1", "redis://other:6379/1", False),
        ("rediss://db:6379/1", "redis://db:6379/1", False),
        (["a:11211", "b:11211"], "b:11211;a:11211", True),
        ("/srv/one", "/srv/two", False),
        (None, "", True),
    ],
)
def test_site__of_a_cache(settings: Settings, first: object, second: object, same: bool) -> None:
    """A cache is told by where it is: who asks there, and how, is none of that."""
    sites = []
    for location in (first, second):
        settings.CACHES = {"default": {"BACKEND": REDIS, "LOCATION": location, "OPTIONS": {"password": os.urandom(4)}}}
        sites.append(site())
    assert (sites[0] == sites[1]) is same


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"NAME": "other"}, False),
        ({"HOST": "db"}, False),
        ({"PORT": 5433}, False),
        ({"ENGINE": "django.db.backends.postgresql"}, False),
        ({"PASSWORD": "other"}, True),
        ({"USER": "other"}, True),
        ({"OPTIONS": {"service": object()}}, True),
        ({"OPTIONS": {"sslmode": "require", "passfile": "/other"}}, True),
        ({"OPTIONS": {"service": "tenant_b"}}, False),
        ({"OPTIONS": {"read_default_file": pathlib.Path("/etc/mysql/tenant_b.cnf")}}, False),
        ({"OPTIONS": {"options": "-c search_path=tenant_b"}}, False),
        ({"OPTIONS": None}, True),
    ],
)
def test_site__of_a_database(monkeypatch: pytest.MonkeyPatch, change: dict[str, object], same: bool) -> None:
    """Staging and production of one checkout differ by their databases, which are told by where they are."""
    before = site()
    databases = {"default": {**connections.settings["default"], **change}}
    monkeypatch.setattr(connections, "settings", ConnectionHandler(databases).settings)
    assert (site() == before) is same


def test_site__with_a_name__is_that_alone(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that is named is told by nothing else."""
    settings.HEALTH_CHECK = {"SITE": "shop"}
    before = site()
    monkeypatch.setattr(module, "facts", lambda: ["something else"])
    assert site() == before
    settings.HEALTH_CHECK = {"SITE": "shop-staging"}
    assert site() != before


def test_facts__nothing_secret(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No user, password, key or option is in what makes a site."""
    settings.SECRET_KEY = "hidden"
    settings.CACHES = {
        "default": {"BACKEND": REDIS, "LOCATION": "redis://hidden:hidden@db", "OPTIONS": {"x": "hidden"}}
    }
    database = {"ENGINE": "django.db.backends.postgresql", "USER": "hidden", "PASSWORD": "hidden", "NAME": "shop"}
    monkeypatch.setattr(connections, "settings", ConnectionHandler({"default": database}).settings)
    assert "hidden" not in " ".join(facts())


def test_site__other_process_other_environment(tmp_path: pathlib.Path) -> None:
    """A service, a cron job and a shell are one site, whatever else their environments say, and whatever their keys."""
    (tmp_path / "site_of_the_test.py").write_text(SITE_SETTINGS)
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": "a", "OPTIONS": {"x": 1, "y": {"z": 2, "w": 3}}}
    environments = [
        {"PYTHONHASHSEED": "1", "HOME": "/root", "LANG": "C", "DATABASES": json.dumps({"default": database})},
        {"PYTHONHASHSEED": "2", "HOME": "/", "TZ": "Asia/Tokyo", "DATABASES": json.dumps({"default": database})},
    ]
    first, second = (site_of(tmp_path, **environment) for environment in environments)
    assert first == second


def site_of(place: pathlib.Path, *, DATABASES: str, **environment: str) -> str:  # noqa: N803 - a setting
    """Return the site that a process of its own has."""
    root = pathlib.Path(__file__).parents[3]
    paths = os.pathsep.join([str(place), str(root), str(root / "exporters")])
    variables = {"DATABASES_OF_THE_TEST": DATABASES, "DJANGO_SETTINGS_MODULE": "site_of_the_test", "PYTHONPATH": paths}
    with peer(None, environment={**environment, **variables}) as other:
        found: str = other.call("site")
        return found


@pytest.mark.parametrize(
    ("folder", "is_release"),
    [
        ("/srv/shop/releases/20261127103000", True),
        ("/srv/shop/releases/current-of-today", True),
        ("/srv/shop-20261127", True),
        ("/srv/shop-2026-11-27_1030", True),
        ("/opt/shop/1.4.2", True),
        ("/opt/shop/v2.0/src", True),
        ("/srv/4f2a9c1d/shop", True),
        ("/srv/shop", False),
        ("/home/user1/shop", False),
        ("/app", False),
        ("/usr/lib/python3.11/shop", False),
        ("/srv/facade", False),
        ("/srv/shop/2026", False),
        ("", False),
    ],
)
def test_looks_like_a_release(folder: str, is_release: bool) -> None:
    """A folder that is named after a date, a version or a commit is another one after the next deploy."""
    assert looks_like_a_release(folder) is is_release
