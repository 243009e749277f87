"""The command ``manage.py health_check``."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from django.core.management.base import CommandError, CommandParser

from health_check import extensions
from health_check.extensions import OutputError
from health_check.management import listing, outcomes
from health_check.management.arguments import HealthCommand, where_records_are
from health_check.management.choice import choose, nothing_to_check
from health_check.management.command_line import EPILOG, add_arguments, asks_a_server, outputs
from health_check.management.outcomes import Outcome
from health_check.management.probe import ProbeError, ask_server
from health_check.monitor import runtime
from health_check.monitor.reports import Overview
from health_check.monitor.state_changes import repeated
from health_check.records import State
from health_check.redaction import escaped
from health_check.runner.observers import Trigger, triggered_by

WAIT_SECONDS = 1.0
"""How often to look again while waiting until no endpoint fails."""

CLEAR = "\x1b[H\x1b[2J"
"""What clears a terminal."""

LOG_SECONDS = 5.0
"""How long to wait for the log of what was found."""


Look: TypeAlias = "Callable[[Mapping[str, Any]], tuple[Outcome, Overview | None]]"


class Command(HealthCommand):
    """Show how the site's checks are, and exit accordingly."""

    help = "Show the results of the site's health checks; the exit code says whether any endpoint fails."
    epilog = EPILOG
    _said = ""
    """What was said last of where the records are."""

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["addrport"] and not (options["use_http"] and options["endpoint"]):
            self.stderr.write(f"No server is asked: {options['addrport']} is ignored.")
        self.log_only_if_verbose(options["verbosity"])
        look = self._ask if asks_a_server(options) else self._run
        if options["list"]:
            self._list(options)
            return
        if options["watch"]:
            healthy = self._watch(lambda: look(options)[0], options)
        else:
            outcome, overview = self._looked(look, options)
            self._print(outcome, options)
            healthy = outcome.healthy
            if overview is not None:
                self._send(overview, options)
        if not healthy:
            sys.exit(1)

    @staticmethod
    def _looked(look: Look, options: Mapping[str, Any]) -> tuple[Outcome, Overview | None]:
        """Read the checks; with ``--wait-until`` again and again until no endpoint fails, or the time is over."""
        end = time.monotonic() + (options["for"] if options["wait_until"] else 0.0)
        while True:
            try:
                found = look(options)
            except ProbeError:
                if time.monotonic() >= end:
                    raise
            else:
                if found[0].healthy or time.monotonic() >= end:
                    return found
            time.sleep(WAIT_SECONDS)

    def _run(self, options: Mapping[str, Any]) -> tuple[Outcome, Overview]:
        """Run checks in this process, and return how they are."""
        choice = choose(options)
        told = repeated() if options["verbosity"] > 1 else contextlib.nullcontext()
        with triggered_by(Trigger.COMMAND), told:
            overview = runtime.read(choice.endpoints, check_set=choice.check_set, force=options["fresh"])
            runtime.flush(LOG_SECONDS)
        store_client = runtime.get().monitor.store_client
        if options["fresh"]:
            time.sleep(store_client.mark_seconds)
        for endpoint in choice.deferred:
            self.stderr.write(f"Left out: {endpoint.name} chooses its checks by the request. Ask its server instead.")
        if not overview.readings:
            raise CommandError(nothing_to_check(options))
        if store_client.shared:
            where, usable = where_records_are()
            if options["verbosity"] > (1 if usable else 0) and where != self._said:
                self._said = where  # once, while it is the same
                self.stderr.write(where, str if usable else self.style.WARNING)
        return outcomes.outcome_of(overview), overview

    def _ask(self, options: Mapping[str, Any]) -> tuple[Outcome, None]:
        """Ask a running server, and return what it says; what it is to run for that is run here."""
        if options["fresh"]:
            self._run(options)
        in_full = options["format"] == "json-full" or (options["format"] == "text" and self.stdout.isatty())
        return ask_server(options, in_full=in_full, tell=self.stderr.write), None

    def _list(self, options: Mapping[str, Any]) -> None:
        """Print the labels of the checks; on a terminal also what pins them, their endpoints and budgets."""
        checks = listing.listed(choose(options))
        if not checks:
            raise CommandError(nothing_to_check(options))
        entries = options["verbosity"] > 1
        if options["format"] == "json-full":
            self.stdout.write(json.dumps(checks, indent=2))
        elif options["format"] == "json":
            self.stdout.write(json.dumps([check["label"] for check in checks], indent=2))
        elif self.stdout.isatty() or entries:
            self.stdout.write(listing.as_table(checks, width=_columns(), entries=entries))
        else:
            for check in checks:
                self.stdout.write(escaped(check["label"]))

    def _watch(self, look: Callable[[], Outcome], options: Mapping[str, Any]) -> bool:
        """Show the checks again and again until SIGTERM or Ctrl-C; return whether no endpoint failed at the end."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        as_text, healthy = options["format"] == "text", False
        redraw = as_text and self.stdout.isatty()
        before: Mapping[str, str] = {}
        lines: Mapping[str, str]
        while not stop.is_set():
            try:
                outcome = look()
            except ProbeError as error:
                healthy, lines, text = False, {"": str(error)}, self.style.ERROR(str(error))
                if not as_text:
                    self.stderr.write(text)
            else:
                healthy, lines = outcome.healthy, outcomes.as_lines(outcome)
                text = self._table(outcome) if redraw else ""
                if not as_text:
                    self._print(outcome, options)
            if redraw:
                self.stdout.write(f"{CLEAR}{text}\n\nEvery {options['watch']:g} s. Ctrl-C ends.")
            elif as_text:
                for line in [line for label, line in lines.items() if line != before.get(label)]:
                    self.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
            before = lines
            self.stdout.flush()
            stop.wait(options["watch"])
        return healthy

    def _send(self, overview: Overview, options: Mapping[str, Any]) -> None:
        """Send what was found where that is wanted; what fails keeps nothing else from being sent."""
        failures = []
        for output in outputs(options):
            try:
                done = extensions.outputs[output].send(overview, options)
            except OutputError as error:
                failures.append(str(error))
            else:
                if options["verbosity"] > 0:
                    self.stderr.write(done)
        if failures:
            raise OutputError("\n".join(failures))

    def _print(self, outcome: Outcome, options: Mapping[str, Any]) -> None:
        if options["format"] == "json":
            self.stdout.write(outcomes.as_json(outcome))
        elif options["format"] == "json-full":
            self.stdout.write(outcomes.as_full_json(outcome))
        elif options["verbosity"] < 1:
            for line in outcomes.as_lines(outcomes.problems_of(outcome)).values():
                self.stdout.write(line)
        elif self.stdout.isatty():
            self.stdout.write(self._table(outcome))
        else:
            for line in outcomes.as_lines(outcome).values() or [outcomes.summary(outcome)]:
                self.stdout.write(line)

    def _table(self, outcome: Outcome) -> str:
        paint = dict.fromkeys(State, self.style.ERROR)
        paint |= {State.OK: self.style.SUCCESS, State.WARNING: self.style.WARNING}
        return outcomes.as_table(outcome, width=_columns(), paint=paint, now=time.time())


def _columns() -> int:
    return shutil.get_terminal_size().columns
