"""What ``manage.py check`` says about other packages ``health_check``."""

from __future__ import annotations

import importlib
import pathlib
import sys
import zipfile
from collections.abc import Callable

import pytest
from pytest_django import Settings

from health_check.management.system_checks import check_distributions, check_middleware, check_shadows
from tests.support.messages import ids
from tests.support.servers import ROOT

W013 = ["health_check.W013"]


def distribution(folder: pathlib.Path, name: str, package: str) -> None:
    """Leave what an installer leaves for a distribution that brings a package."""
    metadata = folder / f"{name or 'nameless'}-1.0.dist-info"
    metadata.mkdir()
    if name:
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "top_level.txt").write_text(f"{package}\n")


def test_w019__beside_django_health_check(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another distribution that brings a package of our name is a warning that names it."""
    distribution(tmp_path, "django-health-check", "health_check")
    monkeypatch.syspath_prepend(tmp_path)
    messages = check_distributions()
    assert ids(messages) == ["health_check.W019"]
    assert "django-health-check is installed beside" in messages[0].msg


@pytest.mark.parametrize(
    ("name", "package"), [("other", "health_checks"), ("other", "health_check_other"), ("health_check", "other")]
)
def test_w019__not_for_other_packages(
    name: str, package: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A distribution that brings a package of another name is none of our business, whatever its own name."""
    distribution(tmp_path, name, package)
    monkeypatch.syspath_prepend(tmp_path)
    assert check_distributions() == []


@pytest.mark.filterwarnings("ignore:Implicit None on return values:DeprecationWarning")
def test_w019__damaged_metadata(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an interrupted installation has left, which has no name, is not named; others are."""
    distribution(tmp_path, "", "health_check")
    distribution(tmp_path, "b", "health_check")
    distribution(tmp_path, "a", "health_check")
    monkeypatch.syspath_prepend(tmp_path)
    messages = check_distributions()
    assert [message.msg.partition(" ")[0] for message in messages] == ["a", "b"]


def a_package(folder: pathlib.Path) -> pathlib.Path:
    place = folder / "health_check"
    place.mkdir()
    (place / "__init__.py").touch()
    return place


def a_module(folder: pathlib.Path) -> pathlib.Path:
    place = folder / "health_check.py"
    place.touch()
    return place


def a_copy_of_ours(folder: pathlib.Path) -> pathlib.Path:
    place = a_package(folder)
    (place / "__init__.py").write_bytes((ROOT / "health_check" / "__init__.py").read_bytes())
    return place


def a_folder(folder: pathlib.Path) -> None:
    (folder / "health_check").mkdir()


def a_folder_of_modules(folder: pathlib.Path) -> None:
    (folder / "health_check").mkdir()
    (folder / "health_check" / "checks.py").touch()


def another_package(folder: pathlib.Path) -> None:
    (folder / "health_checks").mkdir()
    (folder / "health_checks" / "__init__.py").touch()


def a_link_to_ours(folder: pathlib.Path) -> None:
    (folder / "health_check").symlink_to(ROOT / "health_check")


def nothing(folder: pathlib.Path) -> None:
    """Leave the folder empty."""


@pytest.mark.parametrize("make", [a_package, a_module, a_copy_of_ours])
@pytest.mark.parametrize("first", [True, False], ids=["before ours", "behind ours"])
def test_w013__another_package(
    make: Callable[[pathlib.Path], pathlib.Path], first: bool, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would be imported in its place if the path were another one is told of, with its place and ours."""
    place = make(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path] if first else [*sys.path, str(tmp_path)])
    messages = check_shadows()
    assert ids(messages) == W013
    assert str(place) in messages[0].msg
    assert str(ROOT / "health_check") in messages[0].msg


@pytest.mark.parametrize("make", [a_folder, a_folder_of_modules, another_package, a_link_to_ours, nothing])
def test_w013__not_for_what_hides_nothing(
    make: Callable[[pathlib.Path], None], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without ``__init__.py``, our own package by another name and other packages are no trouble."""
    make(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert check_shadows() == []


def test_w013__ours_twice_on_the_path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same place may be on the path as often as it likes, also through a link, or as the working directory."""
    (tmp_path / "link").symlink_to(ROOT)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "link"), "", str(ROOT), f"{ROOT}/", *sys.path])
    assert check_shadows() == []


def test_w013__odd_places(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Archives are looked into, and what is not a folder at all is passed by."""
    archive = tmp_path / "other.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("health_check/__init__.py", "")
    (tmp_path / "file").touch()
    odd: list[object] = [None, b"bytes", str(tmp_path / "gone"), str(tmp_path / "file")]
    monkeypatch.setattr(sys, "path", [*odd, *sys.path, str(archive)])
    messages = check_shadows()
    assert ids(messages) == W013
    assert str(archive / "health_check") in messages[0].msg


def test_w013__one_message_a_place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that is on the path several times is told of once."""
    a_package(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path), f"{tmp_path}/."])
    importlib.invalidate_caches()
    assert ids(check_shadows()) == W013


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
    messages = check_middleware()
    assert ids(messages) == ["health_check.W042"] * len(refusing)
    assert all(path in message.msg for path, message in zip(refusing, messages, strict=True))
