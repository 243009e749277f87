"""What the commands take, how they print their help, and what they say of the place of the records."""

from __future__ import annotations

import argparse
import io
import itertools
import math
import re
import sys
import textwrap
from typing import Any

from django.core.management.base import BaseCommand, CommandParser, DjangoHelpFormatter

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


def seconds(text: str) -> float:
    """Return a number of seconds from 0 up.

    Raises:
        argparse.ArgumentTypeError: If the text is none.
    """
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 up")
    return value


def seconds_above_zero(text: str) -> float:
    """Return a number of seconds above 0.

    Raises:
        argparse.ArgumentTypeError: If the text is none.
    """
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def records_trouble() -> str:
    """Return why the store cannot be used; nothing where it can."""
    store_client = runtime.get().monitor.store_client
    store_client.call(lambda store: store.probe(), None)  # opens it
    return store_client.trouble or ""


def where_records_are() -> str:
    """Return a sentence that names the store, and why it cannot be used if that is so."""
    store_client, trouble = runtime.get().monitor.store_client, records_trouble()
    if trouble:
        return (
            f"Records: {store_client.describe()}, cannot be used ({trouble}); this process keeps its records in memory."
        )
    return f"Records: {store_client.describe()}"
