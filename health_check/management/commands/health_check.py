"""The command ``manage.py health_check``."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.http import Http404
from django.http.request import validate_host
from django.urls import get_script_prefix

from health_check import extensions
from health_check.conf import nearest
from health_check.extensions import OutputError
from health_check.logs import logger
from health_check.management import outcomes
from health_check.management.arguments import (
    HealthCommand,
    pair,
    records_trouble,
    seconds_above_zero,
    where_records_are,
)
from health_check.management.naming import find, path_of
from health_check.management.outcomes import Outcome
from health_check.management.probe import UNIX, Answer, NoEndpointError, ProbeError, Transport, address_of, ask, url_of
from health_check.monitor import runtime
from health_check.monitor.reports import Overview
from health_check.monitor.state_changes import repeated
from health_check.records import State
from health_check.registry.catalogue import Catalogue
from health_check.registry.check_set import CheckSet
from health_check.registry.endpoints import Endpoint
from health_check.runner.observers import Trigger, triggered_by
from health_check.views.mixins import endpoint_of_subset

EPILOG = """
Without ENDPOINT, every check of every endpoint runs in this process, each once.
With ENDPOINT, a running server is asked over HTTP, so that a dead server is not reported healthy;
with --no-http, the checks of that endpoint run in this process instead.
On a terminal the checks are a table, what fails first. Elsewhere each is a line LABEL ... STATUS, in declared order.

exit codes:
  0  no endpoint fails
  1  an endpoint fails
  2  wrong usage, a server that cannot be reached, a file that cannot be written, or nothing to check

examples:
  manage.py health_check                            every check, here and now
  manage.py health_check health_check:health_check_home
                                                    as the server at 127.0.0.1:8000, or $HOST:$PORT, sees it
  manage.py health_check /health/ web:8080 --timeout 3
  manage.py health_check /health/ --no-http --format json
  manage.py health_check --watch                    again every two seconds, until Ctrl-C
  manage.py health_check --check Database --fresh   one check, now
  manage.py health_check ready --fresh --wait-until ok --for 60
                                                    at the end of a deploy: run the checks, and wait for the server
  manage.py health_check -v 2 --fresh               with the log of what goes wrong, tracebacks included
  manage.py health_check --textfile /var/lib/node_exporter/shop.prom     from cron, for node_exporter
  manage.py health_check --pushgateway http://pushgateway:9091           from a batch job
