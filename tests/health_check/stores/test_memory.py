"""The store of one process, beyond what every store promises."""

from __future__ import annotations

import concurrent.futures

from health_check.stores import Key
from health_check.stores.memory import MemoryStore
from tests.support.places import KEY, Place, ask, counted, look, publish, record_of, run


def test_forget__drops_the_record_and_the_past(memory_place: Place) -> None:
    """What is forgotten is gone, others stay; what is not known is forgotten without harm."""
    store, other = memory_place.open(), Key(label="Cache")
    run(store, memory_place.run())
    run(store, memory_place.run(), key=other)
    store.forget([KEY, Key(label="Mail")])
    assert look(store).record is None
    assert list(store.past([KEY, other])) == list(store.past_failures([KEY, other])) == [other]
    assert look(store, other).record is not None


def test_look__one_of_many_threads_gets_the_lease() -> None:
    """Unlike the others this store is used by several threads at once: each lease has one holder, no run is lost."""
    store, threads = MemoryStore(), 8
    place = Place(create_store=lambda clock: store)

    def use(_: int) -> None:
        while (entry := ask(store, force=True)).lease is None:
            pass
        assert publish(store, place.run(), lease=entry.lease, after=entry.record)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(use, range(200)))
    assert counted(record_of(store)) == record_of(store).seq == 200


def test_memory__is_a_process_s_own(memory_place: Place) -> None:
    """Two such stores know nothing of each other, and no use of them is I/O."""
    first, second = memory_place.open(), MemoryStore()
    run(first, memory_place.run())
    first.drain(True)
    assert (look(second).record, second.draining) == (None, False)
    assert (first.shared, first.trouble()) == (False, "")
