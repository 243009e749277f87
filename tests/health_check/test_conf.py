"""The settings."""

from __future__ import annotations

import datetime
import math
import time
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from health_check import conf
from health_check.conf import host_name, seconds, site_name
from health_check.conf import settings as ours
from health_check.monitor import runtime
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.client import Lag


@pytest.fixture
def _outside_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be in a process that runs no test suite."""
    monkeypatch.delattr("django.test.utils._TestState.saved_data")


def test_seconds__numbers_and_timedeltas() -> None:
    """A number from 0 up and a timedelta are seconds, anything else is not."""
    given = (0, 2, 1.5, datetime.timedelta(minutes=1), datetime.timedelta(0))
    assert [seconds(value) for value in given] == [0.0, 2.0, 1.5, 60.0, 0.0]
    others: list[object] = [-1, datetime.timedelta(seconds=-1), math.inf, math.nan, 10**400, True, "5", None, []]
    assert [value for value in others if seconds(value) is not None] == []


DEFAULTS = {
    "TIMEOUT": 5.0,
    "MAX_AGE": 10.0,
    "MAX_CONCURRENCY": 32,
    "WAIT": 0.8,
    "SCRAPE_WAIT": 2.0,
    "WARNINGS_AS_ERRORS": True,
    "URLCONF": "tests.urls",
    "STORE": {"BACKEND": "health_check.stores.sqlite.SQLiteStore", "OPTIONS": {}},
    "SCHEDULER": False,
    "TRACES": "all",
    "ENVIRONMENT": "",
    "TRACE_URL": "",
    "DURATION_BUCKETS": (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0),
}


@pytest.mark.usefixtures("_outside_tests")
@pytest.mark.parametrize("configured", [None, {}])
def test_settings__defaults(configured: object, settings: Settings) -> None:
    """Without settings the documented defaults hold."""
    if configured is not None:
        settings.HEALTH_CHECK = configured
    assert {name: getattr(ours, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.usefixtures("_outside_tests")
def test_settings__debug(settings: Settings) -> None:
    """With DEBUG results are fresh for a second, unless a setting says otherwise."""
    settings.DEBUG = True
    assert ours.MAX_AGE == 1
    settings.HEALTH_CHECK = {"MAX_AGE": 30}
    assert ours.MAX_AGE == 30


def test_settings__test_environment(settings: Settings) -> None:
    """In a test suite nothing is kept and nothing leaves the thread, unless a setting says otherwise."""
    assert (ours.MAX_AGE, ours.MAX_CONCURRENCY, ours.MAX_AGE_OVERRIDES_CHECKS) == (0, 0, True)
    assert ours.STORE == {"BACKEND": "health_check.stores.memory.MemoryStore", "OPTIONS": {}}
    assert ours.SCHEDULER is False
    settings.HEALTH_CHECK = {"MAX_AGE": 30, "MAX_CONCURRENCY": 4}
    assert (ours.MAX_AGE, ours.MAX_CONCURRENCY, ours.MAX_AGE_OVERRIDES_CHECKS) == (30, 4, False)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("TIMEOUT", datetime.timedelta(seconds=3), 3.0),
        ("MAX_AGE", 0, 0.0),
        ("WAIT", 0, 0.0),
        ("MAX_CONCURRENCY", 0, 0),
        ("WARNINGS_AS_ERRORS", False, False),
        ("URLCONF", "shop.urls", "shop.urls"),
        ("TRACES", "none", "none"),
        ("SCHEDULER", True, True),
        ("STORE", {"BACKEND": "a.B"}, {"BACKEND": "a.B", "OPTIONS": {}}),
        ("STORE", {"BACKEND": "a.B", "OPTIONS": {"x": 1}}, {"BACKEND": "a.B", "OPTIONS": {"x": 1}}),
        ("ENVIRONMENT", "production", "production"),
        ("TRACE_URL", "https://x/{trace_id}", "https://x/{trace_id}"),
        ("TRACE_URL", "", ""),
        ("DURATION_BUCKETS", [0.1, 1, 10], (0.1, 1.0, 10.0)),
        ("DURATION_BUCKETS", (0.1,), (0.1,)),
        ("DURATION_BUCKETS", [datetime.timedelta(milliseconds=5), 1], (0.005, 1.0)),
        ("DURATION_BUCKETS", list(range(1, 51)), tuple(map(float, range(1, 51)))),
    ],
)
def test_settings__configured(key: str, value: object, expected: object, settings: Settings) -> None:
    """What the site sets holds, from that moment on."""
    settings.HEALTH_CHECK = {key: value}
    assert getattr(ours, key) == expected


BOUNDS = [
    *(None, [], (), "0.1, 1", 5, {"0.1": 1}, {0.1}),
    *([0, 1], [-1, 1], [1, 0.1], [1, 1], [1, 1.0], [0.1, "1"], [0.1, True], [0.1, None], [0.1, math.inf]),
    *([0.1, math.nan], [10**400], [float(number) for number in range(1, 52)]),
]
STORES = ["memory", {}, {"BACKEND": "a.B", "OPTIONS": []}, {"BACKEND": "a.B", "LOCATION": "x"}, {"BACKEND": 3}, None]


@pytest.mark.parametrize(
    ("key", "values", "remedy"),
    [
        ("TIMEOUT", [0, "5", None], "use a number of seconds above 0."),
        ("MAX_AGE", [-1, math.inf], "use a number of seconds from 0 up."),
        ("WAIT", [True], "use a number of seconds from 0 up."),
        ("SCRAPE_WAIT", ["x"], "use a number of seconds from 0 up."),
        ("MAX_CONCURRENCY", [-1, 1.5, True], "use a whole number of threads"),
        ("WARNINGS_AS_ERRORS", ["yes"], "use True or False."),
        ("URLCONF", [3], "use the dotted path of a URLconf module."),
        ("STORE", STORES, "use a dict like"),
        ("SCHEDULER", [1, "yes"], "use True or False."),
        ("TRACES", ["some", ["all"]], 'use "all"'),
        ("ENVIRONMENT", [1, "x" * 201], "use a text of at most 200 letters"),
        ("TRACE_URL", ["https://tempo.example.com/", "javascript:{trace_id}", None], "use an address like"),
        ("DURATION_BUCKETS", BOUNDS, "use a list of at most 50 numbers"),
    ],
)
def test_settings__unusable(key: str, values: list[object], remedy: str, settings: Settings) -> None:
    """A value that cannot be used is refused with its key, itself and the remedy."""
    for value in values:
        settings.HEALTH_CHECK = {key: value}
        with pytest.raises(ImproperlyConfigured) as caught:
            getattr(ours, key)
        text = str(caught.value)
        assert text.startswith(f"HEALTH_CHECK[{key!r}] is {value!r}: {remedy}")
        assert conf.problems() == [text]


def test_settings__secrets_stay_out_of_messages(settings: Settings) -> None:
    """A value that cannot be used is shown without what is secret in it."""
    settings.HEALTH_CHECK = {"STORE": {"LOCATION": "redis://:hunter2@cache", "PASSWORD": "hunter2"}}
    (text,) = conf.problems()
    assert "LOCATION" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_settings__no_dict(value: object, settings: Settings) -> None:
    """HEALTH_CHECK itself has to be a dict; that is one problem, not one for each key."""
    settings.HEALTH_CHECK = value
    assert conf.problems() == [f"HEALTH_CHECK is {value!r}: use a dict of settings."]
    assert conf.unknown() == []
    with pytest.warns(DeprecationWarning, match="django.conf"), pytest.raises(ImproperlyConfigured, match="use a dict"):
        _ = conf.HEALTH_CHECK


def test_problems__all_of_them(settings: Settings) -> None:
    """Each setting that cannot be used is told, not only the first."""
    settings.HEALTH_CHECK = {"TIMEOUT": 0, "MAX_AGE": 5, "TRACES": 3}
    assert [text.partition(" is ")[0] for text in conf.problems()] == [
        "HEALTH_CHECK['TIMEOUT']",
        "HEALTH_CHECK['TRACES']",
    ]


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("TIMEOUTS", " Did you mean 'TIMEOUT'?"),
        ("timeout", " Did you mean 'TIMEOUT'?"),
        ("MAXAGE", " Did you mean 'MAX_AGE'?"),
        ("MAX_CONCURENCY", " Did you mean 'MAX_CONCURRENCY'?"),
        ("SCHEDULAR", " Did you mean 'SCHEDULER'?"),
        ("STORES", " Did you mean 'STORE'?"),
        ("ZZZ", ""),
        (7, ""),
    ],
)
def test_unknown__nearest_known_key(key: object, hint: str, settings: Settings) -> None:
    """A key that does nothing is named, with the one that may have been meant."""
    settings.HEALTH_CHECK = {key: 1, "TIMEOUT": 5}
    assert conf.unknown() == [f"HEALTH_CHECK[{key!r}] is not a setting of django-health-exporter.{hint}"]


@pytest.mark.parametrize(
    ("keys", "unknown"),
    [
        ((*conf.KNOWN, *conf.LEGACY, *conf.REMOVED), 0),
        ((7, "ZZZ", None), 3),
        (("MAX_AGE_OVERRIDES_CHECKS", "DEBUG"), 2),
    ],
)
def test_unknown__how_many(keys: tuple[object, ...], unknown: int, settings: Settings) -> None:
    """Keys of ours and of version 3.x are known; what cannot be sorted, or only looks like a setting, is not."""
    settings.HEALTH_CHECK = dict.fromkeys(keys, 1)
    assert len(conf.unknown()) == unknown


@pytest.mark.usefixtures("_outside_tests")
def test_disable_threading__means_no_concurrency(settings: Settings) -> None:
    """3.x's DISABLE_THREADING still applies, with a warning, where MAX_CONCURRENCY is not set."""
    settings.HEALTH_CHECK = {"DISABLE_THREADING": True}
    with pytest.warns(DeprecationWarning, match="DISABLE_THREADING.*MAX_CONCURRENCY"):
        assert ours.MAX_CONCURRENCY == 0
    settings.HEALTH_CHECK = {"DISABLE_THREADING": True, "MAX_CONCURRENCY": 4}
    assert ours.MAX_CONCURRENCY == 4