"""

DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
"""The hosts that Django allows with ``DEBUG`` where ALLOWED_HOSTS is empty."""


IN_FULL = "application/health+json, application/json;q=0.9"
"""What to ask a server for where more than texts is wanted."""

WAIT_SECONDS = 1.0
"""How often to look again while waiting until all is well."""

CLEAR = "\x1b[H\x1b[2J"
"""What clears a terminal."""

LOG_SECONDS = 5.0
"""How long to wait for the log of what was found."""


Look: TypeAlias = "Callable[[Mapping[str, Any]], tuple[Outcome, Overview | None]]"


class Command(HealthCommand):
    """Show how the site's checks are, and exit accordingly."""

    help = "Show how the site's health checks are. The exit code says whether an endpoint fails."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
        parser.add_argument(
            "endpoint", nargs="?", metavar="ENDPOINT", help="URL name of a health endpoint, or its path, as in /health/"
        )
        parser.add_argument(
            "addrport",
            nargs="?",
            metavar="HOST:PORT",
            help=f"where the server listens (default: {host}:{port}, from $HOST and $PORT)",
        )
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--http", action="store_true", dest="use_http", default=True, help="ask a server (default)")
        way.add_argument(
            "--no-http",
            action="store_false",
            dest="use_http",
            help="run the endpoint's checks in this process instead of asking a server",
        )
        parser.add_argument("-s", "--subset", metavar="NAME", help="deprecated: run one of HEALTH_CHECK['SUBSETS']")
        parser.add_argument("--skip-checks", action="store_true", help="has no effect: no system checks are run")
        parser.add_argument(
            "--fresh",
            action="store_true",
            help="run the checks here and now, whatever the age of their results; all servers then show what was found",
        )
        parser.add_argument(
            "--wait-until", choices=("ok",), help="look again every second until no endpoint fails, as a deploy does"
        )
        parser.add_argument(
            "--for",
            type=seconds_above_zero,
            default=60.0,
            metavar="SECONDS",
            help="how long to wait for that (default: 60)",
        )
        parser.add_argument(
            "--check",
            action="append",
            default=[],
            metavar="LABEL",
            dest="labels",
            help="only this check; may be repeated (default: all)",
        )
        parser.add_argument("--list", action="store_true", help="list the checks and their endpoints, and run none")
        parser.add_argument(
            "--watch",
            nargs="?",
            type=seconds_above_zero,
            const=2.0,
            metavar="SECONDS",
            help="show them again every so many seconds (default: 2); where this is no terminal, log what changes",
        )
        parser.add_argument(
            "--format",
            choices=("text", "json", "json-full"),
            default="text",
            help="how to print: text, json (the texts by label), or json-full (all that is known) (default: text)",
        )
        parser.add_argument(
            "--timeout",
            type=seconds_above_zero,
            default=10.0,
            metavar="SECONDS",
            help="how long to wait for the server, or the Pushgateway (default: 10)",
        )
        parser.add_argument(
            "--unix-socket", metavar="PATH", help="connect to this socket of the server; as HOST:PORT, unix:PATH"
        )
        parser.add_argument(
            "--server-name",
            metavar="NAME",
            help="name to ask for over TLS, and to verify, where the server is asked by address (default: the host)",
        )
        parser.add_argument("--insecure", action="store_true", help="do not verify the certificate of the server")
        parser.add_argument(
            "--forwarded-host",
            metavar="NAME",
            help="host name to ask for, sent as Host and X-Forwarded-Host "
            "(default: the first of ALLOWED_HOSTS, where the site would refuse the address itself)",
        )
        parser.add_argument(
            "--forwarded-proto",
            choices=("http", "https"),
            help="protocol to claim, sent as X-Forwarded-Proto and as SECURE_PROXY_SSL_HEADER says "
            "(default: https if both that and SECURE_SSL_REDIRECT are set)",
        )
        _add_outputs(parser)
        parser.set_defaults(default_address=address_of(host, port))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["addrport"] and not (options["use_http"] and options["endpoint"]):
            self.stderr.write(f"No server is asked: {options['addrport']} is ignored.")
        if options["verbosity"] < 2 and not logger.hasHandlers():
            logger.addHandler(logging.NullHandler())  # the outcome is printed anyway
        try:
            look = self._ask if self._over_http(options) else self._run
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
        except (ProbeError, OutputError, ImproperlyConfigured, Http404) as error:
            raise CommandError(str(error), returncode=2) from error
        if not healthy:
            sys.exit(1)

    @staticmethod
    def _over_http(options: Mapping[str, Any]) -> bool:
        over_http = bool(options["endpoint"]) and options["use_http"] and not (options["list"] or options["subset"])
        if over_http and options["labels"]:
            raise CommandError("--check chooses checks that run in this process: add --no-http.", returncode=2)
        if options["wait_until"] and options["watch"]:
            raise CommandError("--watch goes on until Ctrl-C: leave --wait-until out.", returncode=2)
        if not (options["use_http"] or options["endpoint"]):
            raise CommandError("--no-http needs an ENDPOINT; without one, all checks run here anyway.", returncode=2)
        if not over_http and any(options[name] for name in ("unix_socket", "server_name", "insecure")):
            raise CommandError("Here no server is asked: leave out what says how to get there.", returncode=2)
        if (options["job"] or options["grouping"]) and not options["pushgateway"]:
            raise CommandError("--job and --grouping say what is pushed: add --pushgateway URL.", returncode=2)
        for output in _outputs(options):
            if over_http:
                raise CommandError(f"--{output} tells of checks that ran in this process: add --no-http.", returncode=2)
            if options["watch"]:
                raise CommandError(f"--watch only shows the checks: leave --{output} out.", returncode=2)
            if output not in extensions.outputs():
                raise CommandError(f"--{output} needs 'prometheus' in HEALTH_CHECK['EXPORTERS'].", returncode=2)
            extensions.verify_output(output, options)
        return over_http

    @staticmethod
    def _looked(look: Look, options: Mapping[str, Any]) -> tuple[Outcome, Overview | None]:
        """Look how the checks are; with ``--wait-until`` again and again until all is well, or the time is over."""
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
        catalogue, endpoints, check_set = self._chosen(options)
        told = repeated() if options["verbosity"] > 1 else contextlib.nullcontext()
        with triggered_by(Trigger.COMMAND), told:
            overview = runtime.read(endpoints, check_set=check_set, force=options["fresh"])
            runtime.flush(LOG_SECONDS)
        if options["fresh"]:
            time.sleep(runtime.get().monitor.store_client.mark_seconds)
        for endpoint in [] if options["endpoint"] or options["subset"] else catalogue.deferred:
            self.stderr.write(f"Left out: {endpoint.name} chooses its checks by the request. Ask its server instead.")
        if not overview.readings:
            raise CommandError(_nothing_to_check(options["endpoint"] or options["subset"], catalogue), returncode=2)
        if runtime.get().monitor.store_client.shared:
            trouble = records_trouble()
            if options["verbosity"] > (0 if trouble else 1):
                self.stderr.write(where_records_are(), self.style.WARNING if trouble else str)
        return outcomes.outcome_of(overview), overview

    def _chosen(self, options: Mapping[str, Any]) -> tuple[Catalogue, list[Endpoint], CheckSet]:
        """Return the endpoints that are asked for, and a check set that has only the checks that are."""
        catalogue = runtime.get().catalogue
        endpoints = [find(catalogue, options["endpoint"])] if options["endpoint"] else list(catalogue.endpoints)
        check_set = catalogue.check_set
        if options["subset"]:
            if options["endpoint"]:
                raise CommandError("--subset is one of the registered checks: leave ENDPOINT out.", returncode=2)
            endpoint, check_set = endpoint_of_subset(_text(options["subset"]))
            endpoints = [endpoint]
        if not options["labels"]:
            return catalogue, endpoints, check_set
        known = [definition.label for definition in check_set.checks_of(endpoints)]
        for label in options["labels"]:
            if label not in known:
                raise CommandError(
                    f"There is no check {label!r}.{nearest(label, known)} Known checks: {', '.join(known) or 'none'}.",
                    returncode=2,
                )
        members = {
            endpoint: tuple(member for member in check_set.members[endpoint] if member.label in options["labels"])
            for endpoint in endpoints
        }
        members = {endpoint: found for endpoint, found in members.items() if found}
        return catalogue, list(members), dataclasses.replace(check_set, members=members)

    def _list(self, options: Mapping[str, Any]) -> None:
        """Print the labels of the checks; on a terminal also their endpoints and budgets."""
        catalogue, endpoints, check_set = self._chosen(options)
        definitions = check_set.checks_of(endpoints)
        if not definitions:
            raise CommandError(_nothing_to_check(options["endpoint"] or options["subset"], catalogue), returncode=2)
        if options["format"] != "text":
            self.stdout.write(json.dumps([definition.label for definition in definitions], indent=2))
        elif self.stdout.isatty():
            self.stdout.write(outcomes.as_list(definitions, {one: check_set.members[one] for one in endpoints}))
        else:
            for definition in definitions:
                self.stdout.write(definition.label)

    def _watch(self, look: Callable[[], Outcome], options: Mapping[str, Any]) -> bool:
        """Show the checks again and again until SIGTERM or Ctrl-C; return whether no endpoint failed at the end."""
        stop = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        redraw, healthy = self.stdout.isatty() and options["format"] == "text", False
        before: Mapping[str, str] = {}
        lines: Mapping[str, str]
        while not stop.is_set():
            try:
                outcome = look()
            except ProbeError as error:
                healthy, lines = False, {"": str(error)}
                text = self.style.ERROR(str(error))
            else:
                healthy, lines = outcome.healthy, outcomes.as_lines(outcome)
                text = self._table(outcome) if redraw else ""
            if redraw:
                self.stdout.write(f"{CLEAR}{text}\n\nEvery {options['watch']:g} s. Ctrl-C ends.")
            elif options["format"] == "text":
                for label, line in lines.items():
                    if line != before.get(label):
                        self.stdout.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}")
            else:
                self._print(outcome, options)
            before = lines
            self.stdout.flush()
            stop.wait(options["watch"])
        return healthy

    def _send(self, overview: Overview, options: Mapping[str, Any]) -> None:
        """Send what was found where that is wanted; what fails keeps nothing else from being sent."""
        failures = []
        for output in _outputs(options):
            try:
                done = extensions.outputs()[output](overview, options)
            except OutputError as error:
                failures.append(str(error))
            else:
                if options["verbosity"] > 0:
                    self.stderr.write(done)
        if failures:
            raise OutputError("\n".join(failures))

    def _ask(self, options: Mapping[str, Any]) -> tuple[Outcome, None]:
        """Ask a running server, and return what it says; what it is to run for that is run here."""
        if options["fresh"]:
            self._run(options)
        unix = options["unix_socket"]
        address = f"{UNIX}{unix}" if unix else options["addrport"] or options["default_address"]
        answer = self._answer([url_of(address, path) for path in self._paths(options["endpoint"])], address, options)
        return outcomes.outcome_of_answer(options["endpoint"], answer.status_code, answer.found), None

    def _answer(self, urls: Sequence[str], address: str, options: Mapping[str, Any]) -> Answer:
        """Return what a server says at the first of several URLs that a health endpoint of its answers at."""
        transport = Transport(
            unix_socket=address.removeprefix(UNIX) if address.startswith(UNIX) else None,
            server_name=options["server_name"],
            insecure=options["insecure"],
        )
        in_full = options["format"] == "json-full" or (options["format"] == "text" and self.stdout.isatty())
        accept, timeout = IN_FULL if in_full else "application/json", options["timeout"]
        problem: NoEndpointError | None = None
        for url in urls:
            if options["verbosity"] > 1:
                self.stderr.write(f"Asking {url}")
            try:
                return ask(url, headers=_headers(url, options), timeout=timeout, accept=accept, transport=transport)
            except NoEndpointError as error:
                problem = problem or error
        raise problem or AssertionError("there is no URL")

    def _paths(self, endpoint: str) -> Sequence[str]:
        """Return the paths at which a server may have an endpoint: the proxy may take the site's prefix off, or not."""
        path = path_of(runtime.get().catalogue, endpoint)
        if endpoint.startswith("/"):
            return [path]
        prefixes = dict.fromkeys(("", get_script_prefix().rstrip("/"), os.environ.get("SCRIPT_NAME", "").rstrip("/")))
        return [f"{prefix}{path}" for prefix in prefixes]

    def _print(self, outcome: Outcome, options: Mapping[str, Any]) -> None:
        if options["format"] == "json":
            self.stdout.write(outcomes.as_json(outcome))
        elif options["format"] == "json-full":
            self.stdout.write(outcomes.as_full_json(outcome))
        elif self.stdout.isatty():
            self.stdout.write(self._table(outcome))
        else:
            for line in outcomes.as_lines(outcome).values() or [outcomes.summary(outcome)]:
                self.stdout.write(line)

    def _table(self, outcome: Outcome) -> str:
        paint = dict.fromkeys(State, self.style.ERROR)
        paint |= {State.OK: self.style.SUCCESS, State.WARNING: self.style.WARNING}
        return outcomes.as_table(outcome, width=shutil.get_terminal_size().columns, paint=paint, now=time.time())


