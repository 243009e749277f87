"""Settings that cannot be used: what is wrong with them is for those who may read messages."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import path
from pytest_django import Settings

from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.site.planted import PRIVATE, SECRET, TOKEN
from tests.support.site.stacks import STACKS, Ask

UNUSABLE: list[dict[str, Any]] = [
    {"TIMEOUT": SECRET},
    {"STORE": {"BACKEND": SECRET}},
    {"URLCONF": "tests.support.site.broken_urls"},
]

FORMATS = pytest.mark.parametrize("url", ["/health/", "/health/?format=json"])


def mounted(mount: Mount) -> None:
    """Mount an endpoint whose checks state nothing themselves."""
    mount(path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"))


@STACKS
@FORMATS
@pytest.mark.parametrize("configuration", UNUSABLE, ids=lambda configuration: str(*configuration))
@pytest.mark.parametrize("access", [{"DETAILS": "never"}, {"DETAILS": "authorized", "TOKENS": [TOKEN]}], ids=str)
def test_unusable__not_told_without_details(
    ask: Ask, configuration: dict[str, Any], access: dict[str, Any], url: str, settings: Settings, mount: Mount
) -> None:
    """Those who may not read messages learn only that something is wrong, and where others find out what."""
    settings.HEALTH_CHECK = {**configuration, "ACCESS": access}
    mounted(mount)
    answer = ask(url)
    assert answer.status_code == 500
    assert not [text for text in (SECRET, PRIVATE, *configuration) if text in answer.content.decode()]
    assert b"manage.py check" in answer.content


@STACKS
@FORMATS
def test_urlconf__exception_not_told(ask: Ask, url: str, settings: Settings, mount: Mount) -> None:
    """Of an exception that a URLconf raises only the class is told: its text was not meant for readers."""
    settings.HEALTH_CHECK = {"URLCONF": "tests.support.site.broken_urls"}
    mounted(mount)
    answer = ask(url)
    assert answer.status_code == 500
    assert b"ZeroDivisionError" in answer.content
    assert PRIVATE not in answer.content.decode()
