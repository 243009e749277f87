"""What every check of a service promises, whatever becomes of the server: a module of tests inherits it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Protocol

from health_check.backends import HealthCheck
from tests.support.checked import RUNS, errors_of, nothing_left
from tests.support.client import eventually


class Controls(Protocol):
    """A server that may be paused, let go on, killed and started again at the same place."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def kill(self) -> None: ...

    def start(self) -> None: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Service:
    """A service, and the check of it."""

    server: Controls
    """Its server."""
    build: Callable[[], HealthCheck]
    """Makes the check."""
    silent: str
    """What is said while the server does nothing: a regular expression."""
    gone: str
    """What is said while the server is gone: a regular expression."""
    failing: Callable[[], HealthCheck] | None = None
    """Makes a check that fails while the server is well, as by a wrong password."""
    failing_runs: int = RUNS
    """How often that one is run; fewer where each takes all of its time."""
    runs: int = RUNS
    """How often the check is run; less often where each run takes half a second of computing."""
    left: Callable[[], Mapping[str, int]] = dict
    """Returns how much there is on the server that no run may add to: connections, keys, queues."""

    def await_ok(self) -> None:
        """Wait until the check finds nothing wrong."""
        eventually(lambda: errors_of(self.build()) == [], what="a service in order")

    def assert_told(self, error: str, *, when: Callable[[], None], until: Callable[[], None]) -> None:
        """Assert that the check tells just this when something has been done to the server, until it is undone."""
        self.await_ok()
        try:
            when()
            [told] = errors_of(self.build())
        finally:
            until()
        assert re.fullmatch(error, told), told
        self.await_ok()


class LastingContract:
    """The tests of a server that takes long to start; a module that has the fixture ``service`` inherits them."""

    def test_paused__is_told_in_time_until_it_goes_on(self, service: Service) -> None:
        """A server that does nothing is told within the budget, and in order again as soon as it goes on."""
        service.assert_told(service.silent, when=service.server.pause, until=service.server.resume)

    def test_many_runs__leave_nothing(self, service: Service) -> None:
        """After many runs, good and bad, no thread, open file or connection is left that was not there before."""
        for _ in range(3):  # others who use the server, Celery's worker say, have made their connections then
            service.await_ok()
        before = service.left()
        with nothing_left():
            for _ in range(service.runs):
                service.build().run_check()
            for _ in range(service.failing_runs if service.failing is not None else 0):
                service.failing().run_check()  # type: ignore[misc]
        service.await_ok()
        eventually(
            lambda: all(count <= before[what] for what, count in service.left().items()),
            what=f"no more on the server than {before}",
        )


class Contract(LastingContract):
    """The tests of any other server."""

    def test_killed__is_told_until_it_is_back(self, service: Service) -> None:
        """A server that is gone is told, and in order when it is back."""
        service.assert_told(service.gone, when=service.server.kill, until=service.server.start)