def _add_outputs(parser: CommandParser) -> None:
    group = parser.add_argument_group("for Prometheus", "Where it cannot scrape: from cron, or a batch job.")
    group.add_argument(
        "--textfile", metavar="PATH", help="write the metrics to a file for node_exporter's textfile collector"
    )
    group.add_argument("--pushgateway", metavar="URL", help="push the metrics to a Pushgateway, as in http://HOST:9091")
    group.add_argument("--job", metavar="NAME", help="the job to push as (default: health_check)")
    group.add_argument(
        "--grouping",
        metavar="LABEL=VALUE",
        type=pair,
        action="append",
        help="push as this group of the job; may be repeated (default: instance=, and the name of this host)",
    )


def _text(subset: str | list[str]) -> str:
    """Return the name of a subset, which callers in code for 3.x give as a list."""
    return subset if isinstance(subset, str) else subset[0]


def _outputs(options: Mapping[str, Any]) -> list[str]:
    return [name for name in ("textfile", "pushgateway") if options[name]]


def _nothing_to_check(wanted: str | None, catalogue: Catalogue) -> str:
    if wanted:
        return f"The endpoint {wanted!r} has no checks: there is nothing to run. Ask its server, without --no-http."
    if not catalogue.endpoints:
        return 'There is no health endpoint: add path("health/", include("health_check.urls")) to urls.py.'
    return "No endpoint has any checks."


def _headers(url: str, options: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    host = (
        options["forwarded_host"] or options["server_name"] or _allowed_host(urllib.parse.urlsplit(url).hostname or "")
    )
    if host:
        headers |= {"Host": host, "X-Forwarded-Host": host}
    proxy_header = settings.SECURE_PROXY_SSL_HEADER
    protocol = options["forwarded_proto"] or ("https" if settings.SECURE_SSL_REDIRECT and proxy_header else None)
    if protocol:
        headers["X-Forwarded-Proto"] = protocol
    if protocol == "https" and proxy_header:
        name, value = proxy_header
        headers[name.removeprefix("HTTP_").replace("_", "-").title()] = value
    return headers


def _allowed_host(address: str) -> str | None:
    """Return a host name that the site accepts, or None if it accepts the address itself."""
    allowed = settings.ALLOWED_HOSTS or (DEBUG_HOSTS if settings.DEBUG else [])
    if not allowed or validate_host(f"[{address}]" if ":" in address else address, allowed):
        return None
    return str(allowed[0]).lstrip(".")
