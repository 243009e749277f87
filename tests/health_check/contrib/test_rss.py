"""The checks of providers that tell of incidents in a feed, against what such feeds have been seen to hold."""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import pathlib
import time
from typing import Any, ClassVar

import pytest

from health_check.contrib import rss
from health_check.contrib.rss import AWS, Feed
from health_check.exceptions import StatusPageWarning
from health_check.registry.definitions import label_of
from tests.support.pages import Pages

BOMB_SECONDS = 30.0
"""How long a feed that swells may take on a busy machine; swollen it would take hours."""


def ago(hours: float) -> datetime.datetime:
    """Return a moment in the past, to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(hours=hours)


def item(title: str, hours: float | None = 1, text: str = "", link: str = "") -> str:
    """Return an item of RSS, as old as it says."""
    date = "" if hours is None else f"<pubDate>{email.utils.format_datetime(ago(hours))}</pubDate>"
    return (
        f"<item><title><![CDATA[{title}]]></title><link>{link}</link>{date}<guid>{title}</guid>"
        f"<description><![CDATA[{text}]]></description></item>"
    )


def rss_feed(*items: str) -> str:
    """Return a feed in RSS."""
    head = "<title>Provider Status</title><link>https://status.example</link><ttl>5</ttl>"
    return f'<?xml version="1.0"?><rss version="2.0"><channel>{head}{"".join(items)}</channel></rss>'


def atom_feed(*entries: tuple[str, float, float, str]) -> str:
    """Return a feed in Atom, of titles, the hours since they were published and updated, and texts."""
    told = "".join(
        f"<entry><id>tag:{title}</id><title>{title}</title><published>{ago(published).isoformat()}</published>"
        f'<updated>{ago(updated).isoformat()}</updated><link rel="alternate" href="https://status.example/1"/>'
        f'<content type="html"><![CDATA[{text}]]></content></entry>'
        for title, published, updated, text in entries
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom"><title>x</title>{told}</feed>'
    )


def check_of(pages: Pages, answer: str | bytes, status: int = 200, **options: Any) -> Feed:
    """Return a check of a provider that answers in this way, after a run."""

    @dataclasses.dataclass(repr=False)
    class Provider(Feed):
        feed_url: ClassVar[str] = pages.page("/feed", answer, status)

    check = Provider(**options)
    check.run_check()
    return check


def told(pages: Pages, answer: str | bytes, status: int = 200, **options: Any) -> list[str]:
    """Return the texts of the errors of such a run."""
    return [str(error) for error in check_of(pages, answer, status, **options).errors]


@pytest.mark.parametrize("feed", [rss_feed(), atom_feed()])
def test_check__no_entry(pages: Pages, feed: str) -> None:
    """A feed without entries is in order."""
    assert told(pages, feed) == []


def test_check__incident(pages: Pages) -> None:
    """A young entry is warned of, by its title and link, as of when it was written."""
    check = check_of(pages, rss_feed(item("EC2: <b>errors</b>", 1, "We are on it.", "https://status.example/1")))
    [error] = check.errors
    assert str(error) == "warning: EC2: errors: https://status.example/1"
    assert isinstance(error, StatusPageWarning)
    assert abs(error.timestamp - ago(1)) < datetime.timedelta(minutes=5)


@pytest.mark.parametrize(
    ("hours", "most", "count"),
    [(0, 8, 1), (7.9, 8, 1), (8.1, 8, 0), (-0.05, 8, 1), (-1, 8, 0), (None, 8, 1), (3, 4, 1), (3, 2, 0)],
)
def test_check__age(pages: Pages, hours: float | None, most: float, count: int) -> None:
    """An entry that is old, or of maintenance to come, is no incident; one that does not say may be."""
    options: dict[str, Any] = {} if most == 8 else {"incident_hours": most}
    assert len(told(pages, rss_feed(item("outage", hours)), **options)) == count


def test_check__last_word_counts(pages: Pages) -> None:
    """An incident of long ago that was spoken of just now is going on."""
    assert told(pages, atom_feed(("outage", 100, 1, ""))) == ["warning: outage: https://status.example/1"]
    assert told(pages, atom_feed(("outage", 100, 50, ""))) == []


@pytest.mark.parametrize("title", ["outage", "<a " * 3000])
@pytest.mark.parametrize("summary", ["", f"<b>{' ' * 20_000}x", "<b>" * 20_000])
def test_check__hostile_entry(pages: Pages, title: str, summary: str) -> None:
    """An entry that is made to be hard to read is an incident nonetheless, and holds nobody up."""
    entry = f"<item><title><![CDATA[{title}]]></title><description><![CDATA[{summary}]]></description></item>"
    start = time.monotonic()
    [error] = told(pages, rss_feed(entry))
    assert time.monotonic() - start < BOMB_SECONDS
    assert error.startswith("warning: ")


@pytest.mark.parametrize(
    ("title", "errors"),
    [
        ("RESOLVED: We are investigating elevated errors", []),
        ("[Resolved] Slow builds", []),
        ("Resolved", []),
        ("Service is operating normally: [RESOLVED] Increased latency", []),
        ("Informational message: [RESOLVED] Increased latency", []),
        ("[Scheduled] Database upgrade", []),
        ("[Completed] Database upgrade", []),
        *(
            (title, [f"warning: {title}"])
            for title in ("UPDATE: not resolved yet", "Resolver outage", "Scheduled jobs fail")
        ),
        ("", ["warning: an incident without a title"]),
    ],
)
def test_check__title_says_it_is_over_or_not(pages: Pages, title: str, errors: list[str]) -> None:
    """An entry whose title says that it is over is no incident; one that only has the words in it is."""
    assert told(pages, rss_feed(item(title))) == errors


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["Resolved", "Monitoring", "Investigating"], 0),
        (["Completed", "In progress", "Scheduled"], 0),
        (["Scheduled"], 0),
        (["Postmortem", "Resolved"], 0),
        (["Monitoring", "Identified"], 1),
        (["Investigating", "Resolved"], 1),
    ],
)
def test_check__text_says_how_it_stands(pages: Pages, words: list[str], count: int) -> None:
    """Of a text that tells an incident's states, the latest first, the first one counts."""
    text = "".join(f"<p><small>May 14, 10:00 UTC</small><br /><strong>{word}</strong> - Text.</p>" for word in words)
    assert len(told(pages, atom_feed(("Builds", 1, 1, text)))) == count
    assert len(told(pages, rss_feed(item("Builds", 1, text)))) == count


