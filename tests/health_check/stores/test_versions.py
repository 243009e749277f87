"""Two versions of this package on one host, at one store: each has its own records, and loses none to the other."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator

import pytest

from health_check.past import HALF_HOUR
from health_check.records import Record
from health_check.stores import Store, serializer
from health_check.stores.base import UNUSED_SECONDS
from tests.support.places import ERROR, KEY, MAX_AGE, Place, counted, lease_of, look, publish, record_of, result_at, run

OURS = serializer.VERSION
PAIRS = pytest.mark.parametrize(("first", "second"), [(OURS + 1, OURS), (OURS, OURS + 1), (OURS + 9, OURS + 10)])


@contextlib.contextmanager
def version(number: int) -> Iterator[None]:
    """Be another version meanwhile, whose records have another schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serializer, "VERSION", number)
        yield


def use(store: Store, shared_place: Place, runs: int) -> None:
    """Have a check run some times, more than the ones after which a store drops what is old."""
    for _ in range(runs):
        run(store, shared_place.run(ERROR))
        shared_place.clock.forward(1.0)


@PAIRS
def test_record__of_another_version__is_absent_and_stays(shared_place: Place, first: int, second: int) -> None:
    """What one version wrote is absent for the other, whose own runs neither overwrite nor delete it."""
    store, other = shared_place.open(), shared_place.open()
    with version(first):
        record = run(store, shared_place.run())
    with version(second):
        assert look(other).record is None
        other.release([lease_of(other)])
        use(other, shared_place, 70)
        other.release([lease_of(other, force=True)])
        other.forget([KEY])
        other.close()
        assert counted(record_of(shared_place.open())) == 70
    with version(first):
        assert record_of(store) == record_of(shared_place.open()) == record


@PAIRS
def test_lease__of_another_version__does_not_block(shared_place: Place, first: int, second: int) -> None:
    """Each version runs a check for itself: nobody waits for a record that it could not read."""
    store, other = shared_place.open(), shared_place.open()
    with version(first):
        lease = lease_of(store)
    with version(second):
        run(other, shared_place.run())
        assert look(other).fresh_for > 0
    with version(first):
        assert publish(store, shared_place.run(), lease=lease)
        assert counted(record_of(store)) == 1


@PAIRS
def test_past__of_another_version(sqlite_place: Place, first: int, second: int) -> None:
    """Each version reads its own former runs; a file that the other opens, as at a restart, still has them."""
    sqlite_place.clock.forward(HALF_HOUR - sqlite_place.clock.now() % HALF_HOUR)  # of a day one run is in the sample
    with version(first):
        use(sqlite_place.open(), sqlite_place, 3)
        before = sqlite_place.open().past([KEY])[KEY]
    with version(second):
        other = sqlite_place.open()
        assert other.past([KEY]) == {}
        use(other, sqlite_place, 5)
        sqlite_place.clock.forward(UNUSED_SECONDS / 2)
        with contextlib.closing(sqlite_place.open()) as newcomer:
            newcomer.probe()
        sqlite_place.clock.forward(-UNUSED_SECONDS / 2)
    with version(first):
        past = sqlite_place.open().past([KEY])[KEY]
        assert (past.days, past.changes) == (before.days, before.changes)
        assert sum(day.runs for day in past.days) == 3


@pytest.mark.parametrize(("first", "kept"), [(OURS + 1, True), (OURS, False)])
def test_unused_for_long__is_kept_if_newer(sqlite_place: Place, first: int, kept: bool) -> None:
    """What has not been used for a week is dropped, but for what a newer version wrote."""
    store = sqlite_place.open()
    with version(first):
        run(store, sqlite_place.run())
    sqlite_place.clock.forward(UNUSED_SECONDS + MAX_AGE)
    with contextlib.closing(sqlite_place.open()) as newcomer:
        newcomer.probe()
    with version(first):
        assert (look(store).record is not None) is kept


def test_draining__is_known_to_all_versions(shared_place: Place) -> None:
    """That a host is drained is no record: every version knows, whichever was told."""
    store, other = shared_place.open(), shared_place.open()
    with version(OURS + 1):
        store.drain(True)
    other.probe()
    assert other.draining is True


def test_version__is_raised_with_the_schema() -> None:
    """What is written changes only with its version: this fails until both are said here again."""
    result = dataclasses.replace(result_at(1000.0, ERROR), exemplar={"trace_id": "1"})
    record = json.loads(serializer.dump(Record.after(None, result, max_age=MAX_AGE)))
    assert (serializer.VERSION, sorted(record), sorted(record["result"])) == (
        3,
        ["fresh_until", "last_success", "last_transition", "release", "result", "seq", "streak", "totals", "version"],
        [
            *("backend", "error_type", "exemplar", "finished", "host", "messages", "pid", "started"),
            *("time_taken", "timed_out"),
        ],
    )
    assert sorted(record["totals"]) == ["durations", "exemplars", "runs", "seconds"]
