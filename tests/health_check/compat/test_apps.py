"""A site of django-health-check 3.x, as it is configured there."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from health_check.compat import names
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
HEALTH_CHECK = {{"MAX_CONCURRENCY": 0}}
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
import json, sys, warnings
warnings.simplefilter("default")
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("makemigrations", "--check", verbosity=0)
print(json.dumps(Client().get("/health/?format=json").json()))
print(json.dumps(Client().get("/health/").headers["Content-Type"]))
"""

DEFAULT = ["Cache", "Database", "Disk", "Mail", "Memory", "Storage"]


def run(folder: pathlib.Path, apps: list[str], *arguments: str, settings: str = "") -> subprocess.CompletedProcess[str]:
    """Run Python for a site with these apps."""
    (folder / "shop").mkdir(exist_ok=True)
    files = {"shop_settings.py": SETTINGS.format(apps=apps) + settings, "shop_urls.py": URLS, "ask.py": ASK}
    files |= {"shop/__init__.py": "", "shop/apps.py": SHOP, "shop/checks.py": CHECKS}
    for name, text in files.items():
        (folder / name).write_text(text)
    environment = clean_environment()
    environment |= {"PYTHONPATH": f"{environment['PYTHONPATH']}:{folder}", "DJANGO_SETTINGS_MODULE": "shop_settings"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**environment, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def answer(folder: pathlib.Path, apps: list[str], settings: str = "") -> tuple[dict[str, str], str]:
    """Return what the page of a site with these apps says as JSON, and what was printed besides."""
    done = run(folder, apps, "ask.py", settings=settings)
    assert done.returncode == 0, done.stderr
    said, html = (json.loads(line) for line in done.stdout.splitlines()[-2:])
    assert html.startswith("text/html")
    return said, done.stderr


def test_apps__all(tmp_path: pathlib.Path) -> None:
    """A site with all apps starts, serves its page, and checks what the apps checked."""
    said, printed = answer(tmp_path, ["health_check", *names.APPS])
    added = [
        f"{name}HealthCheck"
        for name in ("CeleryPing", "Migrations", "RabbitMQ", "Redis", "S3Boto3Storage", "S3BotoStorage")
    ]
    assert sorted(said) == sorted([*DEFAULT, "Cache(alias='sessions')", *added])
    assert said["Cache(alias='sessions')"] == "OK"
    for app in names.APPS:
        assert f"DeprecationWarning: {app} in INSTALLED_APPS is an app of django-health-check 3.x." in printed


def test_apps__configuration_by_path(tmp_path: pathlib.Path) -> None:
    """Each app may be named by the path of its configuration."""
    apps = [f"{app}.apps.HealthCheckConfig" for app in names.APPS]
    done = run(tmp_path, ["health_check", *apps], "-m", "django", "check")
    assert done.returncode == 0, done.stderr
    for app in names.APPS:
        assert f"{app} in INSTALLED_APPS" in done.stderr


OLD = {
    "health_check.db": ["Database"],
    "health_check.cache": ["Cache", "Cache(alias='sessions')"],
    "health_check.storage": ["Storage"],
    "health_check.contrib.migrations": ["MigrationsHealthCheck"],
    "health_check.contrib.psutil": ["Disk", "Memory"],
}


@pytest.mark.parametrize("apps", [["health_check.contrib.psutil"], list(OLD)], ids=["one", "all"])
def test_apps__their_checks_and_no_others(tmp_path: pathlib.Path, apps: list[str]) -> None:
    """A site has the checks of the apps that it names, and answers 200 though no mail server is there."""
    said, _ = answer(tmp_path, ["health_check", *apps])
    assert list(said) == [label for app in apps for label in OLD[app]]
    assert set(said.values()) == {"OK"}


def test_apps__switched_off(tmp_path: pathlib.Path) -> None:
    """A limit that is None left the check of psutil out; where that leaves none, there is none."""
    said, _ = answer(tmp_path, ["health_check", "health_check.contrib.psutil"], 'HEALTH_CHECK["DISK_USAGE_MAX"] = None')
    assert list(said) == ["Memory"]
    both = "HEALTH_CHECK.update(DISK_USAGE_MAX=None, MEMORY_MIN=None)"
    said, _ = answer(tmp_path, ["health_check", "health_check.contrib.psutil"], both)
    assert said == {}


def test_apps__without_the_main_one(tmp_path: pathlib.Path) -> None:
    """Where only apps of 3.x are installed the endpoint works, and system checks run."""
    said, _ = answer(tmp_path, ["health_check.db"])
    assert said == {"Database": "OK"}
    done = run(tmp_path, ["health_check.db"], "-m", "django", "check", "--tag", "health_check")
    assert (done.returncode, done.stderr.count("health_check.W014")) == (0, 3), done.stderr
    assert "but not health_check: there are no commands." in done.stderr


def test_apps__none(tmp_path: pathlib.Path) -> None:
    """A site without them checks what it does by default."""
    said, printed = answer(tmp_path, ["health_check"])
    assert list(said) == DEFAULT
    assert "Deprecat" not in printed


def test_apps__registered_check(tmp_path: pathlib.Path) -> None:
    """A check that was registered in code, with options, is all that the endpoint has."""
    said, _ = answer(tmp_path, ["shop", "health_check"])
    assert said["The search"] == "unavailable: no index books"
    assert list(said) == ["The search"]


def test_apps__commands_are_ours_alone(tmp_path: pathlib.Path) -> None:
    """The apps bring no commands: those of the package are found once, by its name."""
    done = run(tmp_path, ["health_check.db", "health_check.cache", "health_check"], "-m", "django", "help")
    assert done.returncode == 0, done.stderr
    sections = done.stdout.split("[")
    assert next(section for section in sections if "health_exporter" in section).startswith("health_check]")


def test_system_check__says_what_to_do(tmp_path: pathlib.Path) -> None:
    """Each app and each registered check is told with the name to use instead."""
    apps = ["health_check", "health_check.db", "health_check.contrib.redis", "shop"]
    done = run(tmp_path, apps, "-m", "django", "check", "--tag", "health_check")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("health_check.W014") == 4
    assert "name health_check.Database in the `checks`" in done.stderr
    assert "name health_check.contrib.redis.Redis in the `checks`" in done.stderr
    assert "shop.checks.Search is added with plugin_dir.register()" in done.stderr
