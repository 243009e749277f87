"""``python -m health_check.demo``: serve the demo site."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import pathlib
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Sequence

from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the demo site until it is interrupted.

    Returns:
        The exit code: 0 after Ctrl-C or SIGTERM, 2 if the port cannot be had, or a program or a folder is missing.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.second_host:
        return _second_host()
    try:
        temporary = tempfile.TemporaryDirectory(prefix="health-check-demo-", ignore_cleanup_errors=True)
    except OSError as error:
        print(f"The demo needs a folder for temporary files: set TMPDIR ({error}).", file=sys.stderr)
        return 2
    with temporary as folder:
        try:
            return _serve(pathlib.Path(folder), options)
        except KeyboardInterrupt:
            logging.disable()  # the checks go on while the folder is removed
            print("\nStopped.")
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m health_check.demo",
        description="Serve a small shop on two hosts, with levers that break things and the status page beside them.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: 8000)")
    parser.add_argument(
        "--spans", action="store_true", help="print the OpenTelemetry span of every run to standard error"
    )
    parser.add_argument(
        "--stack",
        action="store_true",
        help="start Prometheus and Alertmanager, too, which have to be installed; the page shows their notifications",
    )
    parser.add_argument("--second-host", action="store_true", help=argparse.SUPPRESS)
    return parser


def _serve(folder: pathlib.Path, options: argparse.Namespace) -> int:
    os.environ["HEALTH_CHECK_DEMO_FOLDER"] = str(folder)
    os.environ["HEALTH_CHECK_DEMO_SECRET_KEY"] = secrets.token_urlsafe(40)
    os.environ["DJANGO_SETTINGS_MODULE"] = "health_check.demo.settings"
    try:
        server = _Server((options.host, options.port), _Handler)
    except (OSError, OverflowError) as error:
        print(
            f"Cannot listen on {options.host}:{options.port} ({error}). "
            "Choose another port: make demo PORT=8001, or python -m health_check.demo --port 8001.",
            file=sys.stderr,
        )
        return 2
    with server, contextlib.ExitStack() as stack:
        server.set_app(_application(spans=options.spans))
        from health_check.demo import hosts

        stack.callback(hosts.kill)
        hosts.start()
        others: dict[str, str] = {}
        if options.stack:
            from health_check.demo.stack import StackError, running

            try:
                others = stack.enter_context(running(folder, f"{options.host}:{server.server_port}"))
            except StackError as error:
                print(error, file=sys.stderr)
                return 2
        print(_welcome(f"http://{options.host}:{server.server_port}", others), flush=True)
        server.serve_forever()
    return 0


def _application(*, spans: bool) -> WSGIHandler:
    from health_check.demo.spans import collect

    collect(to_console=spans)
    from health_check.demo.wsgi import application  # it reads the environment that was set just now

    _begin()
    return application


def _begin() -> None:
    """Write the past, print what changes from now on, and have the checks run without being asked."""
    from health_check.demo import past, terminal
    from health_check.monitor import runtime

    terminal.print_changes()
    labels = [reading.label for reading in runtime.read().readings]
    past.write(labels, time.time())


def _second_host() -> int:
    """Serve the site as web-2 on a free port, until the process that started this one is gone."""
    from health_check.demo import hosts, terminal
    from health_check.demo.wsgi import application
    from health_check.monitor import runtime

    hosts.end_with_parent()
    terminal.print_changes()
    with contextlib.suppress(KeyboardInterrupt), _Server(("127.0.0.1", 0), _Handler) as server:
        server.set_app(application)
        runtime.read()
        hosts.address_file().write_text(f"127.0.0.1:{server.server_port}")
        server.serve_forever()
    return 0


def _welcome(url: str, others: dict[str, str]) -> str:
    more = "".join(f"  {address + '/':<36} {name}\n" for name, address in others.items())
    return f"""\
The demo site is running. Open

  {url + "/":<36} levers that break things, and the status page beside them
  {url + "/health/":<36} the status page; ?format=json, text, health+json, rss, atom
  {url + "/health/ready/":<36} readiness
  {url + "/health/live/":<36} liveness
  {url + "/metrics":<36} for Prometheus
{more}
A line is printed for each change of state. Stop it with Ctrl-C."""


class _Server(ThreadedWSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        """Print no line a request: probes are many."""


if __name__ == "__main__":
    sys.exit(main())
