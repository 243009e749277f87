"""Secrets in texts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from health_check.redaction import escaped, escaped_lines, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://shop:hunter2@db:5432/shop", "postgres://***@db:5432/shop"),
        ("at amqp://u:hun@ter2@mq/vhost now", "at amqp://***@mq/vhost now"),
        ("redis://:hunter2@cache:6379/0", "redis://***@cache:6379/0"),
        ("https://hunter2@api.example/x?y=1#z", "https://***@api.example/x?y=1#z"),
        ("MONGODB+SRV://u:hunter2%40@h/?w=1", "MONGODB+SRV://***@h/?w=1"),
        ("'http://a:hunter2@x', 'http://b:hunter2@y'", "'http://***@x', 'http://***@y'"),
        ("Proxy(url='http://a:hunter2@x:3128')", "Proxy(url='http://***@x:3128')"),
    ],
)
def test_mask__userinfo_of_urls(text: str, masked: str) -> None:
    """Who logs in to a URL, and how, is masked; where it leads is not."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password=hunter2", "password=***"),
        ("PASSWORD: hunter2", "PASSWORD: ***"),
        ("passwd = hunter2 and more", "passwd = *** and more"),
        ("token=hunter2&x=1", "token=***&x=1"),
        ("?access_token=hunter2&x=1", "?access_token=***&x=1"),
        ("client_secret=hunter2", "client_secret=***"),
        ("AWS_SECRET_ACCESS_KEY=hunter2", "AWS_SECRET_ACCESS_KEY=***"),
        ("api_key=hunter2, x", "api_key=***, x"),
        ("Login(user='u', password='a hunter2 b')", "Login(user='u', password='***')"),
        ('password="it\'s hunter2"', 'password="***"'),
        (r"password='it\'s hunter2' x=1", "password='***' x=1"),
        ("{'user': 'u', 'password': 'hun ter2', 'x': 1}", "{'user': 'u', 'password': '***', 'x': 1}"),
        ('{"db": {"PASSWORD": "hunter2"}}', '{"db": {"PASSWORD": "***"}}'),
        ("host=db user=u password=hunter2 dbname=d", "host=db user=u password=*** dbname=d"),
        ("host=db password='hun ter2' dbname=d", "host=db password='***' dbname=d"),
        ("Server=db;Uid=u;Pwd=hunter2;Database=d", "Server=db;Uid=u;Pwd=***;Database=d"),
        ("jdbc:postgresql://h/d?user=u&password=hunter2", "jdbc:postgresql://h/d?user=u&password=***"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=*** psql"),
        ("password=a password=b", "password=*** password=***"),
        ("line\npassword=hunter2\nline", "line\npassword=***\nline"),
    ],
)
def test_mask__assignments(text: str, masked: str) -> None:
    """What is assigned to the name of a secret is masked, and nothing around it."""
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "SECRET_KEY='hunter2'",
        "{'SECRET_KEY': 'hunter2'}",
        "private_key=hunter2",
        "X-Api-Key: hunter2",
        "api-key=hunter2",
        "passphrase=hunter2",
        "user=u pass=hunter2",
        "AccountName=a;AccountKey=hunter2==;EndpointSuffix=b",
        "SECRET_KEY_BASE=hunter2",
        "https://blob.example/x?sv=1&sig=hunter2",
        "Cookie: sessionid=hunter2",
        'password="a hunter2',
        "password=b'a hunter2'",
        "Authorization: Bearer hunter2.hunter2-hunter2",
        "authorization: basic hunter2hunter2=",
        "Authorization: Token hunter2hunter2",
    ],
)
def test_mask__other_spellings(text: str) -> None:
    """Secrets of other names and in headers are not shown either."""
    assert "hunter2" not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cannot connect to db.example:5432",
        "https://example.com/user@host/?q=a@b",
        "https://example.com:8443/path and mail to ops@example.com",
        "Database(alias='replica')",
        "the password has expired",
        "password authentication failed for user 'shop'",
        "no such token",
        "max_tokens=5, tokens: 7",
        "secretary=Smith",
        "bypass=yes, compass: north, design: new",
        "Basic authentication failed",
        "Basic connectivity",
        "the bearer certificate has expired",
        "12 % of the disk in use",
        "größer als 5 s: „später“",
    ],
)
def test_mask__ordinary_text(text: str) -> None:
    """A text without secrets stays as it is."""
    assert mask(text) == text


def test_mask__twice() -> None:
    """A masked text stays as it is."""
    once = mask("postgres://u:hunter2@h/ password='hunter2' token=hunter2")
    assert mask(once) == once


@pytest.mark.parametrize("part", ["a-", "a.", "A1-_", "@", "https://", "password", "x=", "'"])
def test_mask__long_text(part: str) -> None:
    """A long word, as in an encoded body, does not keep a process busy: the time grows with the length alone."""
    code = f"from health_check.redaction import mask; mask({part!r} * 20000); mask('http://' + {part!r} * 20000)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=5)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – naïve 漢字 👩\u200d🔧 می\u200cخواهم\tx", "plain – naïve 漢字 👩\u200d🔧 می\u200cخواهم\tx"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("\x9b31m \x7f \x00 \r", r"\x9b31m \x7f \x00 \r"),
        ("abc\u202egnp.\u2066x\u200f", r"abc\u202egnp.\u2066x\u200f"),
        ("\ud800", r"\ud800"),
        ("one\ntwo", r"one\ntwo"),
    ],
)
def test_escaped(text: str, shown: str) -> None:
    """What a terminal obeys is written out; letters of all languages, and what joins them, stay."""
    assert escaped(text) == shown
    assert escaped(shown) == shown


def test_escaped_lines() -> None:
    """Lines end up in one, whatever ends them."""
    assert escaped_lines("one\ntwo\r\nthree\x85four\u2028\x1bfive") == "one; two; three; four; \\x1bfive"
