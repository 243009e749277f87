"""The command ``manage.py health_init``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import re
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from health_check.management import proposals
from health_check.management.arguments import HealthCommand

EPILOG = """
It looks at CACHES, DATABASES, STORAGES, mail, Celery, MIDDLEWARE and ALLOWED_HOSTS, asks no server and changes nothing;
with --write it writes the files for Prometheus, Alertmanager and Grafana.

exit codes:
  0  the proposal was printed
  2  wrong usage, or files that cannot be written

examples:
  manage.py health_init
  manage.py health_init --write monitoring --target shop.internal:8000
"""


class Command(HealthCommand):
    """Print what to add to this site, also to one that is not set up yet."""

    help = "Look at this site, and print what to add to it: checks, URLs, middleware, probes and monitoring."
    epilog = EPILOG

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--write", metavar="DIR", help="write the files for Prometheus, Alertmanager and Grafana to this folder"
        )
        parser.add_argument("--force", action="store_true", help="overwrite files that are there and differ")
        parser.add_argument(
            "--target",
            type=_target,
            default="127.0.0.1:8000",
            metavar="HOST:PORT",
            help="where the site is scraped and probed (default: 127.0.0.1:8000)",
        )
        parser.add_argument(
            "--job", default=_job(), metavar="NAME", help=f"what Prometheus calls the site (default: {_job()})"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        folder = options["write"] or "monitoring"
        self.stdout.write(proposals.render(target=options["target"], folder=folder), ending="")
        if options["write"]:
            self.stdout.write(_write(folder, options["target"], options["job"], force=options["force"]))


def _job() -> str:
    """Return the name of the project: the package of its settings."""
    return str(settings.SETTINGS_MODULE).partition(".")[0] if settings.SETTINGS_MODULE else "django"


def _write(folder: str, target: str, job: str, *, force: bool) -> str:
    """Write the files of the monitoring, and return what was written.

    Raises:
        CommandError: If they cannot be written.
    """
    said, wrong = io.StringIO(), io.StringIO()
    try:
        main = importlib.import_module("health_check_dashboards.__main__").main
    except ImportError as error:
        raise CommandError(f"The package health_check_dashboards cannot be imported: {error}.") from error
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(wrong):
        more = ["--credentials-file", proposals.CREDENTIALS] if proposals.needs_token() else []
        more += ["--force"] if force else []
        code = main([folder, "--job", job, "--target", target, *more])
    if code:
        reason = wrong.getvalue().strip().removeprefix("python -m health_check_dashboards: ")
        raise CommandError(f"The files of the monitoring were not written. {reason}")
    return f"\nWritten, for the job {job}:\n{said.getvalue().strip()}"


def _target(text: str) -> str:
    if not re.fullmatch(r"([\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is not an address: use HOST:PORT")
    return text