def test_aws__latest_entry_tells_for_those_before(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each word is an entry, an incident is over as soon as the latest one says so."""
    over, before, again = item("[RESOLVED] Errors", 1), item("Errors", 2), item("Errors again", 0.5)
    check = AWS("eu-central-1", "ec2")
    assert check.feed_url == "https://status.aws.amazon.com/rss/ec2-eu-central-1.rss"
    monkeypatch.setattr(AWS, "feed_url", f"{pages.url}/feed")
    pages.page("/feed", rss_feed(over, before))
    check.run_check()
    assert check.errors == []
    pages.page("/feed", rss_feed(again, over, before))
    check.run_check()
    assert [str(error) for error in check.errors] == ["warning: Errors again"]


@pytest.mark.parametrize("feed", ["", "<html><body>Sorry</body></html>", "{}", "\0\1", "<rss", "%PDF-1.4"])
def test_check__no_feed(pages: Pages, feed: str) -> None:
    """What is no feed is warned of."""
    assert told(pages, feed) == ["warning: the status feed is neither RSS nor Atom"]


def test_check__odd(pages: Pages, tmp_path: pathlib.Path) -> None:
    """What the parser stumbles over is told; of a feed that is cut off, what is there counts; it opens no file."""
    feed = rss_feed("<item><title>&#99999999999;</title></item>")
    assert told(pages, feed) == ["warning: the status feed cannot be understood"]
    assert told(pages, rss_feed(item("outage"))[:-30]) == ["warning: outage"]
    path = tmp_path / "feed.xml"
    path.write_text(rss_feed(item("planted")))
    assert told(pages, str(path)) == ["warning: the status feed is neither RSS nor Atom"]


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-8", "utf-16"])
def test_check__encoding(pages: Pages, encoding: str) -> None:
    """The encoding is the one that the feed states."""
    feed = rss_feed(item("Störung")).replace('version="1.0"?', f'version="1.0" encoding="{encoding}"?')
    assert told(pages, feed.encode(encoding)) == ["warning: Störung"]


def test_check__entities_that_swell(pages: Pages) -> None:
    """A feed whose entities would fill the memory does not."""
    swelling = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f'<!DOCTYPE rss [<!ENTITY e0 "outage">{swelling}]>'
    feed = rss_feed("<item><title>&e11;</title></item>").replace("<rss", f"{bomb}<rss")
    start = time.monotonic()
    for error in told(pages, feed, timeout=BOMB_SECONDS):
        assert len(error) < 1000
    assert time.monotonic() - start < BOMB_SECONDS


def test_check__entities_of_files(pages: Pages, tmp_path: pathlib.Path) -> None:
    """A feed that names a file of ours does not get it."""
    path = tmp_path / "secret.txt"
    path.write_text("planted-secret")
    entity = f'<!DOCTYPE rss [<!ENTITY file SYSTEM "{path.as_uri()}">]>'
    feed = rss_feed("<item><title>see &file;</title></item>").replace("<rss", f"{entity}<rss")
    assert "planted" not in "".join(told(pages, feed))


def test_providers__all_there() -> None:
    """There is a check of each of these providers, over TLS, and called by its name alone."""
    checks: list[Feed] = [getattr(rss, name)() for name in ("Azure", "GoogleCloud", "Heroku", "Hetzner")]
    for check in (*checks, AWS("eu-central-1", "ec2")):
        assert check.feed_url.startswith("https://")
        assert label_of(check).partition("(")[0] == type(check).__name__
    assert label_of(AWS("eu-central-1", "ec2")) == "AWS(region='eu-central-1', service='ec2')"
