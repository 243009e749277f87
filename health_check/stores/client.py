"""The store client: calls the store on one thread, and lets this process work without a store that cannot be used."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from health_check.concurrency import threads
from health_check.concurrency.clock import BEAT_SECONDS, NOTICED_SECONDS, Clock
from health_check.concurrency.connections import close_connections
from health_check.concurrency.futures import Future, settle
from health_check.concurrency.worker import Step, Worker
from health_check.logs import details, log_once, logger
from health_check.records import Record
from health_check.redaction import escaped_lines, mask
from health_check.stores.base import Lease, Publication, Query, Store, StoreEntry, StoreError

T = TypeVar("T")

Work = Callable[[Store], T]
Undo = Callable[[Store, T], object]

ANSWER_SECONDS = 0.25
"""How long a reader waits for the store: where it can show nothing, checks are run without the call that is silent."""

LOST_SECONDS = 1.0
"""How long a call may make no progress before the store is lost. One that goes on is slow, however long it takes."""

LEAST_IDLE = 0.2
"""Which share of that time counts where the process computes all the time: the call waits for the interpreter, too."""

MOST_TRIES = 3
"""How often in a row a call may fail before the store is lost."""

RETRY_SECONDS = 1.0
"""How often to see whether a store that was lost is back."""

STUCK_SECONDS = 30.0
"""After how long an attempt to come back is left to itself, and another one made."""

MOST_ATTEMPTS = 4
"""How many attempts may hang at once."""

MARK_SECONDS = 1.0
"""How often to ask a store that cannot say at once whether a run was forced."""

MARK_FOLLOWED_SECONDS = 30.0
"""For how long after an answer to go on doing so."""

DRAINING_SECONDS = 1.0
"""For how long it is known whether this host is drained."""


LOST = "The store of the health checks cannot be used: %s. Until it can, this process keeps its records in memory.%s"


class SupersededError(Exception):
    """The step that called the store was given up, and another one does its work: raised when the call returns."""


class _Call:
    """A call that is under way, and for how long it has made no progress, as far as somebody has looked.

    What passes between two looks counts as one beat at most: nobody knows whether the process could go on.
    """

    __slots__ = ("_clock", "_looked_at", "_used", "_went_on_at", "idle_silence", "is_left", "silence", "store")

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.is_left = False
        self._clock = clock
        self.went_on()
        self._looked_at, self._used = self._went_on_at, time.process_time()
        store.progressed = self.went_on

    def went_on(self) -> None:
        """Note that it has made progress; on its thread, at each statement: it has to cost next to nothing."""
        self.silence = self.idle_silence = 0.0
        """For how many seconds it has made none, and for how many of them the process had nothing else to do."""
        self._went_on_at = self._clock.monotonic()

    def look(self, *, late: bool) -> None:
        """Count the time since the last look, unless who looks is late himself."""
        now, used = self._clock.monotonic(), time.process_time()
        gap = now - self._looked_at
        silent = min(gap, now - self._went_on_at, BEAT_SECONDS + NOTICED_SECONDS)
        if not late and silent > 0:
            self.silence += silent
            self.idle_silence += silent * max(LEAST_IDLE, 1.0 - (used - self._used) / gap)
        self._looked_at, self._used = now, used


class StoreClient:
    """Call the store on the thread of a worker, one call at a time.

    A store that fails several times in a row, or whose call makes no progress for ``LOST_SECONDS``, is lost: until it
    is back every call has its default at once. Somebody who can show nothing waits for a call without progress for
    ``ANSWER_SECONDS`` only, and then leaves it, with its thread: until it returns, other calls have their defaults, but
    the store is ``up``, and used again afterwards. Both is found by who waits (``rescue``).

    The lock guards what the store, the call and the worker are, and is held for moments. ``_calling`` is held during a
    call, for who is about to fork.

    Args:
        create: Makes a store.
        clock: Returns the time.
        untraced: Returns a context manager for work at the store: it is no run of a check.
        notify: Has a step done where it holds up nobody: the log may be slow.
        gave_up: Is called when a step hangs at the store and was left, before the next one begins; with the lock held.
    """

    def __init__(
        self,
        create: Callable[[], Store],
        clock: Clock,
        untraced: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext,
        notify: Callable[[Step], object] = lambda step: step(),
        gave_up: Callable[[], object] = lambda: None,
    ) -> None:
        self._create = create
        self._clock = clock
        self._untraced = untraced
        self._notify = notify
        self._gave_up = gave_up
        self._store = self._create()
        self._worker = Worker(clock, "store", self._close_store, keeps_deadlines=True)
        self._lock = threads.new_lock()
        self._calling = threads.new_lock()
        self._call: _Call | None = None
        self._owed: set[Lease] = set()
        self._attempts = 0
        self._attempted: Store | None = None
        self._attempted_at = 0.0
        self._closed = False
        self.draining = self._store.draining
        """Whether this host is drained, as of the last call; None before there was one."""
        self._draining_until = float("-inf")
        self._mark_wanted_at = self._mark_due_at = float("-inf")
        self.trouble = ""
        """Why the store cannot be used; empty while it can."""

    @property
    def shared(self) -> bool:
        """Whether other processes see the records."""
        return self._store.shared

    @property
    def up(self) -> bool:
        """Whether the store is not lost; it may be slow."""
        return not self.trouble

    @property
    def usable(self) -> bool:
        """Whether the store can be used now: it is not lost, and no call was left to itself."""
        call = self._call
        return not self.trouble and (call is None or not call.is_left)

    @property
    def draining_until(self) -> float:
        """Until when that is known, on the monotonic clock."""
        return self._draining_until if self.shared else float("inf")

    @property
    def poll_seconds(self) -> float:
        """How long to wait before looking again for what another process is about to publish."""
        return self._store.poll_seconds

    @property
    def mark_seconds(self) -> float:
        """How long it takes until all processes show what a forced run has found; 0 where no other sees it."""
        return self._store.mark_seconds if self.up else 0.0

    def describe(self) -> str:
        """Return where the records are, for people."""
        return self._store.describe()

    def look(self, queries: Sequence[Query]) -> list[StoreEntry] | None:
        """Return what is known of some checks; None where the store cannot be used."""

        def undo(store: Store, entries: list[StoreEntry] | None) -> None:
            store.release([entry.lease for entry in entries or () if entry.lease is not None])

        return self.call(lambda store: store.look(queries), None, undo)

    def publish(self, publications: Sequence[Publication]) -> list[Record | None] | None:
        """Publish records, and return them as they are stored, None for those of others; None without a store."""
        published = self.call(lambda store: store.publish(publications), None)
        if published is None:
            self._owed.update(publication.lease for publication in publications)
        return published

    def now(self) -> float:
        """Return the Unix time in seconds, by the clock of this process's records."""
        return self._clock.now()

    def mark(self) -> object:
        """Return another value after each forced run of any process, as soon as that is known; waits for nothing."""
        store = self._store
        if store.mark_seconds:
            now = self._mark_wanted_at = self._clock.monotonic()
            if self.up and now >= self._mark_due_at + MARK_SECONDS:  # nobody asks for it, or hangs in doing so
                self._mark_due_at = now
                with contextlib.suppress(RuntimeError):  # there is no thread
                    self._worker.submit(lambda: self._follow_mark(now))
        return store.current_mark()

    def _follow_mark(self, due_at: float) -> None:
        """Ask for the mark, and once a second again while somebody wants to know it; a step.

        Args:
            due_at: When it was to be asked for; where that has changed, another step does so.
        """
        try:
            self.call(lambda store: store.probe(), None)
        except SupersededError:  # this thread was left to its call, and the worker is another one now
            return
        now = self._clock.monotonic()
        if self.up and self._mark_due_at == due_at and now < self._mark_wanted_at + MARK_FOLLOWED_SECONDS:
            self._mark_due_at = next_at = now + MARK_SECONDS
            self._worker.call_at(next_at, lambda: self._follow_mark(next_at))

    def release(self, leases: Iterable[Lease]) -> None:
        """Give leases back; where the store cannot be used, once it is back."""
        held = list(leases)
        if held and not self._did(lambda store: store.release(held)):
            self._owed.update(held)

    def drain(self, on: bool) -> bool:
        """Note that this host is drained, or no longer; return whether that could be noted."""
        return self._did(lambda store: store.drain(on))

    def learn_draining(self) -> Future[None]:
        """Have the store asked whether this host is drained, if that is not known; return what to wait for."""
        if self._clock.monotonic() < self.draining_until or not self.usable:
            known: Future[None] = Future()
            known.set_result(None)
            return known
        return self._sent(lambda store: store.probe(), None)

    def call(self, work: Work[T], default: T, undo: Undo[T] = lambda store, value: None) -> T:
        """Have something done with the store, and return what comes of it.

        Called by a step of the worker, it is done in this thread; else the caller waits, ``ANSWER_SECONDS`` at most.

        Args:
            work: Does it; again where it fails.
            default: What is returned where the store cannot be used.
            undo: Takes it back where it was done too late for who asked.

        Raises:
            SupersededError: If the calling step was left meanwhile.
        """
        if not self._store.shared:
            return self._unshared(work, default)
        if self._worker.is_current:
            return self._called(work, default, undo)
        answer = self._sent(work, default, undo)
        pause = ANSWER_SECONDS
        for _ in range(2):  # the call may have begun a moment after the wait for it
            if answer.wait(pause) or not self.usable:
                break
            pause = self.rescue()
        return answer.result() if answer.done() and answer.exception() is None else default

    def _did(self, work: Work[None]) -> bool:
        """Have something done with the store, and return whether it was."""

        def do(store: Store) -> bool:
            work(store)
            return True

        return self.call(do, False)

    def submit(self, step: Step) -> None:
        """Have a step done on the thread that may call the store.

        Raises:
            RuntimeError: If the thread cannot be started.
        """
        self._worker.submit(step)

    def call_at(self, moment: float, step: Step) -> None:
        """Have a step done there at a moment of the monotonic clock; called by steps only."""
        self._worker.call_at(moment, step)

    def rescue(self, *, leave: bool = True, late: bool = False) -> float:
        """See to a call that has not come back; return after how many seconds to do so again, if somebody waits then.

        The step that made a call that was left gets a ``SupersededError`` in the end: somebody else has to do its work.

        Args:
            leave: Whether to leave a call that makes no progress before the store is lost for that.
            late: Whether who asks woke up late: the call may not have been able to go on either.
        """
        call = self._call
        if call is None:
            return ANSWER_SECONDS
        call.look(late=late)
        is_lost = call.idle_silence >= LOST_SECONDS
        if not is_lost and (call.is_left or not leave):
            return min(ANSWER_SECONDS, LOST_SECONDS - call.idle_silence)
        if call.silence < ANSWER_SECONDS:
            return ANSWER_SECONDS - call.silence
        with self._lock:
            if self._call is not call:
                return ANSWER_SECONDS
            if is_lost:
                self._call = None
                self._store = self._create()
                self.trouble = mask(f"{call.store.describe()} does not answer")
            if not call.is_left:
                call.is_left = True
                self._calling = threads.new_lock()
                self._gave_up()
                self._worker = self._worker.replace()
        if is_lost:
            self._lost()
        else:
            with contextlib.suppress(RuntimeError):  # there is no thread: readers see to it
                self._worker.submit(lambda: self._watch(call))
        return 0.0

    def _watch(self, call: _Call) -> None:
        """See to a call that was left, as long as it goes on; on the worker's thread."""
        if self._call is call and (left := self.rescue()) > 0:
            self._worker.call_at(self._clock.monotonic() + left, lambda: self._watch(call))

    def close(self) -> None:
        """Let the thread end, and the store's connections go."""
        self._closed = True  # for good: nobody else may be at the store beside the thread that leaves
        self._worker.leave()

    def pause(self) -> bool:
        """Let no call to the store be under way, for this process is about to fork; return whether ``go_on`` is due."""
        self._paused = self._calling
        return self._paused.acquire(timeout=ANSWER_SECONDS)

    def go_on(self) -> None:
        """Go on after a pause."""
        self._paused.release()

    def _sent(self, work: Work[T], default: T, undo: Undo[T] = lambda store, value: None) -> Future[T]:
        """Have a step call the store; the future has the default where the store cannot be used."""
        answer: Future[T] = Future()
        if self.usable and not self._closed:
            with contextlib.suppress(RuntimeError):  # there is no thread
                self._worker.submit(lambda: settle(answer, lambda: self._called(work, default, undo)))
                return answer
        answer.set_result(default)
        return answer

    def _unshared(self, work: Work[T], default: T) -> T:
        try:
            return work(self._store)
        except Exception as error:
            log_once("store", "The store of the health checks failed.", error, beside=True)
            return default
        finally:
            self._note_draining(self._store)

    def _called(self, work: Work[T], default: T, undo: Undo[T]) -> T:
        """Call the store in this thread, which is the worker's."""
        if not self.usable or self._closed:
            return default
        with self._calling, self._untraced():
            call = self._call = _Call(self._store, self._clock)
            try:
                value = self._tried(call, work)
            except Exception as error:
                self._failed(call, error)
                value = default
            finally:
                close_connections()  # of a cache, or a log, that is kept in a database
                with self._lock:
                    if not call.is_left:
                        self._call = None
            if call.is_left:
                self._came_back_late(call, lambda: undo(call.store, value))
        return value

    def _tried(self, call: _Call, work: Work[T]) -> T:
        """Do something with the store, again where it fails: a connection may have been closed long ago."""
        for left in reversed(range(MOST_TRIES)):
            try:
                value = work(call.store)
                break
            except Exception:
                _close(call.store)
                if not left or self._call is not call:
                    raise
        if self._call is call:
            self._note_draining(call.store)
        return value

    def _came_back_late(self, call: _Call, undo: Step) -> None:
        """Have the store used again that a call has come back from which was left, unless it is lost by now.

        Raises:
            SupersededError: Always.
        """
        try:
            undo()
            if self._call is call:
                self._give_back(call.store)
        except Exception as error:
            self._failed(call, error)
        if self._call is not call or threads.is_patched():  # connections belong to the hub of this thread
            _close(call.store)
        with self._lock:  # until this thread's worker is replaced
            if self._call is call:
                self._call = None
            raise SupersededError

    def _failed(self, call: _Call, error: Exception) -> None:
        with self._lock:
            if self._call is not call:
                return
            self._call = None
            self.trouble = _text_of(error)
        self._lost("" if isinstance(error, StoreError) else details(error))

    def _lost(self, traceback: str = "") -> None:
        """Say once that the store is lost, and have somebody come back to it."""
        text = self.trouble
        self._notify(lambda: logger.warning(LOST, text, traceback))
        self.see_to_it()

    def see_to_it(self) -> None:
        """See to it that somebody tries to come back to a store that was lost, on a thread of its own: it may hang."""
        with self._lock:
            if self.up or self._closed or self._attempts >= MOST_ATTEMPTS:
                return
            now = self._clock.monotonic()
            if self._attempted is self._store:
                if now - self._attempted_at <= STUCK_SECONDS:
                    return
                self._store = self._create()  # no two threads are at one store
            store = self._attempted = self._store
            self._attempts += 1
            self._attempted_at = now
        try:
            threads.start(lambda: self._come_back(store), "store-retry")
        except RuntimeError as error:
            self._attempt_ended(store)
            text = "No thread could be started to come back to the store of the health checks."
            log_once("store-retry", text, error, beside=True)

    def _attempt_ended(self, store: Store) -> None:
        with self._lock:
            self._attempts -= 1
            if self._attempted is store:
                self._attempted = None

    def _come_back(self, store: Store) -> None:
        waiting: Future[None] = Future()
        try:
            while not self.up and store is self._store:
                waiting.wait(RETRY_SECONDS)
                if self._closed:
                    return
                self._attempted_at = self._clock.monotonic()
                self._try_to_use(store)
        finally:
            self._attempt_ended(store)

    def _try_to_use(self, store: Store) -> None:
        """Use a store again that was lost, if it can be used, and is not left for another one meanwhile."""
        trouble = ""
        try:
            with self._untraced():
                store.verify()
                if store is self._store:
                    self._note_draining(store)
                    self._give_back(store)  # a store that cannot be written is not back
        except Exception as error:
            trouble = _text_of(error)
        finally:
            _close(store)  # what it has belongs to this thread
            close_connections()
        with self._lock:
            if store is not self._store:
                return
            self.trouble = trouble
        if not trouble:
            self._notify(lambda: logger.info("The store of the health checks is back: %s.", store.describe()))

    def _give_back(self, store: Store) -> None:
        if owed := list(self._owed):
            store.release(owed)
            self._owed.difference_update(owed)

    def _note_draining(self, store: Store) -> None:
        before, said = self.draining, store.draining
        if said is None and before:
            store.drain(True, unless_said=True)  # it lost what it knew
            said = True
        self.draining = bool(said)
        self._draining_until = self._clock.monotonic() + DRAINING_SECONDS
        if said and not before:
            self._notify(lambda: logger.warning("This host is drained: its readiness endpoints answer 503."))
        elif before and not said:
            self._notify(lambda: logger.info("This host is no longer drained."))

    def _close_store(self) -> None:
        _close(self._store)


def _close(store: Store) -> None:
    with contextlib.suppress(Exception):  # what is left of a connection that failed
        store.close()


def _text_of(error: Exception) -> str:
    """Return what is wrong with a store, masked and never empty."""
    name = type(error).__name__
    return escaped_lines(mask(str(error) if isinstance(error, StoreError) else f"{name}: {error}")) or name
