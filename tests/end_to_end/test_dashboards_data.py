"""Every expression of the dashboards, rules and console, on what a real Prometheus scraped of sites that ail."""

from __future__ import annotations

import contextlib
import dataclasses
import html
import math
import pathlib
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from health_check_dashboards.options import OPTIONS
from tests.support import boards, grafana
from tests.support.alerting import alerts, blackbox_exporter, prometheus, written
from tests.support.boards import BOARDS
from tests.support.browser import browsing
from tests.support.client import eventually, get
from tests.support.panels import Asked, shown, values_of
from tests.support.repetitions import LONG
from tests.support.scraping import prometheus_programs
from tests.support.servers import manage, site_under_gunicorn, standalone_exporter
from tests.support.site.checks import release
from tests.support.site.configuration import Site

pytestmark = pytest.mark.server

AT_ONCE = {
    **{option.name: "0s" for option in OPTIONS if option.name.endswith("-for") and option.name != "probe-for"},
    "probe-for": "1s",
    "keep-firing": "0s",
    "scrape-interval": "2s",
    "evaluation-interval": "1s",
    "gap": "10s",
    "flaps": "2",
    "start-for": "5s",
}
"""Options with which each alert fires as soon as its expression holds."""

FAILS = "tests.support.plain.checks.PriceList"
OWNED = {"tags": {"owner": "payments", "tier": "1"}, "runbook": "https://example.com/prices"}
OK = "tests.support.site.checks.Counting"
ODD = ["health_check.Disk", {"path": "/", "max_disk_usage_percent": None}]
FLAPS = [
    "tests.support.site.checks.Flip",
    {"max_age": 3},
]  # longer than from scrape to scrape, so that each state is seen
WARNS = "tests.support.site.checks.Numbered"
HANGS = ["tests.support.site.checks.Hang", {"timeout": 1}]
TIMES_OUT = ["tests.support.site.checks.HangAsync", {"timeout": 0.5, "critical_service": False}]
UNKNOWN = ["tests.support.site.checks.HangDeaf", {"timeout": 600}]
SLOW = ["tests.support.site.checks.Slow", {"timeout": 0.8}]
CHECKS = [[FAILS, OWNED], OK, ODD, FLAPS, WARNS, HANGS, TIMES_OUT, UNKNOWN, SLOW]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data(Asked):
    """A Prometheus that has scraped ailing sites for a while."""

    web: str
    """The instance of a site with every ailment."""
    sidecar: str
    """The instance of a process that exports the same records."""

    def moment(self) -> float | None:
        """Return the present, if the last scrapes of both targets of the site were good; else None."""
        now = time.time()
        return now if list(self.series('up{namespace="shop"}', at=now).values()) == [1, 1] else None


@pytest.fixture
def data(tmp_path: pathlib.Path) -> Iterator[list[Data]]:
    """Sites with all kinds of ailments, and each Prometheus there is, which scrapes them."""
    site = Site(folder=tmp_path / "site", checks=CHECKS, others=[OK], health_check={"SCRAPE_WAIT": 0.3})
    storeless = Site(
        folder=tmp_path / "storeless",
        checks=[OK],
        health_check={"STORE": {"BACKEND": STORE, "OPTIONS": {"path": str(tmp_path / "missing" / "health.sqlite3")}}},
    )
    drained = Site(
        folder=tmp_path / "drained", checks=[OK], health_check={"URLCONF": "tests.support.site.readiness_urls"}
    )
    folder = written(tmp_path / "monitoring", AT_ONCE)
    nobody = written(tmp_path / "nobody", {**AT_ONCE, "job": "nobody"})
    with contextlib.ExitStack() as stack:
        # each probe of the page waits for the check of ten minutes, and holds a thread meanwhile
        web = stack.enter_context(site_under_gunicorn(site, "--workers=2", "--threads=64"))
        sidecar = stack.enter_context(standalone_exporter(site))
        others = [stack.enter_context(standalone_exporter(one)) for one in (storeless, drained)]
        prober = stack.enter_context(blackbox_exporter(tmp_path / "blackbox", folder / "blackbox" / "blackbox.yml"))
        assert manage(drained, "health_drain").returncode == 0
        targets = [
            {"targets": [web.address], "labels": {**POD, "container": "web", "endpoint": "http"}},
            {"targets": [sidecar.address], "labels": {**POD, "container": "exporter", "endpoint": "metrics"}},
            *({"targets": [one.address], "labels": {"namespace": f"other-{n}"}} for n, one in enumerate(others)),
            {"targets": ["127.0.0.1:1"], "labels": {"namespace": "down"}},
            {"targets": [prober.address], "labels": {"namespace": "bare"}},
        ]
        configuration = folder / "prometheus" / "prometheus.yml"
        text = configuration.read_text().replace("blackbox:9115", prober.address)
        model = yaml.safe_load(text.replace("http://host.docker.internal:8000", web.url))
        del model["alerting"]
        model["scrape_configs"][0]["static_configs"] = targets
        model["rule_files"].append(str(nobody / "prometheus" / "alerts.yml"))
        configuration.write_text(yaml.safe_dump(model))
        scrapers = [
            stack.enter_context(prometheus(tmp_path / pathlib.Path(program).name, configuration, program=program))
            for program in prometheus_programs()[0 if LONG else -1 :]
        ]
        stack.callback(release, site.folder)
        yield [Data(prometheus=scraper, web=web.address, sidecar=sidecar.address) for scraper in scrapers]


