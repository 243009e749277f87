"""The check: the class that users derive their own checks from."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import dataclasses
import datetime
import functools
import inspect
import time
import types
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import async_to_sync, sync_to_async

from health_check.conf import settings
from health_check.exceptions import HealthCheckException
from health_check.logs import log_error

log_unexpected: contextvars.ContextVar[bool] = contextvars.ContextVar("health_check_log_unexpected", default=True)
"""Whether ``run_check`` logs unexpected exceptions itself. The runner does so once per change instead."""


class _OfInstances:
    """A method of former versions that subclasses may call by ``super()``; found on instances alone.

    On the class it would be the default of a dataclass field that is called so.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._function = function

    def __get__(self, check: HealthCheck | None, owner: type) -> Callable[[], Any]:
        if check is None:
            raise AttributeError(f"{owner.__name__} has no {self._function.__name__}; its instances have.")
        return functools.partial(self._function, check)


def _identifier(check: HealthCheck) -> str:
    """Return what an own ``identifier`` adds to: the class name; without one, what the check is called."""
    return type(check).__name__ if has_own_identifier(type(check)) else repr(check).removesuffix("()")


def has_own_identifier(check_class: type) -> bool:
    """Return whether a class defines the ``identifier()`` of django-health-check 3.x."""
    found = inspect.getattr_static(check_class, "identifier", None)
    return found is not None and not isinstance(found, _OfInstances)


def _run(check: HealthCheck) -> Any:
    """Do what ``check_status`` does, as ``super().run()`` of version 4.x; to be awaited on an event loop."""
    if not inspect.iscoroutinefunction(check.check_status):
        with contextlib.suppress(RuntimeError):
            asyncio.get_running_loop()
            return sync_to_async(check.check_status)()
    return check.check_status()


@dataclasses.dataclass
class HealthCheckResult:
    """The outcome of ``get_result``, as in django-health-check 4.x."""

    check: HealthCheck
    """The check that ran."""
    error: HealthCheckException | None
    """The first thing that is wrong; None if nothing is."""
    time_taken: float
    """How long it took, in seconds."""


@dataclasses.dataclass
class HealthCheck:
    """Check one thing that the site depends on.

    Derive from this class and write ``check_status``, sync or async. Report a failure by raising a
    ``HealthCheckException`` (see ``health_check.exceptions``), or by calling ``add_error``, as often as needed. Make it
    a dataclass if it has options.

    A subclass may say how it is run, as plain class attributes or as options of its entry in ``checks``:

    - ``critical_service``: whether a failure makes its endpoint fail; default True.
    - ``timeout``: its time budget in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``, 5 s.
    - ``max_age``: for how many seconds a result counts as fresh; default ``HEALTH_CHECK["MAX_AGE"]``, 10 s.
    - ``name``: its label; default the ``repr`` of an instance.
    - ``scope``: ``"host"`` (default) or ``"fleet"``, for what is the same on every host.
    """

    critical_service: bool = dataclasses.field(init=False, default=True, repr=False)
    errors: list[HealthCheckException] = dataclasses.field(init=False, default_factory=list, repr=False)

    if TYPE_CHECKING:  # seen by type checkers alone: real attributes would give users' required fields a default
        time_taken: float = dataclasses.field(init=False, repr=False)

        @property
        def timeout(self) -> Any: ...

    else:

        def __getattr__(self, name: str) -> Any:
            """Supply what an ``__init__`` that skipped ``super()``, or a check for version 4.x, leaves out."""
            if name == "errors":
                self.errors = []
                return self.errors
            if name == "timeout":
                return datetime.timedelta(seconds=settings.TIMEOUT)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    identifier: ClassVar[Any] = _OfInstances(_identifier)
    run: ClassVar[Any] = _OfInstances(_run)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _refuse_lost_critical_service(cls)

    def check_status(self) -> Any:
        """Test the service; override this, as a method or a coroutine method.

        Raises:
            HealthCheckException: With what is wrong; any other exception is shown as "unknown error".
            NotImplementedError: If the check overrides neither this method nor ``run``.
        """
        raise NotImplementedError(f"{type(self).__name__} must define check_status()")

    def run_check(self) -> None:
        """Run the check now, in this thread, to its end.

        Sets ``errors`` and ``time_taken`` (seconds).

        Raises:
            Exception: What ``check_status`` raised, if it is no ``HealthCheckException``, after logging it.
        """
        with self._observed():
            outcome = getattr(self, status_method_name(type(self)))()
            if outcome is not None and inspect.isawaitable(outcome):
                run_to_end(outcome)

    async def arun_check(self) -> None:
        """Run an async check now, on the running event loop; otherwise like ``run_check``."""
        with self._observed():
            outcome = getattr(self, status_method_name(type(self)))()
            if outcome is not None and inspect.isawaitable(outcome):
                await outcome

    async def get_result(self, executor: concurrent.futures.Executor | None = None) -> HealthCheckResult:
        """Run the check now, and return its outcome, as in django-health-check 4.x; raises nothing that it raised.

        Args:
            executor: Where a sync check runs; default that of the event loop.
        """
        start = time.perf_counter()
        try:
            if is_asynchronous(type(self)):
                await self.arun_check()
            else:
                await asyncio.get_running_loop().run_in_executor(executor, self.run_check)
            error = next(iter(self.errors), None)
        except Exception:  # run_check has logged it
            error = HealthCheckException("unknown error")
        return HealthCheckResult(check=self, error=error, time_taken=time.perf_counter() - start)

    @contextlib.contextmanager
    def _observed(self) -> Iterator[None]:
        start = time.perf_counter()
        self.errors = []
        try:
            yield
        except HealthCheckException as error:
            self.add_error(error, error)
        except Exception as error:
            if log_unexpected.get():
                log_error(f"Unexpected error in health check {type(self).__name__}.", error)
            raise
        finally:
            self.time_taken = time.perf_counter() - start

    def add_error(self, error: object, cause: BaseException | None = None) -> None:
        """Note what is wrong; may be called several times in one run.

        Args:
            error: A HealthCheckException, or its message. Anything else is noted as "unknown error".
            cause: The exception behind it, for the log.
        """
        if isinstance(error, str):
            error = HealthCheckException(error)
        elif not isinstance(error, HealthCheckException):
            error = HealthCheckException("unknown error")
        if cause is not None and cause is not error:
            error.__cause__ = cause
        self.errors.append(error)

    def pretty_status(self) -> str:
        """Return ``"OK"``, or the errors, one a line."""
        return "\n".join(str(error) for error in self.errors) or "OK"

    @property
    def status(self) -> int:
        """1 without errors, else 0."""
        return int(not self.errors)

    def __repr__(self) -> str:
        return _own_identifier(self) or type(self).__name__


