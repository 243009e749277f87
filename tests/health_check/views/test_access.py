"""Who may see an endpoint: the policy, and what it says of a request."""

from __future__ import annotations

import types
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import Settings

from health_check.management.system_checks.settings import check_settings
from health_check.views import access
from health_check.views.access import OPEN_TO_ALL, AccessDecision, AccessPolicy, decide, is_staff, policy_of
from health_check.views.client import client_of

TOKEN = "a-planted-token"


def asked(*, headers: dict[str, str] | None = None, peer: str = "192.0.2.1", path: str = "/health/") -> HttpRequest:
    """Return a request."""
    return RequestFactory().get(path, headers=headers, REMOTE_ADDR=peer)


def refuse(request: HttpRequest) -> bool:
    """Let nobody in."""
    return False


def never_asked(request: HttpRequest) -> bool:
    """Be a rule that nobody is to ask."""
    raise AssertionError("The user was looked up")


def decision(request: HttpRequest, **policy: Any) -> AccessDecision:
    """Return what a request gets where everybody has to be let in, and users are not."""
    return decide(request, policy_of({"open": False, **policy}), refuse)


LET_IN = AccessDecision(status=200, details=True, for_all=True)


def test_rules__default(settings: Settings) -> None:
    """Without a word of the site everybody may see everything, and nobody is looked up."""
    assert policy_of({}) == policy_of({"details": None, "open": None, "tokens": None}) == OPEN_TO_ALL
    assert not OPEN_TO_ALL.needs_authority()
    assert decide(asked(), OPEN_TO_ALL, never_asked) == LET_IN
    assert decide(asked(), AccessPolicy(details="never"), never_asked).details is False


def test_rules__argument_wins_key_by_key(settings: Settings) -> None:
    """What a view says itself counts; of the rest what the settings say."""
    settings.HEALTH_CHECK = {"ACCESS": {"DETAILS": "never", "OPEN": False, "TOKENS": [TOKEN]}}
    policy = policy_of({"details": "authorized", "tokens": ["b"], "networks": None})
    assert (policy.details, policy.open, policy.tokens, policy.networks) == ("authorized", False, ("b",), ())
    assert TOKEN not in repr(policy_of({}))


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"BEARER {TOKEN}", 200),
        (f"Bearer   {TOKEN} ", 200),
        ("Bearer second", 200),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        (f"Bearer {TOKEN.upper()}", 401),
        (f"Bearer {TOKEN} second", 401),
        (f"Basic {TOKEN}", 401),
        (f"Token {TOKEN}", 401),
        (TOKEN, 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("", 401),
        ("Bearer \xff\xfe", 401),
        ("Bearer " + "x" * 10_000, 401),
    ],
)
def test_token__header(header: str, expected: int) -> None:
    """A bearer token has to be one of the tokens, to the letter; the scheme may be written in any case."""
    request = asked(headers={"Authorization": header})
    assert decision(request, tokens=["first", TOKEN, "second"]).status == expected


@pytest.mark.parametrize("name", ["token", "access_token", "bearer", "authorization", "TOKENS"])
def test_token__not_in_the_query_string(name: str) -> None:
    """A token in the query string, which proxies log, lets nobody in."""
    assert decision(asked(path=f"/health/?{name}={TOKEN}"), tokens=[TOKEN]).status == 401


