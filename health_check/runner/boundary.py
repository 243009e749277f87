"""The execution of one check, inside a boundary that lets no exception out."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation

from health_check.backends import HealthCheck, log_unexpected
from health_check.conf import seconds
from health_check.exceptions import HealthCheckException, Misconfigured, ServiceWarning
from health_check.logs import details
from health_check.records import UNKNOWN_ERROR, Kind, Message, unavailable
from health_check.redaction import showable
from health_check.registry.definitions import Definition
from health_check.registry.entries import not_constructed
from health_check.runner.resources import lacking

MOST_ERRORS = 100
MOST_CHARACTERS = 20_000
"""How many errors of one run are kept, and in how many characters, so that its record fits any store."""

MOST_NAME_CHARACTERS = 500
"""How many characters of the name of an exception's class are kept."""


class ExecutionResult(NamedTuple):
    """How the execution of a check ended."""

    time_taken: float
    """How long it took, in seconds."""
    messages: tuple[Message, ...] = ()
    """What is wrong."""
    details: str = ""
    """The masked traceback of what nobody expected, for the log."""
    cause: str = ""
    """What is behind a failure that the check expects and explains, in a line: the log needs no traceback of that."""
    error_type: str | None = None
    """What the class of ``error`` is called."""
    error: BaseException | None = None
    """The first thing that is wrong, for the log and the span."""
    pretty_status: str | None = None
    """What the check's own ``pretty_status()`` says; None if it has none of its own."""
    lacks: str = ""
    """What this process has run out of, so that it cannot judge; empty if nothing."""


class _Execution:
    """Collects what is to be known of a check while it executes.

    As a context manager it lets no exception out, not even SystemExit, which would end the thread or the event loop.
    """

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._check: HealthCheck | None = None
        self._unexpected: BaseException | None = None

    def __enter__(self) -> None:
        self._token, self._process = log_unexpected.set(False), os.getpid()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        self._unexpected = error
        log_unexpected.reset(self._token)
        if os.getpid() != self._process:  # a child that the check has forked came back, to do all this once more
            os._exit(_exit_code(error))
        return True

    def begin(self, definition: Definition) -> HealthCheck:
        """Construct the check."""
        try:
            self._check = definition.build()
        except (Exception, SystemExit) as error:
            failure = not_constructed(definition.backend, error)
            if failure is error:
                raise
            raise failure from error
        self._start = time.perf_counter()
        return self._check

    def result(self) -> ExecutionResult:
        """Return how it ended; finding that out may run code of the check, whose exceptions are not let out either."""
        try:
            return self._result()
        except BaseException:
            return ExecutionResult(
                messages=(UNKNOWN_ERROR,), error_type="Exception", time_taken=time.perf_counter() - self._start
            )

    def _result(self) -> ExecutionResult:
        errors: list[object] = list(_errors_of(self._check))
        if (raised := self._unexpected) is not None:
            is_its_own = self._check is not None and isinstance(raised, HealthCheckException)
            errors.append(_GreenletsNeeded(raised) if _needs_greenlets(raised) and not is_its_own else raised)
        status = _own_status(self._check) if raised is None else None
        if not errors:
            return ExecutionResult(time_taken=self._time_taken(), pretty_status=status)
        messages = [Message.of(error) for error in errors[:MOST_ERRORS]]
        error = _first(errors, messages)
        unexpected = error.__cause__ if isinstance(error, HealthCheckException) else error
        lacks = lacking(errors[:MOST_ERRORS])
        why = (
            [unavailable(f"this process has no {lacks}: it cannot judge, and its result is not shared")]
            if lacks
            else []
        )
        return ExecutionResult(
            messages=(*_bounded(messages, errors[MOST_ERRORS:]), *why),
            details=details(unexpected),
            cause=_cause(error),
            error_type=None if error is None else explain(error),
            error=error,
            time_taken=self._time_taken(),
            pretty_status=status,
            lacks=lacks,
        )

    def _time_taken(self) -> float:
        taken = seconds(vars(self._check).get("time_taken")) if self._check is not None else None
        return time.perf_counter() - self._start if taken is None else taken