STORE = "health_check.stores.sqlite.SQLiteStore"

POD = {"namespace": "shop", "service": "shop", "pod": "shop-6c8f7d", "job": "django"}


WIDTHS = (320, 390, 480, 640, 768, 850, 1024, 1119, 1121, 1280, 1440, 1600)
"""The widths of windows, from small phones to screens."""


def test_expressions__hold_on_real_data(data: list[Data], tmp_path: pathlib.Path) -> None:
    """Every alert fires, every panel has data, nothing is counted twice, and what is named is emitted."""
    for one in data:
        every_alert_fires(one)
        at = eventually(one.moment, what="a moment with scrapes of both targets")
        for name in BOARDS:
            every_panel_has_data(one, boards.board(name), at)
        nothing_is_counted_twice(one, at)
        what_is_named_is_emitted(one)
        the_console_shows_it(one)
        grafana_shows_it(one, at)
    with browsing(tmp_path / "chromium") as browser:
        for width in WIDTHS:
            browser.show(width)
            browser.open(f"{data[0].prometheus.url}/consoles/health.html")
            assert browser.overflow() <= 0, f"the console page does not fit a window of {width} pixels"
            assert browser.run("return document.querySelectorAll('tbody tr').length") > len(CHECKS)


def every_alert_fires(data: Data) -> None:
    """Wait until each alert has fired, with a description that says all it should."""
    missing = {rule["alert"] for rule in boards.alert_rules()} - SCENARIOS_ONLY

    def all_have_fired() -> bool:
        for name, fired in alerts(data.prometheus).items():
            for alert in fired:
                description = alert["annotations"]["description"]
                assert not re.search(r"error|no value|: ?\.| on[;:.]|\{\{", description.replace("in error", "")), alert
            missing.discard(name)
        return not missing

    try:
        eventually(all_have_fired, what="all alerts to fire")
    except AssertionError as error:
        raise AssertionError(f"{error}: {sorted(missing)}") from None


SCENARIOS_ONLY = {
    f"HealthCheck{name}" for name in ("Frozen", "ProbeAbsent", "ErrorBudgetBurnFast", "ErrorBudgetBurnSlow")
}
"""What takes hours, or something that stops: those are in the scenarios alone."""


def every_panel_has_data(data: Data, model: Mapping[str, Any], at: float) -> None:
    """Evaluate each query of a dashboard, with everything chosen, and with one check that has an odd name."""
    everything = values_of(data, model)
    empty = [target for target in boards.targets(model) if not shown(data, target, everything, at)]
    assert empty == []
    for annotation in model["annotations"]["list"]:
        assert data.series(boards.substituted(annotation["expr"], everything), at=at), annotation["name"]
    for label in ("Disk(path='/')", "HangAsync"):
        if "check" in everything:
            one = values_of(data, model, check=label, endpoint="health_check")
            for target in boards.targets(model):
                if "_status{" in target.expr and "$check" in target.expr:
                    assert [dict(labels)["check"] for labels in shown(data, target, one, at)] == [label]


def nothing_is_counted_twice(data: Data, at: float) -> None:
    """Compare what both targets of a site show together with what each of them shows."""
    model = boards.board("health")
    both = values_of(data, model, namespace="shop")
    alone = [values_of(data, model, namespace="shop", instance=one) for one in (data.web, data.sidecar)]
    for target in boards.targets(model):
        together = shown(data, target, both, at)
        each = [shown(data, target, values, at) for values in alone]
        if "up{" in target.expr and "count" in target.expr:
            continue
        assert together.keys() == each[0].keys() | each[1].keys(), target
        for labels, value in together.items():
            most = max(one.get(labels, -math.inf) for one in each)
            assert value <= max(most * 1.5, most + 1e-9), (target, labels)


