"""What is sent to where Prometheus finds it, from processes that it cannot scrape."""

from __future__ import annotations

import functools
import http.client
import os
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from prometheus_client.exposition import basic_auth_handler, default_handler, push_to_gateway, write_to_textfile
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from health_check.conf import host_name
from health_check.extensions import OutputError, Role
from health_check.monitor.reports import Overview
from health_check.monitor.runtime import store_summary
from health_check.redaction import showable
from health_check_prometheus.families import families_of

SUFFIX = ".prom"
"""What node_exporter's textfile collector wants the names of its files to end with."""

JOB = "health_check"
"""The job to push as where none is given."""

MOST_ANSWER_CHARACTERS = 300
"""How much is shown of what a Pushgateway says of a refusal."""

Handler = Callable[[str, str, float | None, list[tuple[str, str]], bytes], Callable[[], None]]


class Snapshot(Collector):
    """The metrics as they are now.

    Args:
        overview: The endpoints and their checks.
    """

    def __init__(self, overview: Overview) -> None:
        self._families = families_of(overview, store_summary(overview.readings), Role.COMMAND)

    def collect(self) -> Iterable[Metric]:
        return self._families


def verify_textfile(options: Mapping[str, Any]) -> None:
    """Find out whether the file can be written.

    Args:
        options: ``textfile`` is the name of the file.

    Raises:
        OutputError: If it is a folder, or is in none that this user may write to.
    """
    path = str(options["textfile"])
    folder = os.path.dirname(path) or "."  # noqa: PTH120 - pathlib drops a slash at the end, which says "a folder"
    try:
        os.stat(os.path.join(folder, "."))  # noqa: PTH116, PTH118
    except OSError as error:
        raise _unwritable(path, error.strerror) from error
    if os.path.isdir(path):  # noqa: PTH112
        raise _unwritable(path, "it is a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _unwritable(path, "the folder is not writable")


def _unwritable(path: object, reason: object) -> OutputError:
    return OutputError(f"{path} cannot be written ({reason}): name a file in a folder that this user may write to.")


def write_textfile(overview: Overview, options: Mapping[str, Any]) -> str:
    """Write the metrics to a file for node_exporter's textfile collector, in one step.

    Args:
        overview: The endpoints and their checks.
        options: ``textfile`` is the name of the file.

    Raises:
        OutputError: If it cannot be written.
    """
    path = str(options["textfile"])
    try:
        write_to_textfile(path, Snapshot(overview))
    except OSError as error:
        raise _unwritable(path, error.strerror or error) from error
    note = "" if path.endswith(SUFFIX) else f" Note that node_exporter reads only files that end in {SUFFIX}."
    return f"The metrics are in {path}.{note}"


def verify_push(options: Mapping[str, Any]) -> None:
    """Find out whether there is a Pushgateway to push to by these options, without asking it.

    Args:
        options: As for ``push``.

    Raises:
        OutputError: If the URL is none, or the group names the job.
    """
    _destination(str(options["pushgateway"]))
    _grouping(options)


def _grouping(options: Mapping[str, Any]) -> dict[str, str]:
    grouping = dict(options["grouping"] or [("instance", host_name())])
    if "job" in grouping:
        raise OutputError("The job is not part of the group: give it as --job NAME, not as --grouping job=NAME.")
    return grouping


def push(overview: Overview, options: Mapping[str, Any]) -> str:
    """Push the metrics to a Pushgateway, and replace what is there of the same job and group.

    Args:
        overview: The endpoints and their checks.
        options: ``pushgateway`` is its URL, maybe with a user and password; ``job`` and ``grouping`` (pairs of a
            label and its value), if given, say what it is pushed as; ``timeout`` is how long that may take, in seconds.

    Raises:
        OutputError: If it cannot be reached, or refuses.
    """
    url, handler = _destination(str(options["pushgateway"]))
    job, grouping = options["job"] or JOB, _grouping(options)
    try:
        push_to_gateway(
            url,
            job=job,
            registry=Snapshot(overview),
            grouping_key=grouping,
            timeout=options["timeout"],
            handler=handler,
        )
    except urllib.error.HTTPError as error:
        raise OutputError(f"The Pushgateway {url} answers HTTP {error.code}: {_explanation(error)}") from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = showable(str(getattr(error, "reason", error)))
        raise OutputError(f"The Pushgateway {url} cannot be reached: {reason}. Is it running there?") from error
    return f"The metrics are pushed to {url} as job {job}, {_described(grouping)}."


def _explanation(error: urllib.error.HTTPError) -> str:
    """Return what a Pushgateway says of its refusal, as far as it says it in time."""
    try:
        answer = error.read(MOST_ANSWER_CHARACTERS).decode(errors="replace")
    except (OSError, http.client.HTTPException):
        answer = ""
    finally:
        error.close()
    return showable(answer).strip() or error.reason


def _destination(given: str) -> tuple[str, Handler]:
    """Return a URL without its userinfo, and what sends requests there."""
    try:
        parts = urllib.parse.urlsplit(given if "://" in given else f"http://{given}")
        user, password, host, port = parts.username, parts.password, parts.hostname, parts.port
    except ValueError as error:
        raise _no_url(given) from error
    if parts.scheme not in ("http", "https") or not host or not host.isprintable() or " " in host:
        raise _no_url(given)
    place = f"[{host}]" if ":" in host else host
    url = urllib.parse.urlunsplit(
        (parts.scheme, place if port is None else f"{place}:{port}", parts.path.rstrip("/"), "", "")
    )
    if user is None:
        return url, default_handler
    name, secret = urllib.parse.unquote(user), urllib.parse.unquote(password or "")
    return url, functools.partial(basic_auth_handler, username=name, password=secret)


def _no_url(given: str) -> OutputError:
    """Return what to say of what is no URL; what stands before the last ``@`` of it may be a password."""
    _, at, shown = given.rpartition("@")
    remedy = "use http://HOST:9091 or https://…"
    if at:
        remedy += "; in a user or password write %2F, %3F, %23 and %40 for /, ?, # and @"
    return OutputError(f"{'***@' if at else ''}{showable(shown)} is not the URL of a Pushgateway: {remedy}.")


def _described(grouping: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in grouping.items())
