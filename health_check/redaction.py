"""Keep secrets out of every text that is shown, logged or traced."""

from __future__ import annotations

import re
from typing import NamedTuple

MOST_CHARACTERS = 10_000
"""How many characters of a text are shown."""

LONGEST_SECRET = 5000
"""How many characters a secret has at most that is only recognised by what follows it, as the password of a URL."""

_UNSHOWABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Control characters and lone surrogates: what is no Char of XML 1.0, §2.2."""

_CONTROL = re.compile(
    "[\\x00-\\x08\\x0a-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ufeff\\ud800-\\udfff]"
)
"""What a terminal obeys, what ends a line of a log, and what turns the order of the letters around."""

MASK = "***"
"""What is shown instead of a secret."""

_NAME = (
    r"(?:pass(?:word|wd|phrase|code)|pwd|(?<![a-z])(?:pass|pw|sig)|signature|token|jwt|credentials?"
    r"|sess(?:ion)?_?(?:id|key)|secret(?:[_-]?(?:access[_-]?)?key(?:[_-]?base)?)?"
    r"|(?:access|account|api|app|auth|encryption|master|private|shared|signing|subscription)[_-]?key)(?:_?\d{1,3})?"
)
"""What the names of secrets end with."""

_OPTIONS = "password passwd passphrase -pass pwd token secret api-key access-key secret-key"
_OPTION = rf"(?<![\w-])--[\w-]++(?:{'|'.join(f'(?<={end})' for end in _OPTIONS.split())})"

_QUOTE = r"\\{0,7}['\"]"
"""A quotation mark; escaped in JSON within JSON."""

_IS = (
    rf"(?:(?:{_QUOTE})?\]?\s{{0,9}}(?::\s{{0,9}}(?:str|bytes)\s{{0,9}}=|!?[=:]{{1,2}}>?)"
    rf"|(?:{_QUOTE})?,?\s{{1,40}}(?:{_QUOTE})?value(?:{_QUOTE})?\s{{0,9}}[=:])"
    r"\s{0,9}(?:[|>][-+]?\n\s{1,40})?"
)
"""What stands between name and value in Python, JSON, YAML, INI files, shells, query strings, lists of variables."""

_AFTER = r"(?=['\"]{0,3}(?:[\s,;:.&`)\]}>]|/>|\\{1,7}(?-i:['\"nrt])|\Z))"
_QUOTED = (
    rf"[bru]{{0,2}}(?:(?P<plain>['\"])(?:\\.|(?P=plain){{2}}|(?P=plain)\"'\"'|(?!(?P=plain){_AFTER})[^\n\\])*+(?P=plain)"
    rf"|(?P<escaped>\\{{1,7}}['\"])[^\n]*?(?<!\\)(?P=escaped){_AFTER}|{_QUOTE}[^\n]*)"
)
"""A value in quotes, closed where something else begins or ends; what is not closed counts to the end of the line."""

_MARK = rf"(?:{_QUOTE}|[`)\]}}>])"
_END = (
    rf"(?:(?:{_MARK}|[,;&])(?:{_MARK}|[,;:.&]){{0,5}}(?=\s|\\{{1,7}}(?-i:[nrt])|\Z)"
    rf"|{_MARK}{{0,4}}[,;&](?:{_QUOTE})?[\w.-]{{1,40}}(?:{_QUOTE})?\s?[=:]|</[\w:.-]{{1,64}}>)"
)
_BARE = rf"(?:[^\s`'\"\\()\[\]{{}}<>,;&]|(?!{_END})\S)++"
"""A value without quotes: passwords have marks and brackets, which end it only before a space or another name."""

_BRACKETED = (
    r"(?:\{(?:[^}\n]|\}\}){0,256}+\}(?=\s*(?:;|\Z))"
    r"|[\[({](?:'(?:[^'\\]|\\.)*+'|\"(?:[^\"\\]|\\.)*+\"|[^\[\](){}'\"\\])*+[\])}]"
    rf"|[\[({{][^\n]*)(?:{_BARE})?"
)
"""One value as ODBC has it, or several; a bracket that is not closed counts to the end of the line."""

_PROSE = (
    r"(?:are|cannot|empty|expected|expired|has|invalid|is|missing|must|no|none|not|null|required|should|this|to|too|unset"
    r"|was|wrong|yes)(?![^\s.,;:!)])"
)
"""What is said of a secret, as in ``password: must not be empty``."""

_PARAMETER = r"[\w-]{1,64}=(?:\"[^\"\n]*\"|[^\s,;'\"\\]+)"
_CREDENTIALS = rf"(?!{_PROSE})(?:[\w-]{{1,64}} )?(?:{_PARAMETER}(?:, ?{_PARAMETER})*)?[^\s,;'\"\\]*"
"""A scheme, and a token or parameters: RFC 9110 §11.4."""

_TO_AT = r"(?:[^\s{}'\"<:]|:(?!//)|['\"](?![,:;)\]}}>]{{1,4}}(?:[\s'\"\\{{\[(]|\Z))|<(?!/[\w:.-]{{1,64}}>))*@"
_IN_AUTHORITY, _BEYOND = _TO_AT.format("/?#"), _TO_AT.format("")
"""Up to the last "@" of the authority of a URL, or of all of it: passwords are often written without encoding."""

_AS_QUOTED = rf"\g<before>\g<plain>\g<escaped>{MASK}\g<plain>\g<escaped>"


class SecretPattern(NamedTuple):
    """A way of writing a secret."""

    signs: tuple[str, ...]
    """One of these is in each such text, in lower case: to look for them costs next to nothing."""
    pattern: re.Pattern[str]
    """What it looks like."""
    shown: str
    """What is shown instead."""


def _pattern(signs: str, pattern: str, shown: str = rf"\g<before>{MASK}") -> SecretPattern:
    return SecretPattern(tuple(signs.split()), re.compile(pattern, re.IGNORECASE | re.DOTALL), shown)


_NAMES = "pass pw sig token jwt credential sess secret key"

PATTERNS = (
    # Private keys as files have them, and tokens of a known form: JWTs, and those of AWS, GitHub, Slack and others.
    _pattern("private", r"-----BEGIN [\w ]{0,40}PRIVATE KEY-----(?:.*?-----END [\w ]{0,40}PRIVATE KEY-----|.*)", MASK),
    _pattern(
        "eyj akia asia ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- xox _live_ _test_ sk- aiza sg. hvs.",
        r"(?<![\w-])(?-i:eyJ[\w-]+\.[\w-]+\.[\w.-]*|(?:AKIA|ASIA)[A-Z\d]{16}[\w-]*(?:\W{1,4}[\w/+]{40,})?"
        r"|(?:gh[oprsu]_|github_pat_|glpat-|xox[a-z]-|[prs]k_(?:live|test)_|sk-|AIza|SG\.|hvs\.)(?=[\w-]*\d)[\w.-]{16,})",
        MASK,
    ),
    # Addresses that are secrets themselves.
    _pattern(
        "hooks.slack.com discord .office.com telegram.org",
        r"(?P<before>hooks\.slack\.com/\w{1,20}/|discord(?:app)?\.com/api/webhooks/|\.office\.com/webhook\w{0,9}/"
        r"|api\.telegram\.org/bot)[^\s'\"<>)\\]+",
    ),
    # Userinfo, RFC 3986 §3.2.1. In addresses of the web, what follows a host and its port is a path that may have "@".
    _pattern(
        "://",
        rf"(?P<before>(?:http|ws)s?://)(?:{_IN_AUTHORITY}|(?!\[)[^\s/?#@:'\"]*:(?!\d{{1,5}}[/?#]){_BEYOND})",
        rf"\g<before>{MASK}@",
    ),
    _pattern(
        "://",
        rf"://(?<!https://)(?<!http://)(?<!wss://)(?<!ws://)(?:(?!\[)[^\s/?#@:'\"]*:{_BEYOND}|{_IN_AUTHORITY})",
        f"://{MASK}@",
    ),
    _pattern("%3a%2f%2f", r"(?P<before>%3A%2F%2F)(?:(?!%2F|%3F|%23)[^\s&;'\"])*%40", rf"\g<before>{MASK}%40"),
    # Data source names of MySQL and Oracle: user:password@tcp(host)/name, user/password@host:1521/name.
    _pattern(
        "@",
        r"(?<![^\s'\"=(\[,])[^\s:@/'\"=(\[,<>]{1,64}[:/](?!//)\S{1,128}?"
        r"@(?=(?:tcp|udp|unix)[46]?\(|/|[\w.-]{1,128}:\d{2,5}(?!\d))",
        f"{MASK}@",
    ),
    # Headers, also as WSGI and ASGI have them.
    _pattern(
        "authorization",
        rf"(?P<before>authorization(?:{_IS}|{_QUOTE},\s{{0,9}}))(?:{_QUOTED}|{_CREDENTIALS})",
        _AS_QUOTED,
    ),
    _pattern(
        "cookie",
        rf"(?P<before>cookie(?:{_IS}|{_QUOTE},\s{{0,9}}))(?=[^\s;=]{{1,64}}=)(?:{_QUOTED}|[^\n'\"\\]+)",
        _AS_QUOTED,
    ),
    _pattern("bearer basic token", r"(?P<before>\b(?:Bearer|Basic|Token) )(?=\S*[\d=]|\S{24})[\w+/=.~\-]{6,}"),
    # Names and their values; of several at once, or of `auth`, only in quotes or brackets: it may be just their number.
    _pattern(_NAMES, rf"(?P<before>{_NAME}{_IS})(?:{_QUOTED}|{_BRACKETED}|(?!{_PROSE}){_BARE})", _AS_QUOTED),
    _pattern(
        "auth tokens passwords secrets keys fallbacks",
        rf"(?P<before>(?:(?<![a-z])auth|{_NAME}(?:s|_fallbacks)){_IS})(?:{_QUOTED}|{_BRACKETED})",
        _AS_QUOTED,
    ),
    # Pairs in a list.
    _pattern(
        "(' (\" (\\ [' [\" [\\ (b (u",
        rf"(?P<before>[\[(][bu]?(?P<mark>{_QUOTE})[\w.-]{{0,64}}{_NAME}(?P=mark),\s{{0,9}}){_QUOTED}",
        _AS_QUOTED,
    ),
    # SQL and command lines: PASSWORD 'hunter2', --password hunter2, -uroot -phunter2, -u root:hunter2.
    _pattern("pass identified", rf"(?P<before>(?:pass(?:word|wd)|\bidentified by)\s{{1,9}}){_QUOTED}", _AS_QUOTED),
    _pattern("--", rf"(?P<before>{_OPTION}(?:{_QUOTE},)?\s{{1,9}}(?!-))(?:{_QUOTED}|(?!{_PROSE}){_BARE})", _AS_QUOTED),
    _pattern(
        "-u",
        r"(?P<before>\s['\"]?(?:-u|--user)[\s=,'\"]{0,4}[^\s=:,'\"-][^\s:,'\"]{0,64}(?:['\"]?,?\s{1,9}['\"]?-p|:(?!\d)))"
        r"[^\s,'\"]+",
    ),
    # Elements of XML, and what is encoded for a query string.
    _pattern("</", rf"(?P<before>{_NAME}(?:\s[^<>]{{0,200}}+)?>)(?!\s*<\w)(?:<!\[CDATA\[)?[^<]{{1,1000}}+(?=</)"),
    _pattern(
        "%3d %3a",
        rf"(?P<before>{_NAME}(?:%22|%27)?%3[AD](?:%20|%22|%27|\+)*+)(?:(?!%2[267C]|%3B|%7D)[^\s&;,'\"<>)\]}}])+",
    ),
)


def mask(text: str) -> str:
    """Return the text with the secrets in it replaced by ``***``.

    Masked are the userinfo of URLs and of other data source names, what is assigned to names such as ``password``,
    ``secret``, ``token`` or ``api_key``, credentials and cookies in headers, private keys, and tokens of a known form.
    """
    folded = text.casefold()
    for pattern in PATTERNS:
        for sign in pattern.signs:
            if sign in folded:
                text = pattern.pattern.sub(pattern.shown, text)
                break
    return text


def showable(text: str) -> str:
    """Return the beginning of a text, masked, and without the characters that XML 1.0 or UTF-8 cannot carry."""
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", beginning(text, MOST_CHARACTERS))


def shown(value: object) -> str:
    """Return a value as Python writes it, masked; its class where it cannot be written."""
    try:
        return mask(repr(value))
    except Exception:
        return f"a {type(value).__qualname__} whose repr() fails"


def escaped(text: str) -> str:
    """Return the text with its control characters written as in Python, for terminals, logs and plain text."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escaped_lines(text: str, separator: str = "; ") -> str:
    """Return the lines of a text in one line, escaped."""
    return separator.join(map(escaped, text.splitlines()))


def beginning(text: str, most: int) -> str:
    """Return the beginning of a text, masked: to mask all of a very long one holds up every thread of the process.

    Args:
        text: The text.
        most: How many characters of it to show.
    """
    window = mask(text[: 2 * most])
    if len(text) > 2 * most:  # a secret may begin at its end that is only recognised by what follows
        return f"{window[:-LONGEST_SECRET][:most]} …"
    return window if len(window) <= most else f"{window[:most]} …"
