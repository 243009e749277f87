"""What a terminal or a log must not get."""

from __future__ import annotations

import pytest

from health_check.redaction import escaped, escaped_lines


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
