"""The command line of ``manage.py health_check``: what it takes, and which options do not go together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from health_check import extensions
from health_check.management.arguments import pair, seconds_above_zero
from health_check.management.probe import address_of

EPILOG = """
Without ENDPOINT, every check of every endpoint runs in this process, each once.
With ENDPOINT, a running server is asked over HTTP, so that a dead server is not
reported healthy; with --no-http, the endpoint's checks run in this process.
On a terminal the checks are a table, what fails first. Elsewhere each is a line
LABEL ... STATUS, in declared order.

exit codes:
  0  no endpoint fails
  1  an endpoint fails
  2  wrong usage, a server that cannot be reached, a file that cannot be
     written, or nothing to check

examples:
  every check, here and now:
    manage.py health_check
  an endpoint as the server at 127.0.0.1:8000, or $HOST:$PORT, sees it:
    manage.py health_check ready
  another server, by the path of the endpoint:
    manage.py health_check /health/ web:8080 --timeout 3
  the checks of an endpoint, here, for a script:
    manage.py health_check ready --no-http --format json
  again every two seconds, until Ctrl-C:
    manage.py health_check --watch
  one check, now:
    manage.py health_check --check Database --fresh
  at the end of a deploy: run the checks, and wait for the server:
    manage.py health_check ready --fresh --wait-until ok --for 60
  with the log of what goes wrong, tracebacks included:
    manage.py health_check -v 2 --fresh
  from cron, for node_exporter:
    manage.py health_check --textfile /var/lib/node_exporter/shop.prom
  from a batch job:
    manage.py health_check --pushgateway http://pushgateway:9091
"""


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments of ``manage.py health_check``."""
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
    parser.set_defaults(default_address=address_of(host, port))
    _add_checks(parser)
    _add_times(parser)
    _add_server(parser)
    _add_outputs(parser)


def _add_checks(parser: CommandParser) -> None:
    parser.add_argument("-s", "--subset", metavar="NAME", help="deprecated: run one of HEALTH_CHECK['SUBSETS']")
    parser.add_argument("--skip-checks", action="store_true", help="has no effect: this command runs no system checks")
    parser.add_argument(
        "--check",
        action="append",
        default=[],
        metavar="LABEL",
        dest="labels",
        help="only this check, by its label or a former one; may be repeated (default: all)",
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="list the checks, their endpoints, and whether their labels are pinned; run none. "
        "Without a terminal, print their labels alone",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "json-full"),
        default="text",
        help="how to print: text, json (the texts by label), or json-full (all that is known) (default: text)",
    )


def _add_times(parser: CommandParser) -> None:
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="run the checks in this process now, even if their results are fresh; all servers then show the outcome",
    )
    parser.add_argument(
        "--wait-until", choices=("ok",), help="look again every second until no endpoint fails, at the end of a deploy"
    )
    parser.add_argument(
        "--for",
        type=seconds_above_zero,
        default=60.0,
        metavar="SECONDS",
        help="how long to wait for that (default: 60)",
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=seconds_above_zero,
        const=2.0,
        metavar="SECONDS",
        help="show the checks again every SECONDS (default: 2); if this is not a terminal, print only what changes",
    )


def _add_server(parser: CommandParser) -> None:
    server = parser.add_argument_group("the server", "How to ask it, where an ENDPOINT is given.")
    way = server.add_mutually_exclusive_group()
    way.add_argument("--http", action="store_true", dest="use_http", default=True, help="ask a server (default)")
    way.add_argument(
        "--no-http",
        action="store_false",
        dest="use_http",
        help="run the endpoint's checks in this process instead of asking a server",
    )
    server.add_argument(
        "--timeout",
        type=seconds_above_zero,
        default=10.0,
        metavar="SECONDS",
        help="how long to wait for the server, or the Pushgateway (default: 10)",
    )
    server.add_argument(
        "--unix-socket", metavar="PATH", help="connect to this socket of the server; as HOST:PORT, unix:PATH"
    )
    server.add_argument(
        "--server-name",
        metavar="NAME",
        help="name to ask for over TLS, and to verify, where the server is asked by address (default: the host)",
    )
    server.add_argument("--insecure", action="store_true", help="do not verify the certificate of the server")
    server.add_argument(
        "--forwarded-host",
        metavar="NAME",
        help="host name to ask for, sent as Host and X-Forwarded-Host "
        "(default: the first of ALLOWED_HOSTS, where the site would refuse the address itself)",
    )
    server.add_argument(
        "--forwarded-proto",
        choices=("http", "https"),
        help="protocol to claim, sent as X-Forwarded-Proto and as SECURE_PROXY_SSL_HEADER says "
        "(default: https if both that and SECURE_SSL_REDIRECT are set)",
    )


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


def asks_a_server(options: Mapping[str, Any]) -> bool:
    """Return whether a running server is to be asked, rather than checks to be run here.

    Raises:
        CommandError: If the options do not go together.
        OutputError: If what is found cannot be sent where that is wanted.
    """
    over_http = bool(options["endpoint"]) and options["use_http"] and not (options["list"] or options["subset"])
    if options["wait_until"] and options["watch"]:
        raise CommandError("--watch goes on until Ctrl-C: leave --wait-until out.")
    if not (options["use_http"] or options["endpoint"]):
        raise CommandError("--no-http needs an ENDPOINT; without one, all checks run here anyway.")
    if not over_http and any(options[name] for name in ("unix_socket", "server_name", "insecure")):
        raise CommandError("No server is asked here: leave out the options that say how to reach one.")
    if (options["job"] or options["grouping"]) and not options["pushgateway"]:
        raise CommandError("--job and --grouping say what is pushed: add --pushgateway URL.")
    for output in outputs(options):
        if over_http:
            raise CommandError(f"--{output} is for checks that run in this process: add --no-http.")
        if options["watch"]:
            raise CommandError(f"--watch only shows the checks: leave --{output} out.")
        if output not in extensions.outputs:
            raise CommandError(f"--{output} needs 'prometheus' in HEALTH_CHECK['EXPORTERS'].")
        extensions.outputs[output].verify(options)
    return over_http


def outputs(options: Mapping[str, Any]) -> list[str]:
    """Return where what is found is to be sent."""
    return [name for name in ("textfile", "pushgateway") if options[name]]
