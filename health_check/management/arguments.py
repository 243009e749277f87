"""What the commands take, how they print their help, and what they say of the place of the records."""

from __future__ import annotations

import argparse
import functools
import io
import itertools
import logging
import math
import re
import sys
import textwrap
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter
from django.http import Http404

from health_check.extensions import OutputError, TelemetryError
from health_check.logs import logger
from health_check.management.probe import ProbeError
from health_check.monitor import runtime

LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""The name of a label of Prometheus."""


class HelpFormatter(DjangoHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Fill the paragraphs of the epilog, keep its indented lines, and show the options that all commands have last."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = itertools.groupby(text.strip().split("\n"), key=lambda line: line[:1] in ("", " "))
        return "\n".join(
            "\n".join(lines) if is_kept else textwrap.fill(" ".join(lines), width) for is_kept, lines in parts
        )


class HealthCommand(BaseCommand):
    """A command that says what is wrong also of a broken site, and on a terminal that cannot encode it."""

    epilog = ""
    """What the help ends with."""
    requires_system_checks = ()

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run; what keeps it from its work is exit code 2, as 1 says that an endpoint fails or the host is drained."""
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            error.returncode = 2
            raise
        except (ImproperlyConfigured, ProbeError, OutputError, TelemetryError, Http404) as error:
            raise CommandError(str(error), returncode=2) from error

    def log_only_if_verbose(self, verbosity: int) -> None:
        """Keep the log from standard error where nobody has configured it: the outcome is printed anyway."""
        if verbosity < 2 and not logger.hasHandlers():
            logger.addHandler(logging.NullHandler())

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Keep the line breaks of the epilog."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().create_parser(prog_name, subcommand, epilog=self.epilog, formatter_class=HelpFormatter, **kwargs)


def pair(text: str) -> tuple[str, str]:
    """Return a label and its value.

    Raises:
        argparse.ArgumentTypeError: If the text is no such pair.
    """
    name, separator, value = text.partition("=")
    if not separator or not LABEL.fullmatch(name) or not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not a label with a value, as in instance=web1")
    return name, value


def seconds(text: str, *, above_zero: bool = False) -> float:
    """Return a number of seconds from 0 up, or above 0.

    Raises:
        argparse.ArgumentTypeError: If the text is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 if above_zero else value >= 0) or value == math.inf:
        which = "above 0" if above_zero else "from 0 up"
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds {which}")
    return value


seconds_above_zero = functools.partial(seconds, above_zero=True)


def where_records_are() -> tuple[str, bool]:
    """Return a sentence that names the store, and says why it cannot be used if that is so; and whether it can."""
    store_client = runtime.get().monitor.store_client
    store_client.call(lambda store: store.probe(), None)  # opens it
    place, trouble = f"Records: {store_client.describe()}", store_client.trouble
    if trouble:
        return f"{place}, cannot be used ({trouble}); this process keeps its records in memory.", False
    return place, True
