"""The execution of one check, and the boundary that nothing a check does gets past."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import time
from collections.abc import Iterable, Iterator

from asgiref.sync import sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections

from health_check.backends import HealthCheck, log_unexpected
from health_check.definitions import Definition, Misconfigured
from health_check.records import UNKNOWN_ERROR, Kind, Message


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ending:
    """How the execution of a check ended."""

    messages: tuple[Message, ...] = ()
    """What is wrong."""
    error: BaseException | None = None
    """The first thing that is wrong, for the log and the span."""
    time_taken: float
    """How long it took, in seconds."""


class _Execution:
    """Collects what is to be known of a check while it executes."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._check: HealthCheck | None = None
        self._unexpected: BaseException | None = None

    @contextlib.contextmanager
    def boundary(self) -> Iterator[None]:
        """Let nothing out, whatever the check raises: SystemExit would end a thread, a base class the loop."""
        token = log_unexpected.set(False)
        try:
            yield
        except BaseException as error:
            self._unexpected = error
        finally:
            log_unexpected.reset(token)

    def begin(self, definition: Definition) -> HealthCheck:
        """Construct the check."""
        try:
            self._check = definition.build()
        except Exception as error:
            raise _NotConstructed(definition, error) from error
        self._start = time.perf_counter()
        return self._check

    def ending(self) -> Ending:
        """Return how it ended."""
        errors: list[object] = list(_errors_of(self._check))
        if self._unexpected is not None:
            errors.append(self._unexpected)
        return Ending(
            messages=tuple(dict.fromkeys(Message.of(error) for error in errors)),
            error=_first(errors),
            time_taken=self._time_taken(),
        )

    def _time_taken(self) -> float:
        taken = vars(self._check).get("time_taken") if self._check is not None else None
        if isinstance(taken, int | float) and math.isfinite(taken):
            return float(taken)
        return time.perf_counter() - self._start


class _NotConstructed(Misconfigured):
    def __init__(self, definition: Definition, error: Exception) -> None:
        super().__init__(
            f"{definition.backend} could not be constructed ({type(error).__name__}): see the log, "
            "and correct its options or its __init__."
        )


def execute(definition: Definition) -> Ending:
    """Run a check in this thread, to its end."""
    execution = _Execution()
    with execution.boundary():
        execution.begin(definition).run_check()
    return execution.ending()


async def execute_async(definition: Definition) -> Ending:
    """Run an async check on this event loop; a cancellation ends it."""
    execution = _Execution()
    with execution.boundary():
        try:
            check = execution.begin(definition)
        except Misconfigured as error:
            if not isinstance(error.__cause__, SynchronousOnlyOperation):
                raise
            check = await sync_to_async(execution.begin)(definition)  # its constructor uses the ORM
        await check.arun_check()
    return execution.ending()


def close_connections() -> None:
    """Close this thread's Django database connections; a pool gets its own back."""
    for connection in connections.all(initialized_only=True):
        with contextlib.suppress(Exception):
            connection.close()


def explain(error: BaseException) -> str:
    """Return what the exception class of an error is called: its dotted path."""
    if isinstance(error, asyncio.CancelledError):
        return "asyncio.CancelledError"
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _errors_of(check: HealthCheck | None) -> Iterable[object]:
    try:
        return list(check.errors) if check is not None else []
    except Exception:
        return [UNREADABLE]


def _first(errors: list[object]) -> BaseException | None:
    severe = [error for error in errors if Message.of(error).kind is not Kind.WARNING]
    for error in [*severe, *errors]:
        if isinstance(error, BaseException):
            return error
    return None


UNREADABLE = TypeError(f"the attribute `errors` is no list ({UNKNOWN_ERROR.text})")
