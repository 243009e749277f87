"""A site of django-health-check 3.x, as it is configured there."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from typing import Any

import pytest
from pytest_django import Settings

import health_check
from health_check.compat import names
from health_check.compat.apps import config_of
from tests.support.servers import clean_environment

SETTINGS = """
SECRET_KEY = "tests"
ROOT_URLCONF = "shop_urls"
INSTALLED_APPS = {apps}
USE_TZ = True
ALLOWED_HOSTS = ["*"]
TEMPLATES = [{{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}}]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
CACHES = {{
    name: {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}}
    for name in ("default", "sessions")
}}
HEALTH_CHECK = {{"MAX_CONCURRENCY": 0, "MAX_AGE": 60}}
"""

URLS = """
from django.urls import include, path

urlpatterns = [path("health/", include("health_check.urls"))]
"""

SHOP = """
from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        from health_check.plugins import plugin_dir
        from shop.checks import Search
        plugin_dir.register(Search, index="books")
"""

CHECKS = """
import dataclasses
from health_check.backends import BaseHealthCheckBackend
from health_check.exceptions import ServiceUnavailable


class Search(BaseHealthCheckBackend):
    def __init__(self, index):
        super().__init__()
        self.index = index

    def check_status(self):
        self.add_error(ServiceUnavailable(f"no index {self.index}"))

    def identifier(self):
        return "The search"
"""

ASK = """
import json, warnings
warnings.simplefilter("default")
import django
django.setup()
from django.core.checks import run_checks
from django.core.management import call_command, get_commands
from django.test import Client
call_command("makemigrations", "--check", verbosity=0)
print(json.dumps({
    "said": Client().get("/health/?format=json").json(),
    "type": Client().get("/health/").headers["Content-Type"],
    "commands": [app for name, app in get_commands().items() if name.startswith("health_")],
    "messages": [f"{each.id} {each.msg} {each.hint}" for each in run_checks(tags=["health_check"])],
}))
"""


def answer(folder: pathlib.Path, apps: list[str]) -> tuple[dict[str, Any], str]:
    """Return what a site with these apps says: its page, its commands, the system checks; and what it prints."""
    (folder / "shop").mkdir()
    files = {"shop_settings.py": SETTINGS.format(apps=apps), "shop_urls.py": URLS, "ask.py": ASK}
    files |= {"shop/__init__.py": "", "shop/apps.py": SHOP, "shop/checks.py": CHECKS}
    for name, text in files.items():
        (folder / name).write_text(text)
    environment = clean_environment()
    environment |= {"PYTHONPATH": f"{environment['PYTHONPATH']}:{folder}", "DJANGO_SETTINGS_MODULE": "shop_settings"}
    done = subprocess.run(
        [sys.executable, "ask.py"],
        cwd=folder,
        env={**environment, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_apps__all(tmp_path: pathlib.Path) -> None:
    """A site with all apps, by the paths of their configurations, checks what they checked; the commands are ours."""
    site, printed = answer(tmp_path, ["health_check", *(f"{app}.apps.HealthCheckConfig" for app in names.APPS)])
    added = [
        f"{name}HealthCheck"
        for name in ("CeleryPing", "Migrations", "RabbitMQ", "Redis", "S3Boto3Storage", "S3BotoStorage")
    ]
    ours = ["Cache", "Cache(alias='sessions')", "Database", "Disk", "Mail", "Memory", "Storage"]
    assert sorted(site["said"]) == sorted([*ours, *added])
    assert site["type"].startswith("text/html")
    assert set(site["commands"]) == {"health_check"}
    for app in names.APPS:
        assert f"DeprecationWarning: {app} in INSTALLED_APPS is an app of django-health-check 3.x." in printed


OLD = {
    "health_check.db": ["Database"],
    "health_check.cache": ["Cache", "Cache(alias='sessions')"],
    "health_check.storage": ["Storage"],
    "health_check.contrib.migrations": ["MigrationsHealthCheck"],
    "health_check.contrib.psutil": ["Disk", "Memory"],
}


def test_apps__their_checks_and_no_others(tmp_path: pathlib.Path) -> None:
    """A site has the checks of the apps that it names, and those that it registers; each is told what to do instead."""
    site, _ = answer(tmp_path, ["health_check", *OLD, "shop"])
    said = site["said"]
    assert list(said) == [*(label for labels in OLD.values() for label in labels), "The search"]
    assert said.pop("The search") == "unavailable: no index books"
    assert set(said.values()) == {"OK"}  # though no mail server is there
    told = [message for message in site["messages"] if message.startswith("health_check.W014")]
    assert len(told) == len(OLD) + 2
    assert "name health_check.Database in the `checks`" in told[0]
    assert "shop.checks.Search is added with plugin_dir.register()" in told[-2]


def test_apps__without_the_main_one(tmp_path: pathlib.Path) -> None:
    """Where only apps of 3.x are installed the endpoint works, and system checks run; there are no commands."""
    site, _ = answer(tmp_path, ["health_check.db"])
    assert (site["said"], site["commands"]) == ({"Database": "OK"}, [])
    assert [message.partition(" ")[0] for message in site["messages"]] == ["health_check.W014"] * 3
    assert "but not health_check: there are no commands." in site["messages"][1]


@pytest.mark.parametrize(
    ("configured", "checks"),
    [
        ({"DISK_USAGE_MAX": None}, ["health_check.Memory"]),
        ({"DISK_USAGE_MAX": None, "MEMORY_MIN": None}, []),
        ({"DISK_USAGE_MAX": 90}, ["health_check.Disk", "health_check.Memory"]),
    ],
)
def test_apps__switched_off(configured: dict[str, Any], checks: list[str], settings: Settings) -> None:
    """A limit that is None left the check of psutil out."""
    settings.HEALTH_CHECK = configured
    config: Any = config_of("health_check.contrib.psutil")("health_check.contrib.psutil", health_check)
    assert [path for path, _ in config.entries()] == checks
