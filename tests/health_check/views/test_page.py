"""What the page shows: uptimes, incidents, hosts, groups; from what is known of the past."""

from __future__ import annotations

import dataclasses
import re
import time
from typing import Any

import pytest

from health_check.durations import sample_of
from health_check.exceptions import ServiceUnavailable, ServiceWarning
from health_check.monitor.history import History
from health_check.monitor.reports import Row
from health_check.past import DAY, DAYS, HALF_HOUR, HALF_HOURS, Incident, Period, gapless
from health_check.records import Message, Record, State
from health_check.registry.policies import Policy
from health_check.views.graphs import duration_lines, history_bars
from health_check.views.headline import since_of
from health_check.views.page import MOST_OPEN, docstring, page_of
from health_check.views.query import Query
from health_check.views.words import clock, percent, span, uptime
from tests.support.checks import Fine
from tests.support.places import result_at
from tests.support.readings import reading, report, row
from tests.support.status_page import StatusPage


def half_hours(**states: Any) -> tuple[Period, ...]:
    """Return a day of half hours, of which the present one has these runs."""
    now = time.time()
    present = Period(int(now // HALF_HOUR) * HALF_HOUR)._replace(**states)
    return gapless([present], now, length=HALF_HOUR, count=HALF_HOURS)


def days(*counts: tuple[int, int]) -> tuple[Period, ...]:
    """Return 90 days, of which the last ones have so many good and so many bad runs."""
    now = time.time()
    today = int(now // DAY) * DAY
    found = [Period(today - age * DAY, DAY, ok=ok, error=bad) for age, (ok, bad) in enumerate(reversed(counts))]
    return gapless(found, now, length=DAY, count=DAYS)


def titled(what: Row, **policy: Any) -> Row:
    """Return a row whose check says this of itself."""
    definition = dataclasses.replace(what.reading.definition, policies=(Policy(**policy),))
    return dataclasses.replace(what, reading=dataclasses.replace(what.reading, definition=definition))


DATABASE, SEARCH = row(reading("Database")), row(reading("Search"), critical=False)


@pytest.mark.parametrize(
    ("share", "words"),
    [(None, "–"), (1.0, "100 %"), (0.99999999, "99.99 %"), (0.5, "50.00 %"), (0.0, "0.00 %"), (2 / 3, "66.66 %")],
)
def test_percent__is_never_better_than_true(share: float | None, words: str) -> None:
    """100 % is said only where nothing failed."""
    assert percent(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 s"),
        (100, "100 s"),
        (420, "7 min"),
        (3 * 3600 + 1260, "3 h 21 min"),
        (7200, "2 h"),
        (11 * 3600 + 1260, "11 h"),
        (86400 * 3.5, "3 d 12 h"),
        (86400 * 400, "400 d"),
    ],
)
def test_span__units(seconds: float, words: str) -> None:
    """Spans are in seconds at first, in larger units later; a clock set back gives no negative one."""
    assert span(seconds) == words


def test_clock__in_the_zone_of_the_site(settings: Any) -> None:
    """The time of today is told alone, of other days with the day."""
    settings.TIME_ZONE = "Asia/Kathmandu"
    settings.USE_TZ = True
    assert clock(1_700_000_000, 1_700_000_100) == "03:58"
    assert clock(1_700_000_000, 1_700_200_000) == "15 Nov 03:58"
    assert clock(1_700_000_000, 1_700_200_000, seconds=True) == "15 Nov 03:58:20"


def test_uptime__of_critical_checks() -> None:
    """The banner has the uptime of the critical checks over a day, a week and a month; warnings count as up."""
    known = History(
        half_hours={"Database": half_hours(ok=8, warning=1, error=1), "Search": half_hours(error=10)},
        days={"Database": days(*[(10, 10)] * 10, *[(9, 1)] * 6, (0, 0)), "Search": days((0, 10))},
    )
    assert page_of(report(DATABASE, SEARCH), known)["uptimes"] == [
        ("24 h", "90.00 %"),
        ("7 d", "90.00 %"),
        ("30 d", "59.23 %"),
    ]
    assert page_of(report(SEARCH), known)["uptimes"][0] == ("24 h", "0.00 %")
    assert page_of(report(DATABASE, SEARCH))["uptimes"] == []


def test_rows__history_of_the_range() -> None:
    """A row has the bars of 24 hours, or of the days that are asked for, its uptime, and how long runs took."""
    known = History(
        half_hours={"Database": half_hours(ok=3, error=1, longest=0.3, times=sample_of(0.1) * 2 + sample_of(0.2))},
        days={"Database": days((0, 5), (4, 0), (4, 0))},
    )
    (line,) = page_of(report(DATABASE), known)["lines"]
    assert (line["up"], line["median"], line["longest"]) == ("75.00 %", "p50 100 ms", "max 300 ms")
    (line,) = page_of(report(DATABASE), known, Query(range="7d"))["lines"]
    assert line["up"] == "61.53 %"
    assert StatusPage(line["bars"]).labels == ["Last 7d: error in 1 day; not observed in 4 days; 61.53 % up"]


def test_bars__titles_of_what_was_bad() -> None:
    """What was not ok says when that was and how many runs; what was ok, and what was not observed, are two shapes."""
    svg = history_bars(half_hours(ok=2, warning=1, timeout=1), range_name="24h")
    ((state, title),) = StatusPage(svg).bars
    assert (state, re.sub(r"^.* \d\d:\d\d: ", "", title)) == ("error", "2 of 4 runs not ok")
    assert svg.count("<path") == 2
    assert "style=" not in svg


@pytest.mark.parametrize("runs", [0, 1, 48])
def test_lines__of_few_runs(runs: int) -> None:
    """There is a line of any number of runs, and none of none."""
    periods = tuple(Period(n * HALF_HOUR, ok=int(n < runs), time_taken=0.1, longest=0.1) for n in range(HALF_HOURS))
    periods = tuple(period if period.ok else Period(period.start) for period in periods)
    svg = duration_lines(periods)
    assert svg.count("<path") == (2 if runs else 0)
    assert "nan" not in svg


def test_uptime__of_several() -> None:
    """Of several checks the worst counts in each period, as what needs all of them is down while any fails."""
    start = 1_800_000_000 // HALF_HOUR * HALF_HOUR
    fine = [Period(start=start + each * HALF_HOUR, ok=100) for each in range(4)]
    first = [Period(start=start, error=10), *(Period(start=each.start, ok=9, warning=1) for each in fine[1:])]
    second = [Period(start=start + HALF_HOUR, ok=50, timeout=50)]
    assert uptime(fine, *[fine] * 20) == 1
    assert uptime(fine, first) == 0.75
    assert uptime(fine, *[fine] * 20, first, second) == 0.625
    assert uptime(first) == 30 / 40


def test_uptime__of_nothing() -> None:
    """Without runs there is no uptime."""
    assert uptime() is None
    assert uptime(half_hours()) is None


def test_since__the_first_that_fails() -> None:
    """The banner says since when the first failing check has been failing."""
    now = time.time()
    first = row(reading("Database", "gone", finished=now - 420))
    found = since_of(report(DATABASE, first, row(reading("Cache", "gone"))), now)
    assert re.fullmatch(r"since .*\d\d:\d\d \(7 min\)", found)
    assert since_of(report(DATABASE), now) == ""


def test_groups__worst_first() -> None:
    """Groups with what fails come first, and in each what fails; an explicit order is one list."""
    rows = [
        titled(DATABASE, group="Data"),
        titled(row(reading("Cache", ServiceWarning("slow")), critical=False), group="Data"),
        SEARCH,
        titled(row(reading("Mail", "gone")), group="Services"),
    ]
    groups = page_of(report(*rows), History(half_hours={"Database": half_hours(ok=9, error=1)}))["groups"]
    assert [(group["name"], group["summary"], group["up"]) for group in groups] == [
        ("Services", "1 error", ""),
        ("Data", "1 warning, 1 ok", "90.00 %"),
        ("", "1 ok", ""),
    ]
    assert [line["reading"].label for line in groups[1]["lines"]] == ["Cache", "Database"]
    (group,) = page_of(report(*rows), query=Query(sort="name"))["groups"]
    assert [line["title"] for line in group["lines"]] == ["Cache", "Database", "Mail", "Search"]


def test_groups__of_many_checks() -> None:
    """Of many checks, those that are ok are folded, unless filters or another order are asked for."""
    rows = [titled(row(reading(f"{n}")), group="Fine") for n in range(MOST_OPEN)]
    bad = titled(row(reading("x", "gone")), group="Fine")
    (group,) = page_of(report(*rows))["groups"]
    assert [part.get("summary") for part in group["parts"]] == [None]
    (group,) = page_of(report(*rows, bad))["groups"]
    assert [(len(part["lines"]), part.get("summary")) for part in group["parts"]] == [(1, None), (30, "30 are ok")]
    (group,) = page_of(report(*rows, bad), query=Query(sort="name"))["groups"]
    assert [len(part["lines"]) for part in group["parts"]] == [31]


def test_incidents__of_a_week_or_the_range() -> None:
    """Incidents of a week are shown by title, longer ago ones where that is asked for; ten at once."""
    now = time.time()
    incidents = [Incident(label="Database", began=now - 100, hosts=("a", "b"), worst=State.WARNING, message="one\ntwo")]
    incidents += [Incident(label="Database", began=now - n * 3600, ended=now - n * 3600 + 60) for n in range(1, 12)]
    incidents += [Incident(label="Database", began=now - 20 * DAY, ended=now - 20 * DAY + 60)]
    known, shown = History(incidents=tuple(incidents)), report(titled(DATABASE, title="Orders"))
    found = page_of(shown, known)["incidents"]
    assert (len(found["first"]), len(found["earlier"]), found["days"]) == (10, 2, 7)
    first = found["first"][0]
    assert (first["title"], first["ended"], first["hosts"], first["message"]) == ("Orders", None, ("a", "b"), "one")
    assert first["lasted"] in ("100 s", "101 s")
    assert len(page_of(shown, known, Query(range="30d"))["incidents"]["earlier"]) == 3


def record(age: float, *errors: Exception, max_age: float = 10) -> Record:
    """Return a record of another host."""
    return Record.after(None, result_at(time.time() - age, *map(Message.of, errors)), max_age=max_age)


def test_hosts__what_differs_from_here() -> None:
    """Each host says how it is; what is otherwise than here is told, and a host that is silent is marked."""
    elsewhere = {
        "web-2": {"Database": record(5, ServiceUnavailable("gone")), "Search": record(25)},
        "web-3": {"Database": record(31), "Search": record(40)},
        "web-4": {"Database": record(31), "Search": record(29, max_age=60)},
    }
    here, bad, silent, slow = page_of(report(DATABASE, SEARCH), History(elsewhere=elsewhere))["hosts"]
    assert (here["is_here"], here["summary"], here["state"]) == (True, "2 ok", State.OK)
    assert (bad["state"], bad["summary"], bad["is_silent"]) == (State.ERROR, "1 error, 1 ok", False)
    assert bad["different"] == ["Database: error there, unavailable: gone"]
    assert (silent["is_silent"], silent["sign"], silent["age"]) == (True, "?", "31 s ago")
    assert (silent["different"], slow["is_silent"]) == ([], False)


def test_banner__silent_and_drained_hosts() -> None:
    """Which hosts are silent and drained is said on top; silence alone is no warning: rollouts leave silent hosts."""
    elsewhere = {"web-2": {"Database": record(5)}, "web-3": {"Database": record(40)}}
    page = page_of(report(DATABASE), History(elsewhere=elsewhere, drained=frozenset({"web-2"})))
    assert (page["mood"], page["headline"]) == ("ok", "All checks pass")
    assert page["notes"] == ["Silent host: web-3, last run 40 s ago.", "Drained host: web-2."]
    assert [host["is_drained"] for host in page["hosts"]] == [False, True, False]
    many = {f"web-{number}": {"Database": record(40)} for number in range(2, 7)}
    page = page_of(report(row(reading("Database", "gone"))), History(elsewhere=many))
    assert (page["mood"], page["headline"]) == ("error", "Failing: Database")
    assert page["notes"] == [
        "Silent hosts: web-2, last run 40 s ago; web-3, last run 40 s ago; web-4, last run 40 s ago; 2 more."
    ]
    assert page_of(report(DATABASE).without_details(), History(elsewhere=elsewhere))["notes"] == []


def test_counts__worst_first() -> None:
    """How many checks are in which state is said in plain English, what is worst first."""
    rows = [row(reading(f"{n}", *["gone"] * (n < 2))) for n in range(3)]
    assert page_of(report(*rows))["summary"] == "2 errors, 1 ok"


@pytest.mark.parametrize(
    ("age", "max_age", "is_silent"), [(9, 1, False), (11, 1, True), (179, 0, False), (181, 0, True), (29, 10, False)]
)
def test_hosts__silent_after(age: float, max_age: float, is_silent: bool) -> None:
    """A host is not silent within ten seconds, nor where its checks run only when somebody asks, for three minutes."""
    known = History(elsewhere={"web-2": {"Database": record(age, max_age=max_age)}})
    assert page_of(report(DATABASE), known)["hosts"][1]["is_silent"] is is_silent


def test_hosts__of_one_host() -> None:
    """A site with one host does not list it."""
    assert page_of(report(DATABASE))["hosts"] == []


class Undocumented(Fine):
    def __init__(self, x: int = 1) -> None:
        super().__init__()


@dataclasses.dataclass
class Generated(Fine):
    """Look at one thing.

    More of it.

    Args:
        x: A number.
    """

    x: int = 1


BARE: type = dataclasses.dataclass(type("Bare", (Fine,), {"__annotations__": {"x": int}, "x": 1}))


@pytest.mark.parametrize(
    ("check_class", "text"), [(Undocumented, ""), (BARE, ""), (Generated, "Look at one thing.\n\nMore of it.")]
)
def test_docstring__for_people(check_class: type, text: str) -> None:
    """A check's own docstring tells what it verifies, without what is for programmers."""
    assert docstring(check_class) == text
