"""Keep secrets out of every text that is shown, logged or traced."""

from __future__ import annotations

import re

from health_check.spellings import SPELLINGS

MOST_CHARACTERS = 10_000
"""How many characters of a text are shown."""

LONGEST_SECRET = 5000
"""How many characters a secret has at most that can only be told by what follows it, as the password of a URL."""

_UNSHOWABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Control characters and lone surrogates: what is no Char of XML 1.0, §2.2."""


def mask(text: str) -> str:
    """Return the text with the secrets in it replaced by ``***``.

    Masked are the userinfo of URLs and of other data source names, what is assigned to names such as ``password``,
    ``secret``, ``token`` or ``api_key``, credentials and cookies in headers, private keys, and tokens of a known form.
    """
    folded = text.casefold()
    for spelling in SPELLINGS:
        for sign in spelling.signs:
            if sign in folded:
                text = spelling.pattern.sub(spelling.shown, text)
                break
    return text


def showable(text: str) -> str:
    """Return the beginning of a text, masked, and without the characters that XML 1.0 or UTF-8 cannot carry."""
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", beginning(text, MOST_CHARACTERS))


def beginning(text: str, most: int) -> str:
    """Return the beginning of a text, masked: to mask all of a very long one holds up every thread of the process.

    Args:
        text: The text.
        most: How many characters of it to show.
    """
    window = mask(text[: 2 * most])
    if len(text) > 2 * most:  # a secret may begin at its end that can only be told by what follows
        return f"{window[:-LONGEST_SECRET][:most]} …"
    return window if len(window) <= most else f"{window[:most]} …"