def _own_identifier(check: HealthCheck) -> str:
    """Return what an own ``identifier()`` says; empty without one."""
    if not has_own_identifier(type(check)):
        return ""
    warnings.warn(
        f"{type(check).__name__}.identifier() is deprecated: define __repr__() instead.",
        DeprecationWarning,
        stacklevel=3,
    )
    return str(check.identifier())


def status_method_name(check_class: type[HealthCheck]) -> str:
    """Return the name of the method that looks at the service: ``check_status``, or ``run`` as in version 4.x.

    That is ``run`` where nothing overrides ``check_status``, and where a subclass of a check of ours has it.
    """
    if not callable(getattr(check_class, "run", None)):  # that of HealthCheck is found on instances alone
        return "check_status"
    decides, looks = (
        next(base for base in check_class.__mro__ if name in vars(base)) for name in ("run", "check_status")
    )
    ours = f"{looks.__module__}.".startswith(("health_check.checks.", "health_check.contrib.", "health_check.compat."))
    return "run" if looks is HealthCheck or (ours and issubclass(decides, looks)) else "check_status"


def is_asynchronous(check_class: type[HealthCheck]) -> bool:
    """Return whether the checks of this class can run on an event loop."""
    if check_class.run_check is not HealthCheck.run_check:
        return False
    return inspect.iscoroutinefunction(getattr(check_class, status_method_name(check_class)))


def _refuse_lost_critical_service(cls: type[HealthCheck]) -> None:
    """Refuse a class whose ``critical_service`` was lost when ``@dataclass(slots=True)`` made a new class.

    ``dataclass`` then drops the bare class attribute, and ``__init__`` sets the default of the base class.
    """
    own = [vars(base).get("critical_service") for base in cls.__mro__]
    if isinstance(own[0], bool) and "critical_service" not in vars(cls).get("__annotations__", {}):
        cls._declared_critical_service = own[0]  # type: ignore[attr-defined]
    declared = getattr(cls, "_declared_critical_service", None)
    default = cls.__dataclass_fields__["critical_service"].default
    has_slot = any(isinstance(value, types.MemberDescriptorType) for value in own)
    if has_slot and declared is not None and default is not declared:
        raise TypeError(
            f"{cls.__name__}: @dataclass(slots=True) loses `critical_service = {declared}`. "
            f"Write `critical_service: ClassVar[bool] = {declared}`, or leave slots=True out."
        )


def run_to_end(awaitable: Awaitable[None]) -> None:
    """Wait for an awaitable in sync code, on any thread.

    ``async_to_sync`` brings thread-sensitive sync code of the awaitable (the ORM) back to this thread, so that
    it sees this thread's transaction. A thread whose event loop is running cannot wait, so another one does.
    """

    async def main() -> None:
        await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(main)()
        return
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(async_to_sync(main)).result()


class ConciseRepr:
    """Show a dataclass by its class name and those fields with ``repr=True`` that differ from their default.

    To be inherited from before HealthCheck, by dataclasses declared with ``repr=False``.
    """

    def __repr__(self) -> str:
        own = _own_identifier(self)  # type: ignore[arg-type]
        if own:
            return own
        fields = dataclasses.fields(self)  # type: ignore[arg-type]
        shown = [f for f in fields if f.init and f.repr and getattr(self, f.name) != _default(f)]
        options = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in shown)
        return f"{type(self).__name__}({options})"


def _default(field: dataclasses.Field[object]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def __getattr__(name: str) -> Any:
    if name in ("BaseHealthCheck", "BaseHealthCheckBackend"):
        warnings.warn(
            f"health_check.backends.{name} is deprecated: use health_check.backends.HealthCheck.",
            DeprecationWarning,
            stacklevel=2,
        )
        return HealthCheck
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
