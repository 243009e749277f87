"""The command ``manage.py health_exporter``."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import threading
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.management.base import CommandError, CommandParser

from health_check import extensions
from health_check.management.arguments import HealthCommand, where_records_are
from health_check.management.choice import NO_ENDPOINT
from health_check.management.server import Application, Server, addresses
from health_check.monitor import runtime
from health_check.runner.observers import Trigger, triggered_by

EPILOG = """
Run it beside Celery workers, which serve no HTTP, or as a sidecar of a container. The site's own workers and this
process share the records of the checks, as HEALTH_CHECK["STORE"] says: a check with a fresh result is not run again.

exit codes:
  0  stopped by SIGTERM or Ctrl-C; with --once, what there is was printed
  2  the port cannot be had, or there is nothing to serve

examples:
  serve http://127.0.0.1:9808/metrics:
    manage.py health_exporter
  for a Prometheus on another host:
    manage.py health_exporter --host 0.0.0.0
  print the metrics, and exit:
    manage.py health_exporter --once
  send metrics and spans by OTLP:
    OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 manage.py health_exporter
"""


OTLP_VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""The environment variable that says where telemetry is to be sent."""

SHUT_DOWN_SECONDS = 2.0
"""For how long to go on sending at the end."""


class Command(HealthCommand):
    """Serve the metrics and the health endpoints from a process of its own, running the checks in time."""

    help = "Serve /metrics and the health endpoints on a port of their own, and run the checks as their results expire."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        parser.add_argument(
            "--port", type=_port, default=9808, help="port to listen on; 0 takes a free one (default: 9808)"
        )
        parser.add_argument(
            "--once", action="store_true", help="run what is due, print the metrics to standard output, and exit"
        )
        parser.add_argument(
            "--otlp",
            action="store_true",
            help="also send spans and metrics by OTLP over HTTP, as the OTEL_EXPORTER_OTLP_… variables say "
            "(default: if OTEL_EXPORTER_OTLP_ENDPOINT is set)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not runtime.get().catalogue.endpoints:
            raise CommandError(NO_ENDPOINT)
        where, _ = where_records_are()
        with extensions.running_as(extensions.Role.COMMAND if options["once"] else extensions.Role.EXPORTER):
            shut_down = self._set_up_telemetry(demanded=options["otlp"])
            try:
                if options["once"]:
                    self._print_once()
                else:
                    self._serve(options["host"], options["port"], where)
            finally:
                if shut_down is not None:
                    shut_down(SHUT_DOWN_SECONDS)

    def _set_up_telemetry(self, *, demanded: bool) -> extensions.ShutDown | None:
        """Send telemetry if that is wanted, and return what sends the rest of it at the end."""
        set_up = extensions.telemetry.get("otlp")
        if not (demanded or os.environ.get(OTLP_VARIABLE)):
            return None
        try:
            if set_up is None:
                raise extensions.TelemetryError("OTLP needs 'opentelemetry' in HEALTH_CHECK['EXPORTERS'].")
            shut_down = set_up()
        except extensions.TelemetryError as error:
            if demanded:
                raise
            self.stderr.write(f"Nothing is sent by OTLP: {error}")
            return None
        if shut_down is None:
            self.stderr.write("An OpenTelemetry SDK is set up already: it gets the spans and metrics.")
        return shut_down

    def _serve(self, host: str, port: int, where: str) -> None:
        stop = threading.Event()
        try:
            server = Server(host, port)
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Cannot listen on {host}:{port} ({error}). Choose another address with --host and --port."
            ) from error
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        runtime.get().scheduler.start()
        if "/metrics" not in extensions.pages:
            self.stderr.write("There will be no /metrics: name 'prometheus' in HEALTH_CHECK['EXPORTERS'].")
        self.stdout.write(f"Serving {', '.join(addresses())} on {server.url}")
        self.stdout.write(where)
        self.stdout.flush()
        with contextlib.suppress(KeyboardInterrupt):
            server.serve(stop)
        self.stdout.write("Stopped.")

    def _print_once(self) -> None:
        if "/metrics" not in addresses():
            raise CommandError("There are no metrics: name 'prometheus' in HEALTH_CHECK['EXPORTERS'].")
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/metrics",
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "0",
            "wsgi.input": io.BytesIO(),
        }
        with triggered_by(Trigger.COMMAND):
            runtime.read()
        response = Application().get_response(WSGIRequest(environ))
        self.stdout.write(b"".join(response).decode(), ending="")


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: use a number from 0 to 65535")
    return port
