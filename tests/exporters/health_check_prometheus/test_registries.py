"""What a page shows where several processes write their metrics to files."""

from __future__ import annotations

import logging
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import path
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.metrics_core import Metric

from health_check.views import HealthCheckView
from health_check_prometheus.registries import MULTIPROCESS
from health_check_prometheus.views import MetricsView
from tests.conftest import Mount
from tests.exporters.health_check_prometheus.conftest import FailingCollector
from tests.support.bench import Script
from tests.support.checks import Fine
from tests.support.parsing import families_in
from tests.support.servers import clean_environment

STATUS = "django_health_check_status"
HISTOGRAM = "django_health_check_duration_seconds"

WRITER = """
from prometheus_client import Counter, Histogram
Counter("shop_orders", "Orders.").inc(3)
Histogram("shop_seconds", "How long orders take.", buckets=[1]).observe(0.5)
"""
"""A process that writes metrics to files."""

Families = Callable[..., dict[str, Metric]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The files that two processes have written."""
    folder = tmp_path_factory.mktemp("written")
    for _ in range(2):
        environment = {**clean_environment(), MULTIPROCESS[0]: str(folder)}
        subprocess.run([sys.executable, "-c", WRITER], env=environment, check=True)
    return folder


@pytest.fixture
def folder(tmp_path: pathlib.Path, written: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The folder of the files, to which two processes have written."""
    monkeypatch.setenv(MULTIPROCESS[0], str(tmp_path))
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def families(mount_checks: Mount, client: Client) -> Families:
    """A function that asks for the page of a site with one check, and returns its families."""
    mount_checks(Fine)

    def ask(**query: str | list[str]) -> dict[str, Metric]:
        query = {name.replace("name", "name[]"): value for name, value in query.items()}
        found: list[dict[str, Metric]] = []
        for headers in ({}, {"Accept": "application/openmetrics-text"}):
            response = client.get("/metrics", query, headers=headers)
            assert response.status_code == 200
            found.append(families_in(response.content.decode()))
        # The text format names a family as its samples are named.
        text, openmetrics = ({s.name for family in each.values() for s in family.samples} for each in found)
        assert text == openmetrics
        return found[1]

    return ask


@pytest.fixture
def broken() -> Iterator[None]:
    """A collector of somebody else's in the default registry, which fails."""
    found = FailingCollector()
    REGISTRY.register(found)
    yield
    REGISTRY.unregister(found)


@pytest.mark.usefixtures("folder")
def test_multiprocess__all_processes_and_ours(families: Families) -> None:
    """The page has what all processes counted together, and the health checks."""
    found = families()
    assert [sample.value for sample in found["shop_orders"].samples] == [6]
    assert {sample.name: sample.value for sample in found["shop_seconds"].samples}["shop_seconds_count"] == 2
    assert [sample.value for sample in found[STATUS].samples] == [1]
    assert "python_info" not in found  # of this process alone


@pytest.mark.filterwarnings("ignore:prometheus_multiproc_dir variable has been deprecated")
def test_multiprocess__older_name_of_the_variable(
    folder: pathlib.Path, families: Families, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The older name of the variable, which prometheus_client still takes, means the same."""
    monkeypatch.setenv(MULTIPROCESS[1], str(folder))
    monkeypatch.delenv(MULTIPROCESS[0])
    assert {"shop_orders", STATUS} <= families().keys()


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["shop_orders_total"], {"shop_orders"}),
        (["shop_orders_total", STATUS], {"shop_orders", STATUS}),
        (["shop_seconds"], {"shop_seconds"}),
        ([HISTOGRAM], {HISTOGRAM}),
        ([f"{HISTOGRAM}_bucket"], {HISTOGRAM}),
        (["nonsense"], set()),
    ],
)
def test_multiprocess__names(names: list[str], expected: set[str], families: Families) -> None:
    """The page may be restricted to some metrics, of the files and of ours."""
    assert families(name=names).keys() == expected


@pytest.mark.usefixtures("folder")
def test_multiprocess__names_of_others_run_nothing(mount_checks: Mount, client: Client) -> None:
    """A page restricted to what processes wrote runs no check."""
    script = Script()
    mount_checks(script.define().check_class)
    assert b"shop_orders_total 6.0" in client.get("/metrics", {"name[]": "shop_orders_total"}).content
    assert script.runs == 0


@pytest.mark.usefixtures("folder")
def test_multiprocess__scope(families: Families) -> None:
    """``?scope=health`` has ours alone, and may be restricted further."""
    assert all(name.startswith("django_health_check") for name in families(scope="health"))
    assert families(scope="health", name=[STATUS, "shop_orders_total"]).keys() == {STATUS}


@pytest.mark.usefixtures("folder")
def test_multiprocess__registry_of_ones_own(mount: Mount, client: Client) -> None:
    """A registry that is not the default one has what is in it, whatever the mode."""
    mount(
        path("health/", HealthCheckView.as_view(checks=[Fine]), name="health"),
        path("metrics", MetricsView.as_view(registry=CollectorRegistry())),
    )
    assert client.get("/metrics").content == b""


NO_COUNTER = b"\xff\xff\x00\x00\x00\x00\x00\x00" + b"\xfe" * 64

DAMAGES: dict[str, Callable[[pathlib.Path], object]] = {
    "corrupt": lambda file: file.write_bytes(NO_COUNTER),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:2]),
    "a folder": lambda file: file.with_name("counter_1.db").mkdir(),
    "misnamed": lambda file: file.rename(file.with_name("nonsense_.db")),
}


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings and errors of our log, which nobody else's has."""
    found = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert {record.name for record in found} <= {"health_check"}
    return [record.getMessage() for record in found]


@pytest.mark.parametrize("damage", DAMAGES)
def test_multiprocess__damaged_files(
    damage: str, folder: pathlib.Path, families: Families, caplog: pytest.LogCaptureFixture
) -> None:
    """Files that cannot be read take nothing of ours away; the log tells once."""
    DAMAGES[damage](next(folder.glob("counter_*.db")))
    for _ in range(2):
        assert [sample.value for sample in families()[STATUS].samples] == [1]
    assert len(warnings_of(caplog)) == 1


@pytest.mark.parametrize("value", ["", "no-such-folder", "a-file"])
def test_multiprocess__no_folder(
    value: str,
    families: Families,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without the folder the page has ours, and the log tells once what to do."""
    (tmp_path / "a-file").touch()
    monkeypatch.setenv(MULTIPROCESS[0], value and str(tmp_path / value))
    for _ in range(2):
        assert [sample.value for sample in families()[STATUS].samples] == [1]
    [message] = warnings_of(caplog)
    assert "make the folder" in message


@pytest.mark.usefixtures("broken")
def test_registry__with_a_collector_that_fails(families: Families, caplog: pytest.LogCaptureFixture) -> None:
    """Where a collector of somebody else's fails, the page has ours alone, and the log says so once."""
    found = families()
    assert [sample.value for sample in found[STATUS].samples] == [1]
    assert "python_info" not in found
    assert "Traceback" in caplog.text
    assert "a defect of somebody else's" in caplog.text
    assert len(warnings_of(caplog)) == 1
    assert families(name="python_info").keys() == {"python_info"}
