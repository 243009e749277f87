"""Passwords of any characters, as programs really write them; and what masking a text costs."""

from __future__ import annotations

import itertools
import json
import shlex
import time
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from health_check.redaction import mask
from tests.support.repetitions import LONG, times

CORE = "hunter2"
"""In the middle of each password."""

DETERMINISTIC = settings(derandomize=True, database=None, deadline=None, max_examples=times(100, least=20))

Writer = Callable[[str], str]


def characters(without: str = "") -> st.SearchStrategy[str]:
    """Return texts of printable ASCII characters."""
    return st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters=without), max_size=8)


def passwords(without: str = "") -> st.SearchStrategy[str]:
    """Return passwords."""
    return st.tuples(characters(without), characters(without)).map(CORE.join)


def element(password: str) -> str:
    """Return an XML element."""
    found = ET.Element("password")
    found.text = password
    return ET.tostring(found, encoding="unicode")


def query(**parameters: object) -> str:
    """Return a URL with a query string."""
    return "https://h.example/x?" + urllib.parse.urlencode({"a": 1, **parameters, "b": 2})


WRITERS: dict[str, Writer] = {
    "mapping": lambda p: repr({"user": "u", "password": p, "x": 1}),
    "keyword": lambda p: f"Login(user='u', password={p!r}, x=1)",
    "pairs": lambda p: repr([("user", "u"), ("password", p)]),
    "bytes": lambda p: repr({b"x-auth-token": p.encode()}),
    "header": lambda p: repr({"Authorization": f"Bearer {p}", "x": 1}),
    "several": lambda p: repr({"TOKENS": ["x", p]}),
    "auth": lambda p: f"get(url, auth={('u', p)!r}, timeout=1)",
    "json": lambda p: json.dumps({"password": p, "x": 1}),
    "json in json": lambda p: json.dumps({"t": json.dumps({"password": p, "x": 1})}),
    "json in json in json": lambda p: json.dumps({"s": json.dumps({"t": json.dumps({"password": p, "x": 1})})}),
    "argument": lambda p: repr(["x", "--password", p, "y"]),
    "query": lambda p: query(password=p),
    "query in query": lambda p: query(next=query(password=p)),
    "URL": lambda p: f"at postgres://u:{urllib.parse.quote(p, safe='')}@db/x",
    "element": element,
    "attribute": lambda p: ET.tostring(ET.Element("db", password=p), encoding="unicode"),
    "ODBC": lambda p: f"Server=db;PWD={{{p.replace('}', '}}')}}};Database=d",
    "libpq": lambda p: "host=db password='{}' dbname=d".format(p.replace("\\", "\\\\").replace("'", "\\'")),
}
"""Programs that write a password so that it can be read back."""


@pytest.mark.parametrize("name", WRITERS)
def test_encoded__any_password(name: str) -> None:
    """No part of a password shows in an encoding that has a rule for all characters."""

    @DETERMINISTIC
    @given(passwords())
    def check(password: str) -> None:
        assert_masked(WRITERS[name](password))

    check()


BARE: dict[str, tuple[Writer, str]] = {
    "URL": (lambda p: f"cannot reach postgres://u:{p}@db/x", " '\"<@"),
    "address of the web": (lambda p: f"cannot reach https://u:p{p}@db/x", " '\"<@"),
    "URL in repr": (lambda p: repr(f"redis://:{p}@db/0"), " '\"<@"),
    "URL in JSON": (lambda p: json.dumps({"url": f"redis://:{p}@db/0"}), " '\"<@"),
    "MySQL": (lambda p: f"u:{p}@tcp(db:3306)/x", " @"),
    "libpq": (lambda p: f"host=db password={p} dbname=d", " ,;&"),
    "YAML": (lambda p: f"password: x{p}\n", " ,;&"),
    "variable": (lambda p: f"DB_PASSWORD=x{p}\nX=1", " ,;&"),
    "shell": (lambda p: f"PGPASSWORD={shlex.quote(p)} psql", ",;&"),
    "option": (lambda p: shlex.join(["x", "--password", f"x{p}", "y"]), ",;&"),
    "SQL": (lambda p: "ALTER ROLE u PASSWORD '{}'".format(p.replace("'", "''")), "\\"),
}
"""Where nobody encodes passwords, and the characters that are bound to be misunderstood there."""


@pytest.mark.parametrize("name", BARE)
def test_bare__nearly_any_password(name: str) -> None:
    """No part of a password shows where it is written as it is, even if readers would be misled by it."""
    write, without = BARE[name]

    @DETERMINISTIC
    @given(passwords(without).filter(lambda password: "//" not in f"{password}@"))
    def check(password: str) -> None:
        assert_masked(write(password))

    check()


def assert_masked(text: str) -> None:
    """Assert that no password shows, and that masking once is enough."""
    masked = mask(text)
    assert CORE not in masked, (text, masked)
    assert mask(masked) == masked, text


PARTS = [
    *("a", "-", "a-", "a.", "A1-_", "é", "*", " ", "\n", "@", "/", ":", "=", ",", ";", "&", "<", ")", "]", "\\"),
    *("'", '"', "\\'", '\\"', "'\"\\'", "[\\'", "//", "://", "@://", "x://u:", "http://u:", "https://", "%3A%2F%2F"),
    *("password", "password ", "password=", "password='", "password='a", 'password=\\"', "password=(", "password={),"),
    *("password={", "password=['", "password value=", "password>", "password%3D", "['password', ", "--password "),
    *("authorization: ", 'authorization: a="', "cookie: a=", "Bearer ", "-ua -p", "eyJ", "eyJa.", "sk-1", "AKIA"),
    *("-----BEGIN PRIVATE KEY-----", "-----END", "</", "<![CDATA[", "hooks.slack.com/a/"),
]
"""What patterns may begin to match with, again and again."""

SIGNS = "private :// %3a%2f%2f @ authorization cookie bearer passwords ('p' -- -u </ %3d eyj sk- hooks.slack.com\n"
"""Makes mask() look for all that there is."""

SMALL, LARGE = 2_000, 32_000
"""Characters of the texts to be compared."""

WORST = 4.0
"""How much more a character of a large text may cost than one of a small text; were it quadratic, 16 times as much."""


def seconds(text: str) -> float:
    """Return the processor time of this thread that masking a text takes."""
    start = time.thread_time()
    mask(text)
    return time.thread_time() - start


def assert_proportional(small: str, large: str) -> None:
    """Assert that two texts cost what their lengths say; what else the machine does may disturb a measurement."""
    allowed = WORST * len(large) / len(small) * max(0.0005, *(seconds(small) for _ in range(3)))
    assert any(seconds(large) < allowed for _ in range(3)), large[:200]


@pytest.mark.parametrize("part", [*PARTS, *(map("".join, itertools.pairwise(PARTS)) if LONG else ())])
def test_cost__grows_with_the_length_alone(part: str) -> None:
    """A character costs the same in a long text as in a short one, whatever the text repeats."""
    assert_proportional(SIGNS + part * (SMALL // len(part)), SIGNS + part * (LARGE // len(part)))


def test_cost__a_megabyte() -> None:
    """A megabyte of everything costs what its parts cost."""
    parts = [part for part in PARTS if "BEGIN" not in part]  # what follows that is masked without another look
    small = SIGNS + "".join(map("".join, itertools.product(parts, repeat=2)))
    large = small * (1_000_000 // len(small) + 1)
    assert len(large) >= 1_000_000
    assert_proportional(small, large)
