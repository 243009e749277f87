"""What ``manage.py check`` says about other packages ``health_check``, and the middleware."""

from __future__ import annotations

import importlib
import pathlib
import sys
import zipfile

import pytest
from pytest_django import Settings

from health_check.management.system_checks.installation import check_distributions, check_middleware, check_shadows
from tests.support.messages import assert_said
from tests.support.servers import ROOT


def distribution(folder: pathlib.Path, name: str, package: str) -> None:
    """Leave what an installer leaves for a distribution that brings a package."""
    metadata = folder / f"{name or 'nameless'}-1.0.dist-info"
    metadata.mkdir()
    if name:
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text(f"{package}\n")


@pytest.mark.filterwarnings("ignore:Implicit None on return values:DeprecationWarning")
def test_w019__beside_django_health_check(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other distributions that bring a package of our name are named; those of other packages, or no name, are not."""
    for name, package in [("b", "health_check"), ("django-health-check", "health_check"), ("", "health_check")]:
        distribution(tmp_path, name, package)
    for name, package in [("x", "health_checks"), ("y", "health_check_other"), ("health_check", "other")]:
        distribution(tmp_path, name, package)
    monkeypatch.syspath_prepend(tmp_path)
    found = [("W019", f"{name} is installed beside django-health-exporter") for name in ("b", "django-health-check")]
    assert_said(check_distributions(), *found)


def a_package(folder: pathlib.Path) -> pathlib.Path:
    place = folder / "health_check"
    place.mkdir(parents=True)
    (place / "__init__.py").touch()
    return place


def test_w013__another_package(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be imported in its place if the path were another one is told of once, with its place and ours.

    That is a package, a module, or one in an archive, before ours on the path or behind it.
    """
    before, behind = a_package(tmp_path / "a"), tmp_path / "b" / "health_check.py"
    behind.parent.mkdir()
    behind.touch()
    archive = tmp_path / "other.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("health_check/__init__.py", "")
    (tmp_path / "file").touch()
    odd: list[object] = [None, b"bytes", str(tmp_path / "gone"), str(tmp_path / "file")]
    after = [str(behind.parent), f"{behind.parent}/.", str(archive)]
    monkeypatch.setattr(sys, "path", [str(before.parent), *odd, *sys.path, *after])
    importlib.invalidate_caches()
    places = before, behind, archive / "health_check"
    assert_said(check_shadows(), *(("W013", f"at {place},", str(ROOT / "health_check")) for place in places))


def test_w013__not_for_what_hides_nothing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without ``__init__.py``, our own package by another name and other packages are no trouble."""
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "health_check").mkdir()
    (tmp_path / "a" / "health_check" / "checks.py").touch()
    (tmp_path / "b" / "health_check").symlink_to(ROOT / "health_check")
    a_package(tmp_path / "c").rename(tmp_path / "c" / "health_checks")
    (tmp_path / "link").symlink_to(ROOT)
    monkeypatch.chdir(ROOT)
    more = [*(str(tmp_path / name) for name in ("a", "b", "c", "link")), "", str(ROOT), f"{ROOT}/"]
    monkeypatch.setattr(sys, "path", [*more, *sys.path])
    importlib.invalidate_caches()
    assert check_shadows() == []


OURS = "health_check.middleware.HealthCheckMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"
SECURITY = "django.middleware.security.SecurityMiddleware"


@pytest.mark.parametrize(
    ("middleware", "redirects", "refusing"),
    [
        ([OURS, SECURITY, COMMON], True, []),
        ([SECURITY, OURS, COMMON], False, []),
        ([SECURITY, OURS, COMMON], True, [SECURITY]),
        ([SECURITY, COMMON, OURS], False, [COMMON]),
        ([SECURITY, COMMON], True, []),
    ],
)
def test_w042__after_what_refuses_probes(
    middleware: list[str], redirects: bool, refusing: list[str], settings: Settings
) -> None:
    """The middleware cannot answer what one of Django's before it has refused or redirected."""
    settings.MIDDLEWARE, settings.SECURE_SSL_REDIRECT = middleware, redirects
    assert_said(check_middleware(), *(("W042", path) for path in refusing))
