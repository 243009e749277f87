"""The names of django-health-check 3.x and 4.x: each leads to what it is here, or says that there is none."""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
import warnings

import pytest
from django.utils.module_loading import import_string

import health_check
from health_check.backends import HealthCheck
from health_check.compat import finder, names
from tests.support.servers import ROOT

GUIDE = (ROOT / "docs" / "how-to" / "migrate.md").read_text()

OF_VERSION_4 = [
    f"health_check.{module}{name}"
    for module, found in {
        "": "Cache DNS Database HealthCheck Mail Storage",
        "base.": "HealthCheck",
        "checks.": "Cache DNS Database Mail Storage",
        "contrib.atlassian.": "AtlassianStatusPage Cloudflare DigitalOcean FlyIo GitHub Npm PlatformSh PyPI Render",
        "contrib.celery.": "Ping",
        "contrib.kafka.": "Kafka",
        "contrib.psutil.": "Battery CPU Disk Memory Temperature",
        "contrib.rabbitmq.": "RabbitMQ",
        "contrib.redis.": "Redis",
        "contrib.rss.": "AWS Azure Feed GoogleCloud Heroku Hetzner",
    }.items()
    for name in found.split()
]
"""The classes of 4.8 that are checks; those of 3.23 by new names are among them."""

RAISED = "HealthCheckException ServiceReturnedUnexpectedResult ServiceUnavailable ServiceWarning StatusPageWarning"
EXCEPTIONS = [f"health_check.exceptions.{name}" for name in RAISED.split()]


@pytest.mark.parametrize("name", names.CHECKS)
def test_former_name__leads_to_the_new_one(name: str) -> None:
    """A check of 3.x is the one of its new name, or understands its old options, and a warning names the new one."""
    new = names.CHECKS[name]
    with pytest.warns(DeprecationWarning, match=f"^{re.escape(name)} is deprecated: use {re.escape(new)}[.]$"):
        found = import_string(name)
    assert issubclass(found, import_string(new))


def test_former_name__warns_where_it_is_used() -> None:
    """The warning is shown where the name is imported, so that it can be found."""
    with pytest.warns(DeprecationWarning, match="CacheBackend is deprecated") as caught:
        from health_check.cache.backends import CacheBackend  # type: ignore[import-not-found]
    assert issubclass(CacheBackend, health_check.Cache)
    assert {warning.filename for warning in caught} == {__file__}


@pytest.mark.parametrize("name", [*OF_VERSION_4, *EXCEPTIONS])
def test_name_of_version_4__is_the_same(name: str) -> None:
    """A check or an exception of 4.x has the same name here, without a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert issubclass(import_string(name), HealthCheck if name in OF_VERSION_4 else Exception)


@pytest.mark.parametrize("module", names.GONE)
def test_gone__says_what_to_do(module: str) -> None:
    """A module without a counterpart says so, and what to do, also as an entry of ``checks``."""
    with pytest.raises(ModuleNotFoundError, match=f"no {module} in django-health-exporter: .+") as caught:
        importlib.import_module(module)
    assert caught.value.name == module
    assert module not in sys.modules


@pytest.mark.parametrize(
    "module", ["health_check.planted", "health_check.cache.planted", "health_check.contrib.redis.planted", "planted"]
)
def test_other_modules__are_not_found(module: str) -> None:
    """Any other module is as missing as ever."""
    with pytest.raises(ModuleNotFoundError, match="No module named"):
        importlib.import_module(module)


def test_other_names__are_not_there() -> None:
    """Any other attribute of a module of an old name is as missing as ever."""
    module = importlib.import_module("health_check.cache.backends")
    with pytest.raises(AttributeError, match=r"'health_check\.cache\.backends' has no attribute 'Planted'"):
        module.Planted  # noqa: B018
    with pytest.raises(AttributeError, match=r"'health_check\.checks' has no attribute 'Planted'"):
        importlib.import_module("health_check.checks").Planted  # noqa: B018


def test_modules__real_ones_stay_what_they_are() -> None:
    """Modules with a former name and modules in them by that name go together."""
    module = importlib.import_module("health_check.contrib.psutil")
    assert module.Disk is health_check.Disk
    assert importlib.util.find_spec("health_check.contrib.psutil.backends") is not None
    assert importlib.util.find_spec("health_check.contrib.psutil.planted") is None


def test_finder__installed_once() -> None:
    """However often the package is loaded, the finder is there once, behind all others."""
    finder.install()
    assert sys.meta_path.count(finder.FormerFinder) == 1


@pytest.mark.parametrize("name", [*names.CHECKS, *names.GONE, *names.APPS])
def test_guide__has_each_name(name: str) -> None:
    """The guide has a row for each of them, with what it is here."""
    rows = [row for row in GUIDE.splitlines() if row.startswith(f"| `{name}` |")]
    assert len(rows) == 1
    assert names.CHECKS.get(name, "") in rows[0].split("|")[2]
