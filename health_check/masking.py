"""Keep secrets out of every text that is shown, logged or traced."""

from __future__ import annotations

import re

MASK = "***"

_USERINFO = re.compile(r"://[^\s/?#'\"]*@")
"""The userinfo of a URL, RFC 3986 §3.2.1; greedy, as passwords are often written with a bare ``@``."""

_NAMES = (
    r"pass(?:word|wd|phrase)|\b(?:pass|pw|sig)|pwd|token|credentials?|sessionid"
    r"|secret(?:[_-]?(?:access[_-]?)?key(?:[_-]?base)?)?|(?:api|access|account|private)[_-]?key"
)
_ASSIGNMENT = re.compile(
    rf"(?P<name>(?:{_NAMES})['\"]?\s{{0,9}}[=:]\s{{0,9}})"
    r"(?:[bru]{0,2}(?P<quoted>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")|['\"][^\n]*|[^\s,;&)\]}]+)",
    re.IGNORECASE,
)
"""What is assigned to the name of a secret; a quote that is not closed counts to the end of the line."""

_HEADER = re.compile(r"(?P<name>authorization['\"]?\s{0,9}[=:]\s{0,9})['\"]?(?:\w+ )?[^\s,;'\"]+", re.IGNORECASE)
_SCHEME = re.compile(r"(?P<scheme>\b(?:Bearer|Basic|Token) )(?=\S*[\d=])[\w+/=.~\-]{6,}", re.IGNORECASE)
"""Credentials as RFC 9110 §11.4 writes them; a word without digits after ``Basic`` is just a word."""

_UNSHOWABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Control characters and lone surrogates: what is no Char of XML 1.0, §2.2."""


def mask(text: str) -> str:
    """Return the text with the secrets in it replaced by ``***``.

    Masked are the userinfo of URLs, what is assigned to names such as ``password``, ``secret``, ``token`` or
    ``api_key``, and the credentials of ``Bearer`` and ``Basic`` authorization.
    """
    text = _USERINFO.sub(f"://{MASK}@", text)
    text = _HEADER.sub(rf"\g<name>{MASK}", text)
    text = _SCHEME.sub(rf"\g<scheme>{MASK}", text)
    return _ASSIGNMENT.sub(_mask_value, text)


def showable(text: str) -> str:
    """Return the text masked, and without the characters that XML 1.0 or UTF-8 cannot carry."""
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", mask(text))


def _mask_value(match: re.Match[str]) -> str:
    quote = match["quoted"][0] if match["quoted"] else ""
    return f"{match['name']}{quote}{MASK}{quote}"
