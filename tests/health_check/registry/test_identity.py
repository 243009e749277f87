"""When options are equal, and the digest of options."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from health_check.registry.identity import digest, equal_values


def connect(host: str, port: int = 6379, **options: object) -> tuple[object, ...]:
    """Return what it is told."""
    return host, port, options


def closure(host: str) -> Callable[[], object]:
    """Return a function that closes over a host."""
    return lambda: connect(host)


def nested(host: str) -> Callable[[], object]:
    """Return a function that closes over a closure."""
    inner = closure(host)
    return lambda: inner()


def unassigned() -> Callable[[], object]:
    """Return a function that closes over what has no value any more."""
    host = "a"
    function = lambda: connect(host)  # noqa: E731, F821
    del host
    return function


class Factory:
    """Makes clients."""

    def __init__(self, host: str) -> None:
        self.host = host

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Factory) and self.host == other.host

    __hash__ = None  # type: ignore[assignment]

    def make(self) -> object:
        """Return a client."""
        return connect(self.host)

    def __repr__(self) -> str:
        return f"Factory({self.host!r})"


EQUAL: list[tuple[Any, Any]] = [
    (lambda: connect("a"), lambda: connect("a")),
    (lambda: connect("a", port=1), lambda: connect("a", port=1)),
    (closure("a"), closure("a")),
    (nested("a"), nested("a")),
    (unassigned(), unassigned()),
    (lambda host="a": connect(host), lambda host="a": connect(host)),
    (lambda: [lambda: "a"], lambda: [lambda: "a"]),
    (functools.partial(connect, "a", db=1), functools.partial(connect, "a", db=1)),
    (Factory("a").make, Factory("a").make),
    ({"factory": [closure("a")]}, {"factory": [closure("a")]}),
    (connect, connect),
]

DIFFERENT: list[tuple[Any, Any]] = [
    (lambda: connect("a"), lambda: connect("b")),
    (lambda: connect("a", db=0), lambda: connect("a", db=1)),
    (lambda: connect("a"), lambda: print("a")),
    (closure("a"), closure("b")),
    (nested("a"), nested("b")),
    (lambda host="a": connect(host), lambda host="b": connect(host)),
    (lambda *, host="a": connect(host), lambda *, host="b": connect(host)),
    (lambda: [lambda: "a"], lambda: [lambda: "b"]),
    (functools.partial(connect, "a"), functools.partial(connect, "b")),
    (functools.partial(connect, "a", db=0), functools.partial(connect, "a", db=1)),
    (Factory("a").make, Factory("b").make),
    ({"factory": [closure("a")]}, {"factory": [closure("b")]}),
    ({"a": 1}, {"a": 1, "b": 2}),
    ([1], [1, 2]),
]


@pytest.mark.parametrize(
    ("left", "right", "expected"), [*((*pair, True) for pair in EQUAL), *((*pair, False) for pair in DIFFERENT)]
)
def test_equal_values__what_does_the_same(left: object, right: object, expected: bool) -> None:
    """Functions of equal code over equal values are equal, and have one digest; those over two hosts are two."""
    assert equal_values(left, right) is expected
    assert (digest("x", {"o": left}) == digest("x", {"o": right})) is expected


def test_equal_values__of_two_modules() -> None:
    """The same code means something else where its names do."""
    source = "factory = lambda: connect('a')"
    one: dict[str, Any] = {"__name__": "one"}
    two: dict[str, Any] = {"__name__": "two"}
    exec(source, one)  # noqa: S102
    exec(source, two)  # noqa: S102
    assert not equal_values(one["factory"], two["factory"])


def test_equal_values__that_contain_themselves() -> None:
    """Values without end are compared all the same."""
    left: list[object] = []
    right: list[object] = []
    left.append(left)
    right.append(right)
    assert equal_values(left, left)
    assert not equal_values(left, right)
    assert digest("x", {"o": left}) == digest("x", {"o": right})


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ({"url": "redis://me:one@cache/0"}, {"url": "redis://you:two@cache/0"}, True),
        ({"url": "x", "password": "one"}, {"url": "x", "password": "two"}, True),
        ({"auth": {"api_key": "one"}}, {"auth": {"api_key": "two"}}, True),
        ({"client": object()}, {"client": object()}, True),
        ({"hosts": {"a", "b"}}, {"hosts": {"b", "a"}}, True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"url": "redis://me:one@cache/0"}, {"url": "redis://me:one@cache/1"}, False),
        ({"port": 1}, {"port": "1"}, False),
        ({"a": Factory("a")}, {"a": Factory("b")}, False),
        ({"a": Factory}, {"a": dict}, False),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
    ],
)
def test_digest__without_credentials(left: dict[str, object], right: dict[str, object], expected: bool) -> None:
    """Credentials, addresses in memory and the order of what has none change no digest; all else, and the class, do."""
    assert (digest("x", left) == digest("x", right)) is expected
    assert digest("x", left) != digest("y", left)


def test_digest__is_what_it_was() -> None:
    """It stays from release to release, on every version of Python: labels are made of it."""
    factories = closure("a.example"), lambda: connect("a", port=1, ssl=True)
    options = {"url": "https://a.example/", "factories": factories, "limit": 3, "words": ("x", None)}
    assert digest("shop.checks.Search", options)[:8] == "dc3daa3e"
