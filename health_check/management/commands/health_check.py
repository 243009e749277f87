"""The command ``manage.py health_check``."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import urllib.parse
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.http.request import validate_host
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

from health_check import extensions
from health_check.conf import settings as health_check_settings
from health_check.extensions import OutputError
from health_check.logs import logger
from health_check.management.arguments import HelpFormatter, pair, seconds_above_zero, where_records_are
from health_check.management.probe import ProbeError, ask, url_of
from health_check.monitor import runtime
from health_check.monitor.reports import Overview
from health_check.monitor.state_changes import repeated
from health_check.records import State
from health_check.registry.catalogue import Catalogue
from health_check.registry.endpoints import Endpoint, endpoint_of
from health_check.runner.observers import Trigger, triggered_by

EPILOG = """
Without ENDPOINT, every check of every endpoint runs in this process, each once.
With ENDPOINT, a running server is asked over HTTP, so that a dead server is not reported healthy;
with --no-http, the checks of that endpoint run in this process instead.

exit codes:
  0  everything is in order
  1  an endpoint fails
  2  wrong usage, a server that cannot be reached, a file that cannot be written, or nothing to check

examples:
  manage.py health_check                            every check, here and now
  manage.py health_check health_check:health_check_home
                                                    as the server at 127.0.0.1:8000, or $HOST:$PORT, sees it
  manage.py health_check /health/ web:8080 --timeout 3
  manage.py health_check /health/ --no-http --format json
  manage.py health_check -v 2 --fresh               with the log of what goes wrong, tracebacks included
  manage.py health_check --textfile /var/lib/node_exporter/shop.prom     from cron, for node_exporter
  manage.py health_check --pushgateway http://pushgateway:9091           from a batch job
