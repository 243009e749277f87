"""The command as it is called where django-health-check was: in scripts, in code, for sites with prefixes."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import get_script_prefix, path, set_script_prefix
from django.utils import translation
from pytest_django import Settings

from health_check.management.choice import find, path_of
from health_check.monitor import runtime
from health_check.views import HealthCheckView
from tests.compat.shapes import Down, Up
from tests.conftest import Mount

LOCALE = "django.middleware.locale.LocaleMiddleware"


@pytest.fixture(autouse=True)
def _site(mount: Mount) -> None:
    """A site with an endpoint that is well, and one that is not."""
    mount(
        path("ok/", HealthCheckView.as_view(checks=[Up]), name="ok"),
        path("bad/", HealthCheckView.as_view(checks=[Down]), name="bad"),
    )


def test_no_http__with_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    """The address of a server that is not asked is ignored, with a warning, and so are options about it."""
    more = "--skip-checks", "--timeout", "5", "--forwarded-proto", "https"
    call_command("health_check", "ok", "127.0.0.1:9", "--no-http", *more)
    said = capsys.readouterr()
    assert said.out.split() == ["Up", "...", "OK"]
    assert "127.0.0.1:9 is ignored" in said.err


@pytest.mark.parametrize(("endpoint", "code"), [("ok", 0), ("bad", 1)])
def test_call__in_code(capsys: pytest.CaptureFixture[str], endpoint: str, code: int) -> None:
    """The options of 4.x can be given in code by their names there."""
    expected = pytest.raises(SystemExit, match="1") if code else contextlib.nullcontext()
    with expected:
        call_command("health_check", endpoint, use_http=False, addrport="127.0.0.1:9", timeout=5)
    assert capsys.readouterr().out.startswith("Up" if code == 0 else "Down")


def test_http__said(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--http`` is the default, may be said, and excludes its opposite."""
    with pytest.raises(CommandError, match=r"127\.0\.0\.1:9") as caught:
        call_command("health_check", "ok", "127.0.0.1:9", "--http", "--timeout", "2")
    assert caught.value.returncode == 2
    with pytest.raises(CommandError, match="not allowed with"):
        call_command("health_check", "ok", "--http", "--no-http")


@pytest.mark.parametrize("language", ["en-us", "en", "de", "pt-br"])
@pytest.mark.parametrize("middleware", [[LOCALE], []])
@pytest.mark.parametrize("default_has_prefix", [True, False])
@pytest.mark.parametrize("active", [None, "de"])
def test_path__under_a_language_prefix(
    mount: Mount, settings: Settings, language: str, middleware: list[str], default_has_prefix: bool, active: str | None
) -> None:
    """The path of a name is one that the server serves, whatever language is in force where it is asked for."""
    settings.LANGUAGE_CODE, settings.MIDDLEWARE, settings.USE_I18N = language, middleware, True
    settings.LANGUAGES = [("en", "English"), ("de", "German"), ("pt-br", "Brazilian")]
    mount(
        *i18n_patterns(
            path("health/", HealthCheckView.as_view(checks=[Up]), name="health_check_home"),
            prefix_default_language=default_has_prefix,
        )
    )
    with translation.override(active or language):
        found = path_of(runtime.get().catalogue, "health_check_home")
        assert find(runtime.get().catalogue, "health_check_home").name == "health_check_home"
    with translation.override(language):  # as threads of a server have it
        assert Client().get(found, {"format": "json"}).json() == {"Up": "OK"}


@pytest.fixture
def prefix() -> Any:
    """A script prefix, as FORCE_SCRIPT_NAME sets it for commands."""
    before = get_script_prefix()
    set_script_prefix("/shop/")
    yield "/shop"
    set_script_prefix(before)


@pytest.mark.usefixtures("prefix")
@pytest.mark.parametrize("name", ["ok", "/ok/"])
def test_path__with_a_script_name(name: str) -> None:
    """A server serves its paths without the prefix, which a proxy takes away; afterwards the prefix is there again."""
    catalogue = runtime.get().catalogue
    assert path_of(catalogue, name) == "/ok/"
    assert find(catalogue, name).name == "ok"
    assert get_script_prefix() == "/shop/"