@pytest.mark.parametrize("value", ["90", True])
def test_legacy_number__no_number(value: Any, settings: Settings) -> None:
    """A threshold of 3.x that is no number is refused with its key and itself."""
    settings.HEALTH_CHECK = {"DISK_USAGE_MAX": value}
    with (
        pytest.warns(DeprecationWarning, match="max_disk_usage_percent"),
        pytest.raises(ImproperlyConfigured, match=rf"HEALTH_CHECK\['DISK_USAGE_MAX'\] is {value!r}: use a number"),
    ):
        conf.legacy_number("DISK_USAGE_MAX")


def test_legacy_number__number(settings: Settings) -> None:
    """A threshold of 3.x applies with a warning, and one that is not set is None without."""
    settings.HEALTH_CHECK = {"MEMORY_MIN": 100}
    assert conf.legacy_number("DISK_USAGE_MAX") is None
    with pytest.warns(DeprecationWarning, match="min_gibibytes_available"):
        assert conf.legacy_number("MEMORY_MIN") == 100


@pytest.mark.usefixtures("_outside_tests")
def test_in_test_environment__not_by_a_mail_that_was_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site whose mails go to memory is no test suite, once it has sent one."""
    monkeypatch.setattr("django.core.mail.outbox", [], raising=False)
    assert not conf.in_test_environment()
    assert conf.settings.MAX_AGE == 10


def test_names__of_the_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What people call the site, and where it runs, is said by settings, else by the environment."""
    settings.HEALTH_CHECK = {}
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,deployment.environment.name=staging")
    assert (site_name(), ours.ENVIRONMENT) == ("shop", "staging")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=old%20name")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "store")
    assert (site_name(), ours.ENVIRONMENT) == ("store", "old name")
    settings.HEALTH_CHECK = {"SITE": "mine", "ENVIRONMENT": "production"}
    assert (site_name(), ours.ENVIRONMENT) == ("mine", "production")