def test_token__compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All tokens are compared, whichever is equal, by the function that takes the same time for all."""
    compared: list[tuple[str, str]] = []

    def compare(given: str, token: str) -> bool:
        compared.append((given, token))
        return given == token

    monkeypatch.setattr(access, "constant_time_compare", compare)
    assert decision(asked(headers={"Authorization": "Bearer a"}), tokens=["a", "b", "c"]).status == 200
    assert compared == [("a", "a"), ("a", "b"), ("a", "c")]


@pytest.mark.parametrize(
    ("peer", "networks", "is_in"),
    [
        ("10.1.2.3", ["10.0.0.0/8"], True),
        ("11.1.2.3", ["10.0.0.0/8"], False),
        ("10.1.2.3", ["192.168.0.0/16", "10.1.2.3"], True),
        ("10.1.2.3", ["10.9.9.9/8"], True),
        ("2001:db8::7", ["2001:db8::/32"], True),
        ("2001:db9::7", ["2001:db8::/32"], False),
        ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
        ("::ffff:11.1.2.3", ["10.0.0.0/8"], False),
        ("10.1.2.3", ["::/0"], False),
        ("2001:db8::7", ["0.0.0.0/0"], False),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("10.1.2.3", [], False),
        ("", ["0.0.0.0/0", "::/0"], False),
        ("a name", ["0.0.0.0/0", "::/0"], False),
        ("10.1.2.3", ["::ffff:10.0.0.0/104"], True),
    ],
)
def test_network__of_the_peer(peer: str, networks: list[str], is_in: bool) -> None:
    """A client is in a network by its address; one without address, on a unix socket, is in none."""
    assert decision(asked(peer=peer), networks=networks).status == (200 if is_in else 403)


PROXIES = ["10.0.0.0/8", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("10.0.0.1", None, "10.0.0.1"),  # a load balancer's own probe
        ("192.0.2.1", "172.16.0.1", "192.0.2.1"),
        ("10.0.0.1", "172.16.0.1", "172.16.0.1"),
        ("2001:db8::1", "172.16.0.1", "172.16.0.1"),
        ("10.0.0.1", "198.51.100.9, 172.16.0.1", "172.16.0.1"),
        ("10.0.0.1", "198.51.100.9, 172.16.0.1, 10.0.0.2", "172.16.0.1"),
        ("10.0.0.1", "  198.51.100.9 ,172.16.0.1  ", "172.16.0.1"),
        ("10.0.0.1", "::ffff:172.16.0.1", "172.16.0.1"),
        ("10.0.0.1", "2001:db9::7", "2001:db9::7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "172.16.0.1, garbage", None),
        ("10.0.0.1", "garbage, 172.16.0.1", "172.16.0.1"),
        ("10.0.0.1", "garbage", None),
        ("10.0.0.1", "unknown, 10.0.0.2", None),
        ("10.0.0.1", "172.16.0.1,", None),
        ("10.0.0.1", "172.16.0.1:1234", "172.16.0.1"),
        ("10.0.0.1", "172.16.0.1:1234, 10.0.0.2:80", "172.16.0.1"),
        ("10.0.0.1", "172.16.0.1:", None),
        ("10.0.0.1", "172.16.0.1:x", None),
        ("10.0.0.1", "[2001:db9::7]", "2001:db9::7"),
        ("10.0.0.1", "[2001:db9::7]:443", "2001:db9::7"),
        ("10.0.0.1", '"[2001:db9::7]:443"', "2001:db9::7"),
        ("10.0.0.1", "[::ffff:172.16.0.1]:443", "172.16.0.1"),
        ("10.0.0.1", "[2001:db9::7", None),
        ("10.0.0.1", "[2001:db9::7]443", None),
        ("10.0.0.1", "fe80::7%eth0", "fe80::7"),
        ("10.0.0.1", "172.16.0.1, unix:", None),
        ("unix:", "172.16.0.1", None),
        ("localhost", "172.16.0.1", None),
        ("10.0.0.1", "١٠.0.0.1", None),
        ("10.0.0.1", ",".join(["10.0.0.2"] * 5000), "10.0.0.2"),
        ("", "172.16.0.1", None),
        ("", None, None),
    ],
)
def test_client__through_proxies(peer: str, forwarded: str | None, client: str | None) -> None:
    """Of the addresses forwarded, the last counts that is no trusted proxy's; what is not an address lets nobody in."""
    found = client_of(
        asked(peer=peer, headers={"X-Forwarded-For": forwarded} if forwarded is not None else {}),
        policy_of({"proxies": PROXIES}).proxies,
    )
    assert str(found.address or "") == (client or "")
    assert bool(found.problem) == (client is None)


@pytest.mark.parametrize("peer", ["", "unix:", "localhost"])
@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("172.16.0.1", "172.16.0.1"),
        ("198.51.100.9, 172.16.0.1, unix:", "172.16.0.1"),
        ("172.16.0.1, 10.0.0.2", "172.16.0.1"),
        ("172.16.0.1, ", None),
        (None, None),
    ],
)
def test_client__at_a_unix_socket(peer: str, forwarded: str | None, client: str | None) -> None:
    """A proxy that asks by a unix socket is believed where "unix" is in PROXIES."""
    found = client_of(
        asked(peer=peer, headers={"X-Forwarded-For": forwarded} if forwarded is not None else {}),
        policy_of({"proxies": [*PROXIES, "unix"]}).proxies,
    )
    assert str(found.address or "") == (client or "")


