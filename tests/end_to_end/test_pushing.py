"""Where nothing can scrape: a real node_exporter and a real Pushgateway show what the command sends."""

from __future__ import annotations

import pathlib
import socket
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.metrics_core import Metric

from tests.support.client import eventually, get
from tests.support.parsing import parse_text
from tests.support.scraping import node_exporter, pushgateway
from tests.support.servers import Server, manage
from tests.support.site.checks import noted_runs
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

STATUS = "django_health_check_status"
COUNT = "django_health_check_duration_seconds_count"
LABEL = 'Größe "🐍" \\ x'
CHECKS = ["tests.support.site.checks.Flip", ["tests.support.site.checks.Counting", {"name": LABEL}]]
NAMES = {"Flip": "Flip", LABEL: "Counting"}
"""Under which name each check notes its runs."""

PASSWORD = "tr0ub4dor17"
HASHED = "$2b$04$8SW/wJNhZFz4l8FsHCNQA.hmPuCw7atMCX0cq7LdXC0V2L.b39gPi"
"""The same, by bcrypt."""


@pytest.fixture
def site(tmp_path: pathlib.Path) -> Site:
    """A site with a check that fails at every other run, and one of an unusual name."""
    return Site(folder=tmp_path / "site", checks=CHECKS, max_age=0.01)


@pytest.fixture
def gateway(tmp_path: pathlib.Path) -> Iterator[Server]:
    """A Pushgateway."""
    with pushgateway(tmp_path / "gateway") as server:
        yield server


def health_check(site: Site, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command, and assert how it ends."""
    done = manage(site, "health_check", *arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def families(server: Server) -> dict[str, Metric]:
    """Return what a server shows."""
    return {family.name: family for family in parse_text(get(f"{server.url}/metrics").body)}


def values(server: Server, name: str = STATUS, **labels: str) -> dict[str, float]:
    """Return the values by check of the series that have these labels."""
    samples = [sample for family in families(server).values() for sample in family.samples if sample.name == name]
    return {s.labels["check"]: s.value for s in samples if labels.items() <= s.labels.items()}


def sent(site: Site, server: Server, *arguments: str, **labels: str) -> dict[str, float]:
    """Have the command send what it finds, and return what a server shows of it: the status of each check.

    It is asked again where it had no counters, as on a machine that stands still for so long that the store is late.
    """

    def counted() -> dict[str, float]:
        health_check(site, *arguments, "--fresh")
        return values(server, COUNT, **labels)

    found = eventually(counted, what="counters")
    assert found == {label: len(noted_runs(site.folder, NAMES[label])) for label in found}
    shown = values(server, **labels)
    assert shown.keys() == found.keys()
    return shown


def test_node_exporter__shows_the_file(site: Site, tmp_path: pathlib.Path) -> None:
    """What the command writes is shown, as it was when it was written last, and no error."""
    folder = tmp_path / "textfiles"
    folder.mkdir()
    with node_exporter(tmp_path / "node", folder) as server:
        assert STATUS not in families(server)
        for _ in range(2):
            shown = sent(site, server, "--textfile", str(folder / "shop.prom"))
            assert shown == {"Flip": len(noted_runs(site.folder, "Flip")) % 2, LABEL: 1}
        found = families(server)
        assert [sample.value for sample in found["node_textfile_scrape_error"].samples] == [0]
        [modified] = found["node_textfile_mtime_seconds"].samples
        assert modified.labels == {"file": str(folder / "shop.prom")}
        assert modified.value == pytest.approx((folder / "shop.prom").stat().st_mtime)


def test_pushgateway__shows_what_was_pushed_last(site: Site, gateway: Server) -> None:
    """It shows the metrics as the job and the group that they were pushed as, without those of the push before."""
    job, here = ["--pushgateway", gateway.url, "--job", "nightly"], {"job": "nightly", "instance": socket.gethostname()}
    assert sent(site, gateway, *job, **here).keys() == {"Flip", LABEL}
    [pushed] = families(gateway)["push_time_seconds"].samples
    assert pushed.labels == here
    assert [sample.value for sample in families(gateway)["push_failure_time_seconds"].samples] == [0]

    health_check(site, *job, "--grouping", "shop=süd/1")
    smaller = Site(folder=site.folder, checks=CHECKS[:1], max_age=0.01)
    assert sent(smaller, gateway, *job, **here).keys() == {"Flip"}
    assert values(gateway, job="nightly", shop="süd/1").keys() == {"Flip", LABEL}


def test_pushgateway__refuses(site: Site, tmp_path: pathlib.Path) -> None:
    """What it will not have, the command says in its words; the exit code is 2, and no password is shown."""
    configuration = tmp_path / "web.yml"
    configuration.write_text(f"basic_auth_users: {{robot: '{HASHED}'}}\n")
    with pushgateway(tmp_path / "gateway", f"--web.config.file={configuration}") as gateway:
        right, wrong = (f"http://robot:{password}@{gateway.address}" for password in (PASSWORD, f"wrong-{PASSWORD}"))
        refused = health_check(site, "--pushgateway", wrong, code=2)
        assert f"The Pushgateway {gateway.url} answers HTTP 401: " in refused.stderr
        inconsistent = health_check(site, "--pushgateway", right, "--grouping", "check=all", code=2)
        assert "HTTP 400: pushed metrics are invalid or inconsistent" in inconsistent.stderr
        taken = health_check(site, "--pushgateway", right)
        assert f"pushed to {gateway.url} as job health_check" in taken.stderr
        for done in (refused, inconsistent, taken):
            assert PASSWORD not in done.stdout + done.stderr
