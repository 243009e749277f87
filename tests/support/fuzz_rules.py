"""What holds for each answer, whatever was asked."""

from __future__ import annotations

import collections
import gzip
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

from tests.support.fuzz_handlers import Answer
from tests.support.fuzz_requests import Request
from tests.support.site.planted import GUARDED, PRIVATE, SECRET, TOKEN, USER_TOKEN

HEALTH = {"/health/", "/health/live/", "/fresh/", "/guarded/", "/quiet/"}
METRICS = {"/metrics", "/guarded-metrics"}
CLOSED = {"/guarded/", "/guarded-metrics"}

OF_OURS = {200, 401, 403, 405, 406, 500}
"""The statuses that our views answer with; 400 and redirects are the site's."""

LEAKS = [SECRET, "planted-password", "planted-user"]
"""What nobody may see, in a log either."""

NEVER_SHOWN = [*LEAKS, PRIVATE, "Traceback (most recent call last)", 'File "/', "Error: "]
"""What nobody may see who is not reading the log."""

STATUS_NAMES = {"pass", "warn", "fail"}
SAMPLE = re.compile(r"#.*|[a-zA-Z_:][\w:]*(?:\{.*\})? \S+(?: \S+)?(?: # \{.*\} \S+(?: \S+)?)?")


def plain_body(answer: Answer) -> bytes:
    """Return the body as it was before it was compressed."""
    return gzip.decompress(answer.body) if answer.header("Content-Encoding") == "gzip" else answer.body


def assert_well_formed(answer: Answer) -> None:
    """Assert that a body is a complete health answer of the type that it says it is."""
    media_type = answer.header("Content-Type").partition(";")[0]
    [kind] = [kind for kind, (known, _) in _WELL_FORMED.items() if known == media_type]
    assert_form(kind, plain_body(answer).decode())


def assert_form(kind: str, text: str) -> None:
    """Assert that a body is complete and of a format, by the name that that has in ``?format=``."""
    _WELL_FORMED[kind][1](text)


def _html(text: str) -> None:
    assert text.startswith("<!doctype html>")
    assert "</title>" in text
    assert text.rstrip().endswith("</html>")


def _json(text: str) -> None:
    found = json.loads(text)
    assert isinstance(found, dict)
    assert all(isinstance(value, str) for value in found.values())


def _health_json(text: str) -> None:
    found = json.loads(text)
    assert found["status"] in STATUS_NAMES
    assert all(row["status"] in STATUS_NAMES for [row] in found["checks"].values())


def _text(text: str) -> None:
    assert all(": " in line for line in text.splitlines())


def _feed(text: str) -> None:
    assert ET.fromstring(text).tag.endswith(("rss", "feed"))  # noqa: S314 - written by ourselves


_WELL_FORMED: dict[str, tuple[str, Callable[[str], None]]] = {
    "html": ("text/html", _html),
    "json": ("application/json", _json),
    "health+json": ("application/health+json", _health_json),
    "text": ("text/plain", _text),
    "rss": ("application/rss+xml", _feed),
    "atom": ("application/atom+xml", _feed),
}


def may_be_let_in(request: Request) -> bool:
    """Tell whether something of a request could let somebody in; a header that nobody vouches for is nothing."""
    tokens = any(token.encode() in value for token in (TOKEN, USER_TOKEN) for value in request.values("Authorization"))
    staff = any(b"staff" in value for value in request.values("Cookie"))
    forwarded = any(b"10." in value for value in request.values("X-Forwarded-For"))
    return tokens or staff or request.peer.startswith("10.") or (request.peer.startswith("192.0.2.") and forwarded)


def is_let_in(request: Request) -> bool:
    """Tell whether a request is certainly authorised."""
    return request.peer.startswith("10.") or request.values("Authorization") == [b"Bearer " + TOKEN.encode()]


def assert_nothing_shown(answer: Answer) -> None:
    """Assert that nothing shows that nobody may see; a redirect of the site's tells the client what it sent."""
    headers = [header for header in answer.headers if header[0] != "Location"]
    shown = f"{answer.status} {headers} {plain_body(answer).decode(errors='replace')}"
    assert [text for text in NEVER_SHOWN if text in shown] == []
    assert not any(character in value for _, value in answer.headers for character in "\r\n\0")


def assert_closed(request: Request, path: str, answer: Answer) -> None:
    """Assert that those who are not let in learn nothing, and that the others are."""
    if not may_be_let_in(request):
        assert path not in CLOSED or answer.status in (401, 405) or answer.status not in OF_OURS
        assert path not in CLOSED or GUARDED.encode() not in plain_body(answer)
        assert path not in ("/guarded/", "/quiet/") or b"cannot reach" not in plain_body(answer)
    if answer.status == 401:
        assert path in CLOSED
        assert answer.header("WWW-Authenticate").startswith("Bearer")
        assert not is_let_in(request)


def assert_ours(request: Request, path: str, answer: Answer) -> None:
    """Assert what holds for the answers of our views."""
    assert answer.header("Cache-Control") == "no-store"
    assert request.method == "HEAD" or answer.header("Content-Length") in ("", str(len(answer.body)))
    assert not answer.header("ETag")
    assert not answer.header("Set-Cookie")
    if path in HEALTH:
        assert "Accept" in answer.header("Vary").split(", ")
        if request.method in ("GET", "HEAD") and answer.status in (200, 500):
            if answer.body:  # servers leave it out where the method is HEAD
                assert_well_formed(answer)
            named = request.query.removeprefix(b"format=").decode("latin-1")
            if request.query.startswith(b"format=") and named in _WELL_FORMED:
                assert answer.header("Content-Type").partition(";")[0] == _WELL_FORMED[named][0]
    elif request.method in ("GET", "HEAD") and answer.status == 200 and answer.body:
        assert {"Accept", "Accept-Encoding"} <= set(answer.header("Vary").split(", "))
        page = plain_body(answer).decode()
        assert all(SAMPLE.fullmatch(line) for line in page.splitlines())


class Judge:
    """Judge answers, and count them.

    Args:
        gets_through: Whether our middleware answers before all others.
    """

    def __init__(self, *, gets_through: bool) -> None:
        self.inputs = 0
        self.distinct: set[Request] = set()
        self.counts: dict[str, collections.Counter[int]] = collections.defaultdict(collections.Counter)
        self._gets_through = gets_through

    def judge(self, request: Request, answer: Answer) -> None:
        """Assert all that holds for an answer."""
        path = request.plain_path
        known = path in HEALTH | METRICS
        self.inputs += 1
        self.distinct.add(request)
        self.counts[path if known else "other paths"][answer.status] += 1
        assert_nothing_shown(answer)
        assert answer.status < 500 or (path in HEALTH and answer.status == 500)
        if not known:
            return
        assert answer.status not in (206, 304, 404)
        assert_closed(request, path, answer)
        if answer.status in OF_OURS:
            assert_ours(request, path, answer)
        if self._gets_through and not request.values("Cookie"):
            too_many = path in METRICS and request.query.count(b"&") > 1000
            assert answer.status in OF_OURS or (answer.status == 400 and (too_many or not request.is_text))

    def __str__(self) -> str:
        rows = [f"{path}: {dict(sorted(counts.items()))}" for path, counts in sorted(self.counts.items())]
        return "\n".join([f"{self.inputs} inputs, {len(self.distinct)} of them different", *rows])
