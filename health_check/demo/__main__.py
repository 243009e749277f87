"""``python -m health_check.demo``: serve the demo site."""

from __future__ import annotations

import argparse
import os
import pathlib
import secrets
import signal
import sys
import tempfile
from collections.abc import Sequence

from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the demo site until it is interrupted.

    Returns:
        The exit code: 0 after Ctrl-C or SIGTERM, 2 if the port cannot be had.
    """
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="health-check-demo-") as folder:
        try:
            return _serve(pathlib.Path(folder), options)
        except KeyboardInterrupt:
            print("\nStopped.")
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m health_check.demo",
        description="Serve a small site with /health/, /health/live/ and /metrics, and a check to break and fix.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one (default: 8000)")
    parser.add_argument(
        "--spans", action="store_true", help="print the OpenTelemetry span of every run to standard error"
    )
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
    with server:
        server.set_app(_application(spans=options.spans))
        print(_welcome(f"http://{options.host}:{server.server_port}"), flush=True)
        server.serve_forever()
    return 0


def _application(*, spans: bool) -> WSGIHandler:
    from health_check.demo.wsgi import application  # it reads the environment that was set just now

    if spans:
        from health_check_opentelemetry.sdk import trace_to_console

        trace_to_console("health-check-demo")
    return application


def _welcome(url: str) -> str:
    return f"""\
The demo site is running. Open

  {url}/               break and fix a check
  {url}/health/        the health page; ?format=json, text, health+json, rss, atom
  {url}/health/live/   liveness
  {url}/metrics        for Prometheus

Stop it with Ctrl-C."""


class _Server(ThreadedWSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class names it
        """Print no line a request: probes are many."""


if __name__ == "__main__":
    sys.exit(main())