def what_is_named_is_emitted(data: Data) -> None:
    """Look for each metric that an expression names, with the labels by which it is selected, and all other labels."""
    rules = [rule["expr"] for rule in boards.rules()]
    panels = [target.expr for name in BOARDS for target in boards.targets(boards.board(name))]
    labels = set(data.answer("labels"))
    assert not [label for label in labels if label.startswith("exported_")]
    assert boards.grouped_labels([*rules, *panels]) <= labels
    for expression in [*rules, *panels]:
        for metric, selecting in boards.selectors(expression):
            if metric == NATIVE:
                continue
            series = data.answer("series", **{"match[]": metric})
            assert series, f"{metric}, in {expression}"
            assert selecting <= {label for one in series for label in one}, f"{metric}, in {expression}"


NATIVE = "django_health_check_duration_seconds"
"""What there is where Prometheus scrapes native histograms only."""


def grafana_shows_it(data: Data, at: float) -> None:
    """Have Grafana's code shape the tables, where npm can bring it, and compare them with what the sites are like."""
    if grafana.modules() is None:
        print("Without Grafana's code, which npm did not bring: tables are not compared.")
        return
    found = {title: table for name in BOARDS for title, table in tables_of(data, boards.board(name), at).items()}
    checks = found["Sites by checks"]
    sites = checks["site\\check"]
    assert {"shop / django", "other-0 / django", "other-1 / django"} <= set(sites)
    assert len(set(sites)) == len(sites)
    assert checks["PriceList"][sites.index("shop / django")] == 3
    assert checks["PriceList"][sites.index("other-0 / django")] is None
    assert checks["Counting"][sites.index("other-0 / django")] == 0
    known = found["Sites"]
    assert len(set(zip(known["Site"], known["Namespace"], strict=True))) == len(known["Site"]) == len(sites)
    every = found["All checks"]
    rows = list(zip(every["Check"], every["Namespace"], strict=True))
    assert len(set(rows)) == len(rows)
    assert every["State"][rows.index(("PriceList", "shop"))] == 3
    assert {"Check", "State", "In this state for", "Critical"} <= found["What is wrong now"].keys()
    grid = found["Checks by instances"]
    assert grid[data.web][grid["check\\instance"].index("PriceList")] == 3
    firing = found["Firing alerts"]
    assert "HealthCheckFailing" in firing["Alert"]
    assert firing["anchor"] == [name.lower() for name in firing["Alert"]]
    assert firing["Runbook"][firing["Check"].index("PriceList")] == OWNED["runbook"]


def tables_of(data: Data, model: Mapping[str, Any], at: float) -> dict[str, grafana.Table]:
    """Return the tables of a dashboard by their titles."""
    values = values_of(data, model)
    panels = [panel for panel in boards.panels(model) if panel["type"] == "table"]
    targets = {target.panel: target for target in boards.targets(model)}
    asked = []
    for panel in panels:
        names = [target["refId"] for target in panel["targets"]]
        frames = [
            grafana.frame(name, shown(data, targets[f"{panel['title']}: {name}"], values, at), alone=len(names) == 1)
            for name in names
        ]
        asked.append({"transformations": panel.get("transformations", []), "frames": frames})
    return {panel["title"]: table for panel, (table, *_) in zip(panels, grafana.tables(asked), strict=True)}


def the_console_shows_it(data: Data) -> None:
    """Read the console page, and evaluate what its script asks for."""
    states = (">error<", ">warning<", ">unknown<", ">ok<")
    texts = ("Disk(path=&#39;/&#39;)", "HealthCheckFailing", "not 200", *states)

    def shown_page() -> str | None:
        page = get(f"{data.prometheus.url}/consoles/health.html", job="django")
        assert page.status == 200, page.body
        return page.body if all(text in page.body for text in texts) else None

    page = eventually(shown_page, what=f"{texts} on the page")
    expressions = [html.unescape(one) for one in re.findall(r'data-query="([^"]*)"', page)]
    assert len(expressions) > len(CHECKS)
    for expression in expressions:
        assert data.series(expression, at=time.time(), instant=False), expression
