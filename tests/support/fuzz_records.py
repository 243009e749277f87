"""Records as damage, forgery, other versions and wrong clocks leave them."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import random
from collections.abc import Iterator
from typing import Any

from health_check.stores import serializer

MAX_AGE = 5.0
"""For how many seconds the reader takes a record for fresh, whatever it says itself."""

FORGED = "forged"
"""What forged records say."""

AGES = [0.0, 0.5, 2.0, 4.0, 6.0, 20.0, 3600.0, 1e9, -1.0, -3.0, -60.0, -1e9]
"""How old records say that they are, in seconds."""

WEIRD: list[object] = [
    *(None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 2**64, 10**30, 10**400),
    *(0.0, -0.0, 1e-320, 1e308, -1e308, math.inf, -math.inf, math.nan),
    *("", "x", "0", "nan", "-inf", "1e400", FORGED, "ok", "error", "\x00", "\ud800", "\x1b[2J", "a\nb: OK", "\u202e"),
    *("<script>alert(1)</script>", "{{7*7}}", "%s%n", "é" * 3, "x" * 100_000, "postgres://u:planted-password@h/d"),
    *([], {}, [[]], [None], [["unavailable"]], [["unavailable", FORGED]], [[FORGED, FORGED]], {"ok": 1}, {"": ""}),
]
"""What may be in the place of anything."""


def forged(dice: random.Random, document: dict[str, Any], now: float) -> dict[str, Any]:
    """Return a document with other news: of a run at another time, with another outcome, fresh for any time."""
    made = copy.deepcopy(document)
    result = made.get("result")
    if not isinstance(result, dict):
        return made
    result["finished"] = finished = now - dice.choice(AGES)
    result["started"] = finished - 0.01
    result["messages"] = dice.choice([[], *([[kind, FORGED]] for kind in ("unavailable", "warning", "unknown error"))])
    made["fresh_until"] = dice.choice([finished + MAX_AGE, now + 60, now + 1e9, now - 1, 1e308])
    made["seq"] = dice.choice([document.get("seq"), 0, 1, 2**62])
    if dice.random() < 0.1:
        made["version"] = dice.choice([serializer.VERSION - 1, serializer.VERSION + 1, "2", None])
    return made


def damaged(dice: random.Random, value: object) -> object:
    """Return a document with some of its parts replaced, left out or added."""
    made = copy.deepcopy(value)
    for _ in range(dice.choice([0, 1, 1, 2, 3])):
        places = list(_places(made))
        if not places:
            return dice.choice(WEIRD)
        where, key = dice.choice(places)
        how = dice.randrange(4)
        if how == 0:
            del where[key]
        elif how == 1 and isinstance(where, dict):
            where[str(dice.choice(WEIRD))[:50]] = dice.choice(WEIRD)
        else:
            where[key] = copy.deepcopy(dice.choice(WEIRD))
    return dice.choice(WEIRD) if dice.random() < 0.02 else made


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield all parts of a document, as containers and keys."""
    pairs = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, inner in pairs:
        yield value, key
        yield from _places(inner)


def as_text(dice: random.Random, document: object) -> str:
    """Return a document as JSON, which may be damaged itself."""
    text = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    if dice.random() < 0.75 or not text:
        return text
    start = dice.randrange(len(text))
    end = min(len(text), start + dice.choice([0, 1, 1, 5, 1000]))
    other = dice.choice(["", "", "x", '"', "{", "[" * 5000, "\x00", "9" * 500, "\ufffd", text])
    return text[:start] + other + text[end:]


def as_any_type(dice: random.Random, text: str) -> Any:
    """Return a text as such, mostly, or as something else that a store may hold."""
    raw = text.encode("utf-8", "surrogatepass")
    return text if dice.random() < 0.9 else dice.choice([raw, raw[:7] + b"\xff\xfe", 7, -1.5, 2**62, b"", ""])


def may_be_shown(value: object, now: float) -> bool:
    """Tell whether a reader may take a value for how its check is: a run of it that has just ended, by its own policy.

    That does not depend on what the record says of its freshness.
    """
    with contextlib.suppress(Exception):
        document = json.loads(value)  # type: ignore[arg-type]
        finished = float(document["result"]["finished"])
        return bool(document["version"] == serializer.VERSION and -3.0 <= now - finished <= MAX_AGE)
    return False