GREENLETS_NEEDED = ("gevent.exceptions.LoopExit", "gevent.exceptions.InvalidThreadUseError", "greenlet.error")
"""What gevent raises where somebody waits for greenlets on a thread that has no others, or those of another one."""

MOST_CAUSES = 10
"""How far to follow what is behind an error."""


def _needs_greenlets(error: BaseException | None) -> bool:
    """Return whether an error is of that kind, also where a client hides it behind one of its own."""
    for _ in range(MOST_CAUSES):
        if error is None:
            break
        if explain(error) in GREENLETS_NEEDED:
            return True
        error = error.__cause__ or error.__context__
    return False


class _GreenletsNeeded(Misconfigured):
    def __init__(self, error: BaseException) -> None:
        super().__init__(
            "the check waits for greenlets, such as those that hold connections of gevent's pool, but runs on a thread "
            "without them: have it make its own connection."
        )
        self.__cause__ = error


def execute(definition: Definition) -> ExecutionResult:
    """Run a check in this thread, to its end."""
    execution = _Execution()
    with execution:
        execution.begin(definition).run_check()
    return execution.result()


async def execute_async(definition: Definition) -> ExecutionResult:
    """Run an async check on this event loop; a cancellation ends it."""
    execution = _Execution()
    with execution:
        try:
            check = execution.begin(definition)
        except Misconfigured as error:  # SynchronousOnlyOperation counts as a mistake
            if not isinstance(error.__cause__, SynchronousOnlyOperation):
                raise
            check = await sync_to_async(execution.begin)(definition)  # its constructor uses the ORM
        await check.arun_check()
    return execution.result()


def _cause(error: BaseException | None) -> str:
    if not isinstance(error, HealthCheckException) or isinstance(error, Misconfigured) or error.__cause__ is None:
        return ""
    text = showable(str(error.__cause__)).partition("\n")[0]
    return f"{explain(error.__cause__)}: {text}" if text else explain(error.__cause__)


def explain(error: BaseException) -> str:
    """Return what the exception class of an error is called: its dotted path."""
    if isinstance(error, asyncio.CancelledError):
        return "asyncio.CancelledError"
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")[:MOST_NAME_CHARACTERS]


def _exit_code(error: BaseException | None) -> int:
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code & 0xFF
    return int(error is not None)


def _errors_of(check: HealthCheck | None) -> Iterable[object]:
    if check is None:
        return []
    try:
        return list(itertools.islice(check.errors, 10 * MOST_ERRORS))
    except Exception:
        return [UNREADABLE]


def _bounded(messages: Sequence[Message], others: Sequence[object]) -> tuple[Message, ...]:
    """Return the first messages, and one for those that are left out, which is as severe as they are."""
    shown: list[Message] = []
    room = MOST_CHARACTERS
    found = list(dict.fromkeys(messages))
    for message in found:
        room -= len(message.text)
        if shown and room < 0:
            break
        shown.append(message)
    hidden = [message.kind for message in found[len(shown) :]]
    hidden += [Kind.WARNING if isinstance(error, ServiceWarning) else Kind.UNKNOWN for error in others]
    if hidden:
        kind = next((kind for kind in hidden if kind is not Kind.WARNING), Kind.WARNING)
        shown.append(Message(kind=kind, text=f"… and {len(hidden)} more"))
    return tuple(shown)


def _own_status(check: HealthCheck | None) -> str | None:
    """Return what an overridden ``pretty_status`` says of the run that has just ended."""
    if check is None or type(check).pretty_status is HealthCheck.pretty_status:
        return None
    return showable(str(check.pretty_status()))


def _first(errors: Sequence[object], messages: Sequence[Message]) -> BaseException | None:
    severe = [error for error, message in zip(errors, messages, strict=False) if message.kind is not Kind.WARNING]
    for error in [*severe, *errors]:
        if isinstance(error, BaseException):
            return error
    return None


UNREADABLE = TypeError(f"the attribute `errors` is not a list ({UNKNOWN_ERROR.text})")
