"""What may be said of a site, and what becomes of it in the files."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from health_check_dashboards.files import ADAPTED, FILES, dashboard, packaged
from health_check_dashboards.options import DEFAULTS, OPTIONS, Option, options_of, seconds
from health_check_dashboards.templating import MARKS, adapt
from tests.support.boards import PACKAGE

OTHERS = {
    "NAME": "shop",
    "URL": "https://example.com/somewhere",
    "HOST:PORT": "shop.internal:8001",
    "TIME": "7h",
    "SHARE": "0.75",
    "COUNT": "9",
    "PERCENT": "99.95",
    "SOURCE": "push",
    "NAMES": "otlp",
    "FILE": "/etc/prometheus/shop.token",
    "UID": "tempo",
}
"""A value that no option has by default, by kind of value."""


@pytest.mark.parametrize("path", ADAPTED)
def test_file__is_what_a_site_with_the_defaults_gets(path: str) -> None:
    """What is in the package is what is written without options."""
    assert adapt(packaged(path), options_of({})) == packaged(path)


def test_dashboards__are_what_a_site_with_the_defaults_gets() -> None:
    """The JSON in the package is what is written without options."""
    for file in FILES:
        if file.path.startswith("grafana/dashboards/"):
            assert file.render(options_of({})) == (PACKAGE / file.path).read_text()


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_option__changes_something_and_nothing_of_the_default_remains(option: Option) -> None:
    """A value takes the place of the default wherever that stands in a marked line."""
    others = {
        "scrape-interval": {"gap": "15h"},
        "down-for": {"probe-for": "8h"},
        "export-interval": {"metrics": "otlp", "gap": "15h"},
    }.get(option.name, {})
    options = options_of({option.name: OTHERS[option.metavar], **others})
    assert any(file.render(options) != file.render(options_of(others)) for file in FILES)
    for path in ADAPTED:
        for line in adapt(packaged(path), options).splitlines():
            mark = MARKS.search(line)
            if mark and f"--{option.name}" in mark[0].split() and option.name not in ("objective", "source"):
                assert OTHERS[option.metavar] in line or " * 25200 / " in line, line


def test_marks__name_options() -> None:
    """Each mark in the files is an option."""
    names = {name for path in ADAPTED for mark in MARKS_OF.findall(packaged(path)) for name in mark.split()}
    assert {name.removeprefix("--") for name in names} <= DEFAULTS.keys()
    assert len(names) > 20


MARKS_OF = re.compile(MARKS.pattern, re.MULTILINE)


def test_adapting__refuses_a_mark_without_its_default() -> None:
    """A marked line that has not the default is a mistake in this package."""
    with pytest.raises(LookupError, match="2m"):
        adapt("for: 3m  # --failing-for\n", options_of({}))


def test_job__is_in_every_expression() -> None:
    """Another job leaves no expression on the old one."""
    text = adapt(packaged("prometheus/alerts.yml"), options_of({"job": "shop"}))
    assert 'job="django' not in text
    assert 'up{job="shop"}' in text
    assert 'probe_success{job="shop-probe"}' in text


def test_labels__tell_sites_apart_everywhere() -> None:
    """Another label is in every clause, in the queries of descriptions and of the console, in routes and panels."""
    options = options_of({}, ("env",))
    texts = {file.path: file.render(options) for file in FILES}
    for path, text in texts.items():
        assert not re.search(r"(?<!env, )namespace, job", text), path
    rules = texts["prometheus/alerts.yml"]
    queries = len(re.findall(r"env=%q,namespace=%q,job=%q", rules))
    assert queries == len(re.findall(r"\$labels\.env \$labels\.namespace \$labels\.job", rules)) > 5
    assert ".Labels.env .Labels.namespace .Labels.job" in texts["prometheus/consoles/health.html"]
    assert "group_by: [env, namespace, job]" in texts["alertmanager/alertmanager.yml"]
    board = texts["grafana/dashboards/health.json"]
    assert "by (env, namespace, job, check)" in board
    assert board.count('env=~\\"$env\\", namespace') == board.count('namespace=~\\"$namespace\\"') > 20
    assert [one["name"] for one in json.loads(board)["templating"]["list"]][:3] == ["datasource", "env", "namespace"]
    assert '\\"env\\", \\"namespace\\", \\"job\\"' in texts["grafana/dashboards/fleet.json"]


def test_labels__are_said_and_linked() -> None:
    """Alerts name the site by all labels, links between dashboards choose it by them, and tables have a column each."""
    texts = {file.path: file.render(options_of({}, ("env", "cell"))) for file in FILES}
    for rule in [one for group in yaml.safe_load(texts["prometheus/alerts.yml"])["groups"] for one in group["rules"]]:
        if "alert" in rule:
            said = rule["annotations"]
            assert (
                "?var-env={{ $labels.env | urlquery }}&var-cell={{ $labels.cell | urlquery }}&var-namespace"
                in (said["dashboard_url"])
            )
            assert "{{ with $labels.env }} in {{ . }}{{ end }}" in said["summary"] or "Probe" in rule["alert"]
    for name in ("health", "fleet", "now"):
        links = re.findall(r"/d/django-health\?[^\"]*Namespace[^\"]*", texts[f"grafana/dashboards/{name}.json"])
        assert links
        for link in links:
            assert "var-env=${__data.fields.Env:percentencode}&var-cell=${__data.fields.Cell:percentencode}&" in link
        for step in re.findall(r'"renameByName": \{[^}]*', texts[f"grafana/dashboards/{name}.json"]):
            assert '"env": "Env"' in step
    assert "{{job}} {{env}} {{cell}} {{namespace}}" in texts["grafana/dashboards/health.json"]
    assert "{{ with .Labels.env }}" in texts["prometheus/consoles/health.html"]


def test_runbooks__may_be_served_by_a_site() -> None:
    """With a base that ends in ``=`` the name of the alert is the value of the parameter, in alerts and on boards."""
    base = "https://shop.internal/health/?runbook="
    texts = {file.path: file.render(options_of({"runbook-base": base})) for file in FILES}
    assert f'{base}healthcheckfailing{{{{ end }}}}"' in texts["prometheus/alerts.yml"]
    assert f"runbook_url: {base}healthcheckfrozen " in texts["prometheus/alerts.yml"]
    assert f"{base}${{__data.fields.anchor}}" in texts["grafana/dashboards/now.json"]
    assert [path for path, text in texts.items() if "github.io" in text] == []


def test_target__is_where_the_health_page_is() -> None:
    """What is probed, and where alerts link to, is the page of ``--target``, unless another one is named."""
    options = options_of({"target": "shop.internal:8000", "health-url": "https://shop.example/health/"})
    assert options["probe"] == "http://shop.internal:8000/health/"
    assert options["health-url"] == "https://shop.example/health/"
    rendered = "".join(file.render(options_of({"target": "shop.internal:8000"})) for file in FILES)
    assert "host.docker.internal:8000" not in rendered


def test_health_url__is_how_instances_are_asked() -> None:
    """Links to an instance's health page have the scheme and the path of the site's."""
    text = dashboard("grafana/dashboards/now.json", options_of({"health-url": "https://shop.example/status/"}))
    assert '"https://${__value.raw}/status/"' in text
    assert "http://${__value.raw}" not in text


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("job", 'shop"}', "use letters, digits"),
        ("job", "", "use letters, digits"),
        ("failing-for", "5", "use a duration like 0s, 90s, 5m or 1h30m"),
        ("failing-for", "-5m", "use a duration"),
        ("failing-for", "30m1h", "use a duration"),
        ("gap", "0s", "use a duration like 90s"),
        ("slow-share", "1.5", "use a number between 0 and 1"),
        ("slow-share", "half", "use a number between 0 and 1"),
        ("flaps", "0", "use a whole number from 1 on"),
        ("flaps", "2.5", "use a whole number from 1 on"),
        ("objective", "100", "use a percentage from 95 to less than 100"),
        ("objective", "0.999", "use a percentage from 95 to less than 100"),
        ("target", "http://shop:8000", "use HOST:PORT"),
        ("webhook", "shop:8000", "use an address like https://"),
        ("runbook-base", "https://example.com/#top", "use an address like https://example.com/page, without"),
        ("grafana-folder", 'x"', "use letters, digits, spaces"),
        ("source", "pull", "use scrape, textfile or push"),
        ("metrics", "statsd", "use prometheus or otlp"),
        ("alertmanager", "alertmanager", "use HOST:PORT"),
        ("credentials-file", "a b", "use the path of a file"),
        ("tempo-uid", "a b", "use the uid of a data source"),
    ],
)
def test_value__is_refused_with_a_remedy(name: str, value: str, remedy: str) -> None:
    """The message names the option, the value, and what to use instead."""
    with pytest.raises(ValueError, match=re.escape(f"--{name} is {value!r}: {remedy}")):
        options_of({name: value})


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        *(("labels", label, f"--label is {label!r}: ") for label in ("job", "namespace", "en-v", "1env", "")),
        ("tags", "on-call", "--tag is 'on-call': use the name of a label"),
        ("k8s_labels", "release", "--k8s-label is 'release': use a label of Kubernetes, like release=monitoring"),
        ("k8s_labels", "a=" + "x" * 64, "name and value have 63 letters at most"),
        ("k8s_labels", "a=-x", "use a label of Kubernetes, like release=monitoring"),
        ("k8s_labels", "app.kubernetes.io/name=x", "app.kubernetes.io/name is there already"),
        ("owners", "payments", "--owner is 'payments': use an address like"),
        ("owners", "a b=https://example.com/", "--owner is 'a b=https://example.com/': use NAME=URL"),
    ],
)
def test_repeated__is_refused_with_a_remedy(field: str, value: str, remedy: str) -> None:
    """What may be said several times is checked each time; labels that mean something else already are refused."""
    with pytest.raises(ValueError, match=re.escape(remedy)):
        options_of({}, **{field: (value,)})


def test_tags__are_those_of_the_site() -> None:
    """Other tags take the place of owner and tier in the joins of all alerts on checks."""
    text = adapt(packaged("prometheus/alerts.yml"), options_of({}, tags=("team",)))
    assert "owner, tier" not in text
    assert "group_left (team, runbook)" in text


@pytest.mark.parametrize("source", ["textfile", "push"])
def test_source__leaves_out_what_stands_on_scrapes(source: str) -> None:
    """Where a command brings the metrics, no rule looks at ``up`` of the job; nor is a mark of that left."""
    text = adapt(packaged("prometheus/alerts.yml"), options_of({"source": source}))
    assert 'up{job="django"}' not in text.replace("store_up", "")
    assert not re.search("only: scrape|# otlp:", text.partition("groups:")[2])
    for alert in ("SiteDown", "TargetDown", "MostTargetsDown", "MetricsAbsent"):
        assert f"- alert: HealthCheck{alert}\n" not in text
    assert "- alert: HealthCheckFrozen\n" in text


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ({"metrics": "otlp", "source": "push"}, "--source is push: leave it out; with --metrics otlp"),
        (
            {"metrics": "otlp", "export-interval": "2m"},
            "--gap is 3m: use more than twice --export-interval, 2m; it has to bridge",
        ),
        (
            {"scrape-interval": "1m", "gap": "2m"},
            "--gap is 2m: use more than twice --scrape-interval, 1m; it has to bridge",
        ),
        ({"probe-for": "1m"}, "--probe-for is 1m: use more than --down-for, 2m; else the probe's alert"),
    ],
)
def test_pair__is_refused_with_a_remedy(said: dict[str, str], remedy: str) -> None:
    """What does not go together is named, with the reason."""
    with pytest.raises(ValueError, match=re.escape(remedy)):
        options_of(said)
    assert options_of({"export-interval": "2m"})["gap"] == "3m"


@pytest.mark.parametrize(("text", "expected"), [("90s", 90), ("1h30m", 5400), ("1d", 86400), ("500ms", 0.5), ("0s", 0)])
def test_seconds__reads_durations(text: str, expected: float) -> None:
    """Durations are Prometheus' own."""
    assert seconds(text) == expected
