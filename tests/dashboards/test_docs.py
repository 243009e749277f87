"""The pages on dashboards and alerts say what there is."""

from __future__ import annotations

import re

from health_check_dashboards.files import FILES
from health_check_dashboards.options import OF_TARGET, OPTIONS, REPEATED, RUNBOOKS
from tests.support.boards import alert_rules
from tests.support.servers import ROOT
from tests.support.site_of_docs import SITE

PAGE = (ROOT / "docs" / "how-to" / "dashboards.md").read_text()


def test_options__have_a_row_each() -> None:
    """The table has each option, with its default and its meaning, and no other."""
    rows = re.findall(r"^\| `--([\w-]+)` \| (.*?) ?\| (.*) \|$", PAGE, re.MULTILINE)
    expected = {option.name: (f"`{option.default}`" if option.default else "", option.text) for option in OPTIONS}
    expected["runbook-base"] = ("this project's page", expected["runbook-base"][1])
    expected |= {name: ("`/health/` of `--target`", expected[name][1]) for name in OF_TARGET}
    expected |= {option.name: ("", option.text) for option in REPEATED.values()}
    assert {name: (default, text) for name, default, text in rows} == expected


def test_files__are_named() -> None:
    """The list of files names each of them, but for what provisions Grafana."""
    for file in FILES:
        folder, _, name = file.path.rpartition("/")
        assert f"`{file.path}`" in PAGE or f"`{name}`" in PAGE or folder.startswith("grafana/provisioning"), file.path


def test_alerts__are_listed_with_their_severity() -> None:
    """The table of alerts has each, in the order of the rules."""
    page = (ROOT / "docs" / "alerts.md").read_text()
    rows = re.findall(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \|", page, re.MULTILINE)
    assert rows == [(rule["alert"], rule["alert"].lower(), rule["labels"]["severity"]) for rule in alert_rules()]


def test_runbooks__lead_to_the_page_on_alerts() -> None:
    """The address that alerts have by default is that of the page."""
    assert f"{SITE}/alerts/" == RUNBOOKS
    assert (ROOT / "docs" / "alerts.md").exists()
