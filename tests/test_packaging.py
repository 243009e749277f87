"""The wheel, as it is built, installed and used."""

from __future__ import annotations

import pathlib
import zipfile

import pytest

from health_check_dashboards.files import FILES
from tests.support.servers import ROOT
from tests.support.wheel import build_wheel, python_with, run

pytestmark = pytest.mark.packaging

PACKAGES = ("health_check", "health_check_prometheus", "health_check_opentelemetry", "health_check_dashboards")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The built wheel."""
    return build_wheel(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel: pathlib.Path, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The Python of a new environment with the wheel; what it depends on comes from this environment."""
    return python_with(wheel, tmp_path_factory.mktemp("environments") / "environment")


def test_wheel__holds_what_it_should_and_nothing_else(wheel: pathlib.Path) -> None:
    """The wheel has four typed packages with their templates and command, and no folder that holds packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    top = {name.partition("/")[0] for name in names}
    assert {folder for folder in top if not folder.endswith(".dist-info")} == set(PACKAGES)
    for name in (
        *(f"{package}/py.typed" for package in PACKAGES),
        "health_check/templates/health_check/index.html",
        "health_check/views/runbooks.md",
        "health_check/demo/templates/demo/home.html",
        "health_check/management/commands/health_check.py",
        "health_check_prometheus/collector.py",
        "health_check_opentelemetry/spans.py",
        "health_check_dashboards/prometheus/alerts.yml",
        "health_check_dashboards/grafana/dashboards/health.json",
    ):
        assert name in names
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")] != []
    assert [name for name in names if name.endswith(".pyc") or "tests" in name.split("/")] == []


def test_wheel__brings_all_packages(python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """A site on the packages of the new environment, not of this checkout, shows pages, files and metrics."""
    imports = "; ".join(f"import {package}; print({package}.__file__)" for package in PACKAGES)
    program = (
        f"import django; django.setup(); {imports}; from health_check_prometheus import HealthCheckCollector;"
        "from health_check_opentelemetry import SpanObserver; import health_check_opentelemetry.sdk;"
        "from django.test import Client; client = Client(headers={'host': '127.0.0.1'});"
        "print([client.get(f'/health/?format={name}').status_code for name in ('css', 'icon-ok', 'schema')]);"
        "print(client.get('/health/').content.decode(), client.get('/metrics').content.decode())"
    )
    output = run([str(python), "-c", program], tmp_path, environment=_demo(tmp_path))
    *files, statuses = output.splitlines()[: len(PACKAGES) + 1]
    assert [file for file in files if not pathlib.Path(file).is_relative_to(python.parents[1])] == []
    assert statuses == "[200, 200, 200]"
    assert '<a href="?check=Database">Database</a>' in output
    assert 'django_health_check_status{check="Database"} 1.0' in output


def test_wheel__has_the_command(python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """``manage.py health_check`` runs, and fails for what is broken: the table of orders is not there."""
    output = run([str(python), "-m", "django", "health_check"], tmp_path, code=1, environment=_demo(tmp_path))
    assert "Database                 ... OK\n" in output
    assert "Orders                   ... unavailable: the table of orders cannot be read\n" in output


def test_wheel__has_the_ping(python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The probe of containers is a command of its own."""
    assert "--unix-socket" in run([str(python.with_name("health-check-ping")), "--help"], tmp_path)


def test_wheel__has_the_demo(python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """The demo answers, by what tries each release."""
    assert "answers" in run([str(python), "-I", str(ROOT / "tests" / "support" / "smoke.py")], tmp_path)


def test_wheel__writes_the_dashboards(python: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """``python -m health_check_dashboards`` writes everything from the installed wheel."""
    run([str(python), "-m", "health_check_dashboards", "out", "--job", "shop"], tmp_path)
    assert 'up{job="shop"}' in (tmp_path / "out" / "prometheus" / "alerts.yml").read_text()
    assert len([path for path in (tmp_path / "out").rglob("*") if path.is_file()]) == len(FILES)


def _demo(folder: pathlib.Path) -> dict[str, str]:
    for name in ("db", "media"):
        folder.joinpath(name).mkdir(exist_ok=True)
    return {"DJANGO_SETTINGS_MODULE": "health_check.demo.settings", "HEALTH_CHECK_DEMO_FOLDER": str(folder)}