"""

DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
"""The hosts that Django allows with ``DEBUG`` where ALLOWED_HOSTS is empty."""


LOG_SECONDS = 5.0
"""How long to wait for the log of what was found."""


class Command(BaseCommand):
    """Show how the site's checks are, and exit accordingly."""

    help = "Show how the site's health checks are. The exit code says whether everything is in order."
    requires_system_checks = ()
    """None: a broken site must not keep the command from saying what is broken."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the line breaks of the epilog."""
        return super().create_parser(prog_name, subcommand, epilog=EPILOG, formatter_class=HelpFormatter, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
        parser.add_argument(
            "endpoint", nargs="?", metavar="ENDPOINT", help="URL name of a health endpoint, or its path, as in /health/"
        )
        parser.add_argument(
            "address",
            nargs="?",
            metavar="HOST:PORT",
            help=f"where the server listens (default: {host}:{port}, from $HOST and $PORT)",
        )
        parser.add_argument(
            "--no-http",
            action="store_true",
            help="run the endpoint's checks in this process instead of asking a server",
        )
        parser.add_argument(
            "--fresh", action="store_true", help="run the checks now, whatever the age of their results"
        )
        parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print (default: text)")
        parser.add_argument(
            "--timeout",
            type=seconds_above_zero,
            default=10.0,
            metavar="SECONDS",
            help="how long to wait for the server, or the Pushgateway (default: 10)",
        )
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
        parser.set_defaults(default_address=f"{host}:{port}")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["verbosity"] < 2 and not logger.hasHandlers():
            logger.addHandler(logging.NullHandler())  # the outcome is printed anyway
        try:
            healthy = self._ask(options) if self._over_http(options) else self._run(options)
        except (ProbeError, OutputError, ImproperlyConfigured) as error:
            raise CommandError(str(error), returncode=2) from error
        if not healthy:
            sys.exit(1)

    @staticmethod
    def _over_http(options: Mapping[str, Any]) -> bool:
        over_http = bool(options["endpoint"]) and not options["no_http"]
        if over_http and options["fresh"]:
            raise CommandError("--fresh runs the checks in this process: add --no-http.", returncode=2)
        if options["no_http"] and not options["endpoint"]:
            raise CommandError("--no-http needs an ENDPOINT; without one, all checks run here anyway.", returncode=2)
        if options["no_http"] and options["address"]:
            raise CommandError("--no-http asks no server: leave HOST:PORT out.", returncode=2)
        if (options["job"] or options["grouping"]) and not options["pushgateway"]:
            raise CommandError("--job and --grouping say what is pushed: add --pushgateway URL.", returncode=2)
        for output in _outputs(options):
            if over_http:
                raise CommandError(f"--{output} tells of checks that ran in this process: add --no-http.", returncode=2)
            if output not in extensions.outputs():
                raise CommandError(f"--{output} needs health_check_prometheus in INSTALLED_APPS.", returncode=2)
        return over_http

    def _run(self, options: Mapping[str, Any]) -> bool:
        """Run checks in this process, show how they are, and return whether all is in order."""
        catalogue = runtime.get().catalogue
        endpoints = [self._find(catalogue, options["endpoint"])] if options["endpoint"] else list(catalogue.endpoints)
        told = repeated() if options["verbosity"] > 1 else contextlib.nullcontext()
        with triggered_by(Trigger.COMMAND), told:
            overview = runtime.read(endpoints, force=options["fresh"])
            runtime.flush(LOG_SECONDS)
        for endpoint in [] if options["endpoint"] else catalogue.deferred:
            self.stderr.write(f"Left out: {endpoint.name} chooses its checks by the request. Ask its server instead.")
        if not overview.readings:
            raise CommandError(_nothing_to_check(options["endpoint"], catalogue), returncode=2)
        if options["verbosity"] > 0 and runtime.get().monitor.store_client.shared:
            self.stderr.write(where_records_are())
        notices = {name: (text.text, False) for report in overview.reports for name, text in report.notices.items()}
        statuses = {r.label: (r.pretty_status, r.state is State.OK) for r in overview.readings}
        self._print({**notices, **statuses, **notices}, options["format"])
        self._send(overview, options)
        return _healthy(overview)

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

    def _ask(self, options: Mapping[str, Any]) -> bool:
        """Ask a running server, show what it says, and return whether all is in order."""
        url = url_of(options["address"] or options["default_address"], self._path(options["endpoint"]))
        if options["verbosity"] > 1:
            self.stderr.write(f"Asking {url}")
        answer = ask(url, headers=_headers(url, options), timeout=options["timeout"])
        self._print({label: (status, status == "OK") for label, status in answer.statuses.items()}, options["format"])
        return answer.status_code < 400

    def _path(self, endpoint: str) -> str:
        if endpoint.startswith("/"):
            return endpoint
        for name in (endpoint, f"health_check:{endpoint}"):
            try:
                return reverse(name, urlconf=health_check_settings.URLCONF)
            except NoReverseMatch:
                continue
        known = runtime.get().catalogue.endpoints
        for candidate in known:
            if endpoint == candidate.name and candidate.url_name and not set("<(^") & set(candidate.route):
                return f"/{candidate.route}"
        names = ", ".join(candidate.name for candidate in known) or "none"
        raise CommandError(
            f"No endpoint {endpoint!r} can be asked by its name. Known endpoints: {names}. "
            "Where a path has arguments, or no name, give it instead, as in /en/health/.",
            returncode=2,
        )

    @staticmethod
    def _find(catalogue: Catalogue, wanted: str) -> Endpoint:
        for endpoint in catalogue.endpoints:
            if f"/{endpoint.route}" == wanted or endpoint.name in (wanted, f"health_check:{wanted}"):
                return endpoint
        found = _routed(catalogue, wanted) if wanted.startswith("/") else None
        if found is not None:
            return found
        names = ", ".join(endpoint.name for endpoint in catalogue.endpoints) or "none"
        raise CommandError(f"There is no endpoint {wanted!r}. Known endpoints: {names}.", returncode=2)

    def _print(self, statuses: Mapping[str, tuple[str, bool]], output_format: str) -> None:
        if output_format == "json":
            self.stdout.write(json.dumps({label: text for label, (text, _) in statuses.items()}, indent=2))
            return
        if not statuses:
            self.stdout.write("The server answers; the endpoint has no checks.")
        for label, (text, good) in statuses.items():
            style = self.style.SUCCESS if good else self.style.ERROR
            self.stdout.write(f"{label:<24} ... {style('; '.join(text.splitlines()))}")


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


def _outputs(options: Mapping[str, Any]) -> list[str]:
    return [name for name in ("textfile", "pushgateway") if options[name]]


def _routed(catalogue: Catalogue, path: str) -> Endpoint | None:
    """Return the endpoint that a path leads to, in any language."""
    try:
        match = resolve(path, urlconf=health_check_settings.URLCONF)
    except Resolver404:
        return None
    endpoint = endpoint_of(match)
    found = catalogue.listed(endpoint) if endpoint is not None else None
    return found[0] if found is not None else None


def _healthy(overview: Overview) -> bool:
    return all(report.healthy for report in overview.reports)


def _nothing_to_check(wanted: str | None, catalogue: Catalogue) -> str:
    if wanted:
        return f"The endpoint {wanted!r} has no checks: there is nothing to run. Ask its server, without --no-http."
    if not catalogue.endpoints:
        return 'There is no health endpoint: add path("health/", include("health_check.urls")) to urls.py.'
    return "No endpoint has any checks."


def _headers(url: str, options: Mapping[str, Any]) -> dict[str, str]:
    headers: dict[str, str] = {}
    host = options["forwarded_host"] or _allowed_host(urllib.parse.urlsplit(url).hostname or "")
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