@pytest.mark.parametrize(
    ("store", "name"),
    [
        (None, "machine"),
        ({"BACKEND": "a.B"}, "machine"),
        ({"BACKEND": "a.B", "OPTIONS": {"host": "web-1"}}, "web-1"),
        ("no dict", "machine"),
    ],
)
def test_host_name__one_everywhere(store: Any, name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host is called as its store says, else as the machine is; a store that cannot be used says nothing."""
    monkeypatch.setattr("socket.gethostname", lambda: "machine")
    settings.HEALTH_CHECK = {} if store is None else {"STORE": store}
    assert host_name() == name


ANSWER_SECONDS = 0.9
"""How soon a site says that it is not configured properly, on a busy machine; waiting for a check takes longer."""


def test_buckets__unusable__told_at_once(settings: Settings, mount_checks: Mount, client: Client, lag: Lag) -> None:
    """What cannot be used is told by a system check, and by the endpoint at once; metrics of others stay."""
    settings.HEALTH_CHECK = {"MAX_CONCURRENCY": 4, "MAX_AGE": 60, "TIMEOUT": 1, "DURATION_BUCKETS": [3, 1]}
    mount_checks(Fine)
    found = [message.id for message in run_checks(tags=["health_check"]) if "DURATION_BUCKETS" in message.msg]
    assert found == ["health_check.E001"]
    start = time.monotonic()
    answer, metrics = client.get("/health/", {"format": "json"}), client.get("/metrics")
    assert time.monotonic() - start < ANSWER_SECONDS + lag.slack
    assert (answer.status_code, metrics.status_code) == (500, 200)
    assert b"HEALTH_CHECK['DURATION_BUCKETS'] is [3, 1]" in answer.content
    assert b"python_info" in metrics.content
    assert b"django_health_check_store_up 0.0" in metrics.content


def test_settings__changed_in_place(settings: Settings) -> None:
    """A list or a dict is read again each time, as it may have become another one."""
    bounds = [20]
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": bounds}
    before = ours.DURATION_BUCKETS
    bounds.append(40)
    assert [before, ours.DURATION_BUCKETS] == [(20.0,), (20.0, 40.0)]


def test_changed__counts_by_the_new_ones(settings: Settings, mount_checks: Mount, client: Client) -> None:
    """Runs are counted by the bounds that are set, and the page has a bucket for each, and the last one."""
    settings.HEALTH_CHECK = {"DURATION_BUCKETS": [20, 40]}
    mount_checks(Fine)
    page = client.get("/metrics").content.decode()
    lines = [line for line in page.splitlines() if line.startswith("django_health_check_duration_seconds_bucket")]
    assert [line.partition(" ")[0].partition('le="')[2].rstrip('"}') for line in lines] == ["20.0", "40.0", "+Inf"]
    [reading] = runtime.read().readings
    assert reading.record is not None
    assert reading.record.totals.durations.keys() == {20.0}
