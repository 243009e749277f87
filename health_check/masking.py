"""Keep secrets out of every text that is shown, logged or traced."""

from __future__ import annotations

import re

MASK = "***"

_USERINFO = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.\-]*://)[^\s/?#'\"@]*(?:@[^\s/?#'\"@]*)*@", re.IGNORECASE)
"""The userinfo of a URL, RFC 3986 §3.2.1; greedy, as passwords are often written with a bare ``@``."""

_ASSIGNMENT = re.compile(
    r"(?P<name>\b[\w.\-]*(?:passw(?:or)?d|passwd|pwd|secret|token|api_?key|access_?key|credentials?)\b['\"]?\s*[=:]\s*)"
    r"(?P<value>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&)\]}]+)",
    re.IGNORECASE,
)

_AUTHORIZATION = re.compile(r"(?P<scheme>\b(?:Bearer|Basic)\s+)[A-Za-z0-9+/=._~\-]{6,}", re.IGNORECASE)


def mask(text: str) -> str:
    """Return the text with the secrets in it replaced by ``***``.

    Masked are the userinfo of URLs, what is assigned to names such as ``password``, ``secret``, ``token`` or
    ``api_key``, and the credentials of ``Bearer`` and ``Basic`` authorization.
    """
    if "://" in text:
        text = _USERINFO.sub(rf"\g<scheme>{MASK}@", text)
    text = _AUTHORIZATION.sub(rf"\g<scheme>{MASK}", text)
    return _ASSIGNMENT.sub(_mask_value, text)


def _mask_value(match: re.Match[str]) -> str:
    quote = match["value"][0] if match["value"][0] in "'\"" else ""
    return f"{match['name']}{quote}{MASK}{quote}"
