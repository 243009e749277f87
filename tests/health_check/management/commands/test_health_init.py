"""``manage.py health_init``."""

from __future__ import annotations

import ast
import io
import pathlib
import re
import sys
import types
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command
from django.urls import include, path
from pytest_django import Settings

from health_check.management import proposals
from health_check.management.system_checks.endpoints import check_endpoints, check_purposes, check_routes
from tests.conftest import Mount

REDIS = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://:planted@cache"}
SMTP = "django.core.mail.backends.smtp.EmailBackend"
TWO_CACHES = '"Cache", ("Cache", {"alias": "sessions"})'
PING = '("celery.Ping", {"critical_service": False})'
CONSOLE = "django.core.mail.backends.console.EmailBackend"


def proposed(*arguments: str) -> str:
    """Return what the command prints."""
    out = io.StringIO()
    call_command("health_init", *arguments, stdout=out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("own", "checks", "extras"),
    [
        ({"MEDIA_ROOT": "media", "STORAGES": {}}, '"Cache", "Database", "Disk", "Memory"', ""),
        (
            {
                "CACHES": {"default": REDIS, "sessions": REDIS, "off": {"BACKEND": "x.DummyCache"}},
                "EMAIL_BACKEND": SMTP,
                "CELERY_BROKER_URL": "redis://cache",
                "STORAGES": {"default": {"BACKEND": "storages.backends.s3.S3Storage"}},
            },
            f'{TWO_CACHES}, "Database", "Disk", "Mail", "Memory", "s3.S3", {PING}',
            "pip install 'django-health-exporter[celery,s3]'",
        ),
        (
            {
                "MAILERS": {"default": {"BACKEND": CONSOLE}, "bulk": {"BACKEND": SMTP}},
                "STORAGES": {
                    "default": {"BACKEND": "x.FileSystemStorage", "OPTIONS": {"location": "y"}},
                    "staticfiles": {"BACKEND": "x.StaticFilesStorage"},
                },
            },
            '"Cache", "Database", "Disk", ("Mail", {"alias": "bulk"}), "Memory", "Storage"',
            "",
        ),
    ],
)
def test_checks__of_what_the_site_has(
    own: dict[str, Any], checks: str, extras: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the settings name is proposed with the extras it needs; what cannot fail, or nobody uses, is not."""
    monkeypatch.delitem(sys.modules, "celery", raising=False)
    settings.EMAIL_BACKEND = CONSOLE
    for name, value in own.items():
        setattr(settings, name, value)
    text = proposed()
    lines = [line.strip() for line in text.partition("checks=[")[2].partition("])")[0].splitlines()]
    assert " ".join(line for line in lines if not line.startswith(("#", "]"))).strip() == f"{checks},"
    assert extras in text
    assert ("pip install" in text) is bool(extras)
    assert ("# without Mail: no mail server is set up" in text) is ("Mail" not in checks)
    assert ("# without Storage: MEDIA_ROOT is not set" in text) is not ("Storage" in checks or "s3.S3" in checks)
    assert "planted" not in text


def test_urls__can_be_mounted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is proposed for urls.py runs, and the system checks have nothing against it."""
    monkeypatch.delitem(sys.modules, "celery", raising=False)
    part = re.search(r"# urls.py\n(.*?)\n\n#", proposed(), re.DOTALL)
    assert part is not None
    module = types.ModuleType("proposed_urls")
    vars(module)["urlpatterns"] = []
    exec(compile(ast.parse(part[1]), "urls.py", "exec"), vars(module))  # noqa: S102 - it is our own
    monkeypatch.setitem(sys.modules, "proposed_urls", module)
    settings.ROOT_URLCONF = "proposed_urls"
    assert [str(pattern.pattern) for pattern in module.urlpatterns] == ["health/", "health/live/", "health/ready/", ""]
    assert [*check_endpoints(), *check_purposes(), *check_routes()] == []


def test_text__fits_the_site(settings: Settings) -> None:
    """Middleware and apps that are there are not proposed again; hosts and tokens are told where they matter."""
    assert 'MIDDLEWARE.insert(0, "health_check.middleware.HealthCheckMiddleware")' in proposed()
    assert "INSTALLED_APPS" not in proposed()
    assert "ALLOWED_HOSTS is testserver, 127.0.0.1" in proposed()
    settings.MIDDLEWARE = [proposals.MIDDLEWARE, *settings.MIDDLEWARE]
    settings.ALLOWED_HOSTS = ["*"]
    settings.HEALTH_CHECK = {"ACCESS": {"OPEN": False, "TOKENS": ["planted"]}}
    text = proposed("--target", "shop.internal:8123")
    assert "There is nothing to add" in text
    assert "ALLOWED_HOSTS" not in text
    assert "they read one of its TOKENS from\n# /etc/prometheus/health.token" in text
    assert 'health_check.ping", "http://shop.internal:8123/health/live/"' in text
    assert "planted" not in text
    probes = yaml.safe_load(re.search(r"startupProbe.*?\n\n", text, re.DOTALL)[0])  # type: ignore[index]
    assert {name: probe["httpGet"]["port"] for name, probe in probes.items()} == dict.fromkeys(
        ["startupProbe", "livenessProbe", "readinessProbe"], 8123
    )
    assert [line for line in text.splitlines() if len(line) > 90] == []  # on a terminal of 80 columns it is read, too


def test_urls__in_place_of_others(settings: Settings, mount: Mount) -> None:
    """Endpoints that are there already, as the README has them, are named: they would hide the proposed ones."""
    mount(path("", include("health_check.urls.all")))
    names = ["health_check_home", "health_check_live", "health_check_ready"]
    assert [f"#   health_check:{name}" in proposed() for name in names] == [True] * 3
    mount()
    assert "In place of" not in proposed()
    settings.ROOT_URLCONF = "tests.no_such_urls"
    assert "In place of" not in proposed()


def test_write__monitoring_of_this_site(tmp_path: pathlib.Path, settings: Settings) -> None:
    """``--write`` writes the files with the job and the address of the site; other files are not overwritten."""
    assert "Written, for the job tests:" in proposed("--write", str(tmp_path / "first"))  # the package of the settings
    folder = tmp_path / "monitoring"
    text = proposed("--write", str(folder), "--target", "shop.internal:8123", "--job", "shop")
    assert "Written, for the job shop:" in text
    configuration = yaml.safe_load((folder / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in configuration["scrape_configs"]}
    assert jobs["shop"] == ["shop.internal:8123"]
    assert jobs["shop-probe"] == ["http://shop.internal:8123/health/"]
    settings.HEALTH_CHECK = {"ACCESS": {"OPEN": False, "TOKENS": ["planted"]}}
    proposed("--write", str(tmp_path / "closed"))
    assert "/etc/prometheus/health.token" in (tmp_path / "closed" / "prometheus" / "prometheus.yml").read_text()
    (folder / "prometheus" / "alerts.yml").write_text("mine")
    with pytest.raises(CommandError, match="would be overwritten") as caught:
        proposed("--write", str(folder))
    assert caught.value.returncode == 2
    proposed("--write", str(folder), "--force", "--target", "shop.internal:8123", "--job", "shop")
    assert (folder / "prometheus" / "alerts.yml").read_text() != "mine"
    with pytest.raises(CommandError, match="is not an address"):
        proposed("--target", "nonsense")
