"""All faces of a running site, read and set side by side."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import datetime
import html
import io
import re
import urllib.parse
from collections.abc import Mapping

from tests.support.client import get
from tests.support.commands import executed
from tests.support.scraping import query
from tests.support.servers import Server

BRACKETED = ("html", "json", "text", "command")
"""Faces that do not say when a check ran: they are told by what health+json says before and after."""

FACES = (*BRACKETED, "health+json", "metrics", "prometheus", "spans")
"""All faces."""

Key = tuple[str, str]
"""A run: the label of its check and when it ended, in RFC 3339 to the millisecond."""


def moment(unix_seconds: float) -> str:
    """Return a Unix time as health+json has it."""
    found = datetime.datetime.fromtimestamp(unix_seconds, datetime.UTC)
    return found.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """What a face says of a run."""

    status: int
    """1 or 0."""
    text: str | None = None
    """What is wrong, or "OK"; None where the face does not show it."""


class Observations:
    """What all faces said of the runs they showed."""

    def __init__(self, site: Server, prometheus: Server) -> None:
        self._site = site
        self._prometheus = prometheus
        self.by_run: dict[Key, dict[str, set[Said]]] = collections.defaultdict(lambda: collections.defaultdict(set))

    def observe(self) -> None:
        """Read every face once."""
        readers = (self._html, self._json, self._text, self._command)
        for name, read in zip(BRACKETED, readers, strict=True):
            before = self._health_json()
            said = read()
            after = self._health_json()
            assert said.keys() == before.keys() == after.keys(), f"{name} shows other checks than health+json"
            for label in said:
                if before[label] == after[label]:
                    self._note(name, (label, before[label]), said[label])
        self._metrics()
        self._in_prometheus()
        self._spans()

    def shown_by_all(self, *, since: str) -> set[tuple[str, int]]:
        """Return those pairs of label and status that every face has shown for some run since then.

        Only runs count that health+json, which always says when a run was, has shown as well.
        """
        shown: dict[str, set[tuple[str, int]]] = {face: set() for face in FACES}
        for (label, ended), faces in self.by_run.items():
            if ended >= since and "health+json" in faces:
                for face, said in faces.items():
                    shown[face] |= {(label, one.status) for one in said}
        return set.intersection(*shown.values())

    def disagreements(self) -> list[str]:
        """Return a line for each run that has more than one status or text."""
        found = []
        for key, faces in self.by_run.items():
            said = [one for several in faces.values() for one in several]
            statuses, texts = {one.status for one in said}, {one.text for one in said if one.text is not None}
            if len(statuses) > 1 or len(texts) > 1:
                found.append(f"{key}: {dict(faces)}")
        return found

    def _note(self, face: str, key: Key, said: Said) -> None:
        self.by_run[key][face].add(said)

    def _health_json(self) -> dict[str, str]:
        """Note what health+json says, and return when each check ran."""
        times = {}
        for label, (check,) in get(f"{self._site.url}/health/", format="health+json").json()["checks"].items():
            text = check.get("output", "OK")
            times[label] = check["time"]
            assert (check["status"] == "pass") == (check["state"] == "ok") == (text == "OK"), check
            self._note("health+json", (label, check["time"]), _said(text))
        return times

    def _html(self) -> dict[str, Said]:
        found = {}
        for row in re.findall(r'(?s)<li class="row.*?\n      </li>', get(f"{self._site.url}/health/").body):
            label, state = re.search(r'href="[^"]*check=([^"&]+)"', row), re.search(r'class="state (\w+)"', row)
            assert label is not None
            assert state is not None
            message = re.search(r'(?s)<div class="message \w+">(?:<details><summary>.*?</summary>)?([^<]*)<', row)
            text = "; ".join(html.unescape(message[1]).splitlines()) if message else "OK"
            found[urllib.parse.unquote(label[1])] = Said(status=int(state[1] == "ok"), text=text)
        return found

    def _json(self) -> dict[str, Said]:
        found = get(f"{self._site.url}/health/", format="json").json()
        return {label: _said(text) for label, text in found.items()}

    def _text(self) -> dict[str, Said]:
        lines = get(f"{self._site.url}/health/", format="text").body.splitlines()
        return {label: _said(text) for label, text in (line.split(": ", 1) for line in lines)}

    def _command(self) -> dict[str, Said]:
        lines = command(self._site.address, "health_check")[1].splitlines()
        return {label.rstrip(): _said(text) for label, text in (line.split(" ... ", 1) for line in lines)}

    def _metrics(self) -> None:
        samples: dict[str, dict[str, float]] = collections.defaultdict(dict)
        for line in get(f"{self._site.url}/metrics").body.splitlines():
            if match := re.fullmatch(r'django_health_check_(\w+)\{check="([^"]*)"\} (\S+)', line):
                samples[match[2]][match[1]] = float(match[3])
        for label, values in samples.items():
            self._note_sample("metrics", label, values)

    def _in_prometheus(self) -> None:
        names = "django_health_check_(status|last_run_timestamp_seconds)"
        samples: dict[str, dict[str, float]] = collections.defaultdict(dict)
        for labels, value in query(self._prometheus, f'{{__name__=~"{names}"}}'):
            samples[labels["check"]][labels["__name__"].removeprefix("django_health_check_")] = value
        for label, values in samples.items():
            self._note_sample("prometheus", label, values)

    def _note_sample(self, face: str, label: str, values: Mapping[str, float]) -> None:
        key = (label, moment(values["last_run_timestamp_seconds"]))
        self._note(face, key, Said(status=int(values["status"])))

    def _spans(self) -> None:
        """Note each known run's span, the first that ended after it: a run ends, then its span, then the next run."""
        spans = get(f"{self._site.url}/spans/").json()["spans"]
        for key in list(self.by_run):
            label, ended = key
            for span in spans:
                if span["attributes"].get("health_check.name") == label and moment(span["ended"]) >= ended:
                    assert span["name"] == f"health_check.check {label}"
                    status = span["attributes"]["health_check.status"]
                    assert status == int(span["attributes"]["health_check.state"] == "ok"), span
                    self._note("spans", key, Said(status=status))
                    break


def _said(text: str) -> Said:
    return Said(status=int(text == "OK"), text="; ".join(text.splitlines()))


def command(address: str, endpoint: str) -> tuple[int, str]:
    """Ask the site at an address with the command ``health_check``; return its exit code, and what it printed."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()):
        return executed("health_check", endpoint, address), printed.getvalue()