@pytest.mark.parametrize(
    ("peer", "forwarded", "policy", "words"),
    [
        ("", "172.16.0.1", {"networks": ["172.16.0.0/12"]}, "add 'unix' to PROXIES"),
        ("", None, {"networks": ["10.0.0.0/8"], "proxies": ["unix"]}, "without X-Forwarded-For"),
        (
            "10.0.0.1",
            "un\nknown",
            {"networks": ["10.0.0.0/8"], "proxies": ["10.0.0.0/8"]},
            r"has 'un\nknown', which is no",
        ),
        ("192.0.2.1", None, {"networks": ["10.0.0.0/8"]}, "its client is 192.0.2.1"),
        ("192.0.2.1", "10.0.0.1", {"networks": ["10.0.0.0/8"]}, "192.0.2.1 is not in PROXIES"),
    ],
)
def test_refusal__says_why_once(
    peer: str, forwarded: str | None, policy: dict[str, Any], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says once why a request was refused: else a proxy that is not known keeps all out without a word."""
    for _ in range(3):
        headers = {"X-Forwarded-For": forwarded} if forwarded is not None else {}
        assert decision(asked(peer=peer, headers=headers), **policy).status in (401, 403)
    (record,) = caplog.records
    assert words in record.getMessage()
    assert TOKEN not in record.getMessage()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Client-IP", "True-Client-IP"])
def test_client__forwarded_headers_are_not_believed_untold(header: str) -> None:
    """Without PROXIES no header says who asks; with them only one does."""
    request = asked(headers={header: "for=10.0.0.1" if header == "Forwarded" else "10.0.0.1"})
    assert decision(request, networks=["10.0.0.0/8"]).status == 403


def _user(**flags: bool) -> object:
    return types.SimpleNamespace(**{"is_active": True, "is_staff": True, **flags})


@pytest.mark.parametrize(
    ("cookie", "user", "is_in"),
    [
        ("sessionid", _user(), True),
        ("sessionid", _user(is_active=False), False),
        ("sessionid", _user(is_staff=False), False),
        ("sessionid", None, False),
        ("other", None, False),
        ("other", types.SimpleNamespace(), False),
    ],
)
def test_staff__active_members(cookie: str, user: Any, is_in: bool) -> None:
    """Of those who have a session, active members of the staff are let in; without one nobody is looked up."""
    request = asked(headers={"Cookie": f"{cookie}=x"})
    if user is not None:
        request.user = user
    assert is_staff(request) is is_in


UNUSABLE: list[tuple[Any, str]] = [
    ("everything", "ACCESS"),
    ([("DETAILS", "never")], "ACCESS"),
    (None, "ACCESS"),
    ({"DETAIL": "never"}, "Did you mean 'DETAILS'?"),
    ({"Open": False}, "Did you mean 'OPEN'?"),
    ({7: 7}, "7"),
    ({"DETAILS": "sometimes"}, "'always', 'authorized', 'never'"),
    ({"DETAILS": None}, "'always', 'authorized', 'never'"),
    ({"DETAILS": False}, "'always', 'authorized', 'never'"),
    ({"DETAILS": ["never"]}, "'always', 'authorized', 'never'"),
    ({"OPEN": "no"}, "use True or False"),
    ({"OPEN": 0}, "use True or False"),
    ({"OPEN": None}, "use True or False"),
    ({"TOKENS": TOKEN}, "list of tokens"),
    ({"TOKENS": [TOKEN, ""]}, "list of tokens"),
    ({"TOKENS": [f" {TOKEN}"]}, "list of tokens"),
    ({"TOKENS": [None]}, "list of tokens"),
    ({"TOKENS": [TOKEN.encode()]}, "list of tokens"),
    ({"TOKENS": {TOKEN: True}}, "list of tokens"),
    ({"TOKENS": None}, "list of tokens"),
    ({"NETWORKS": "10.0.0.0/8"}, "list of networks"),
    ({"NETWORKS": None}, "list of networks"),
    ({"NETWORKS": 8}, "list of networks"),
    ({"NETWORKS": ["10.0.0.0/99"]}, "'10.0.0.0/99'"),
    ({"NETWORKS": ["localhost"]}, "'localhost'"),
    ({"NETWORKS": [""]}, "use a network"),
    ({"NETWORKS": [None]}, "use a network"),
    ({"NETWORKS": [1]}, "use a network"),
    ({"NETWORKS": [True]}, "use a network"),
    ({"PROXIES": "10.0.0.0/8"}, "PROXIES"),
    ({"PROXIES": ["proxy"]}, "PROXIES"),
    ({"PROXIES": "unix"}, "PROXIES"),
    ({"PROXIES": ["unix", 8]}, "PROXIES"),
    ({"NETWORKS": ["unix"]}, "'unix'"),
]


@pytest.mark.parametrize(("value", "said"), UNUSABLE, ids=[repr(value) for value, _ in UNUSABLE])
def test_rules__unusable_setting(value: Any, said: str, settings: Settings) -> None:
    """What cannot be used is said, with the remedy and without tokens, where it is used and by ``manage.py check``."""
    settings.HEALTH_CHECK = {"ACCESS": value}
    with pytest.raises(ImproperlyConfigured) as caught:
        policy_of({})
    assert said in str(caught.value)
    assert TOKEN not in str(caught.value)
    messages = check_settings()
    assert [message.id for message in messages] == ["health_check.E001"]
    assert messages[0].msg == str(caught.value)
    assert messages[0].hint


def test_rules__unusable_beside_another_setting(settings: Settings) -> None:
    """``manage.py check`` tells of all settings that cannot be used at once."""
    settings.HEALTH_CHECK = {"ACCESS": {"OPEN": "no"}, "TIMEOUT": -1}
    assert [message.id for message in check_settings()] == ["health_check.E001", "health_check.E001"]
