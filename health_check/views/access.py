"""Access: who may see an endpoint, and who may read why a check fails."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.utils.functional import cached_property  # that of functools holds one lock for all instances

from health_check.conf import nearest, settings
from health_check.logs import log_once, warn_once
from health_check.redaction import shown
from health_check.views.client import UNIX, Client, Network, client_of, is_forwarded_untold, is_in, network_of

DETAILS = ("always", "authorized", "never")

ACCESS_ARGUMENTS = ("details", "open", "tokens", "networks", "proxies")
"""The arguments of ``as_view`` that say who is answered; each is a key of ``HEALTH_CHECK["ACCESS"]``, too."""

KEYS = tuple(map(str.upper, ACCESS_ARGUMENTS))


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccessPolicy:
    """Who may see an endpoint, and what of it."""

    details: str = "always"
    """Who may read messages: ``"always"`` everybody, ``"authorized"`` who is authorised, ``"never"`` nobody."""
    open: bool = True
    """Whether everybody is answered."""
    tokens: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    """The bearer tokens that authorise (RFC 6750)."""
    networks: tuple[Network, ...] = ()
    """The networks whose clients are authorised."""
    proxies: tuple[Network | str, ...] = ()
    """The networks of proxies whose ``X-Forwarded-For`` is trusted; ``"unix"`` for those at a unix socket."""

    def needs_authority(self) -> bool:
        """Return whether it matters who asks."""
        return not self.open or self.details == "authorized"


OPEN_TO_ALL = AccessPolicy()


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccessDecision:
    """What somebody who asks gets."""

    status: int = 200
    """200, or the HTTP status of a refusal: 401 where a token would help, else 403."""
    details: bool = True
    """Whether messages may be shown."""
    for_all: bool = False
    """Whether everybody gets the same."""


def policy_of(overrides: Mapping[str, Any]) -> AccessPolicy:
    """Return the policy of a view.

    Args:
        overrides: What the view says itself, by the keys of the setting in lower case; None says nothing.

    Raises:
        ImproperlyConfigured: If something cannot be used.
    """
    of_settings = settings.ACCESS
    for key in of_settings:
        if key not in KEYS:
            raise ImproperlyConfigured(f"HEALTH_CHECK['ACCESS'] has no key {key!r}.{nearest(key, KEYS)}")
    stated = {**of_settings, **{key.upper(): value for key, value in overrides.items() if value is not None}}
    return _parsed(stated) if stated else OPEN_TO_ALL


def decide(request: HttpRequest, policy: AccessPolicy, is_authorized: Callable[[HttpRequest], bool]) -> AccessDecision:
    """Return what somebody who asks gets.

    Args:
        request: The request.
        policy: Who is answered.
        is_authorized: Returns whether the request's user is let in; asked last, and only if it matters.
    """
    if not policy.needs_authority():
        return AccessDecision(details=policy.details == "always", for_all=True)
    if _has_token(request, policy.tokens) or _is_near(request, policy) or _admits(request, is_authorized):
        return AccessDecision(details=policy.details != "never")
    if policy.open:
        return AccessDecision(details=False)
    _say_why(request, policy)
    return AccessDecision(status=401 if policy.tokens else 403, details=False)


def is_staff(request: HttpRequest) -> bool:
    """Return whether a member of the staff is logged in; without a session cookie nothing is looked up."""
    if django_settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return False
    user = getattr(request, "user", None)
    return bool(user is not None and user.is_active and user.is_staff)


def problems() -> list[str]:
    """Return what is wrong with ``HEALTH_CHECK["ACCESS"]``, a sentence each."""
    try:
        policy_of({})
    except ImproperlyConfigured as error:
        return [str(error)]
    return []


def _admits(request: HttpRequest, is_authorized: Callable[[HttpRequest], bool]) -> bool:
    try:
        return bool(is_authorized(request))
    except Exception as error:  # the database of the sessions may be what is down
        log_once("access", "Whether a user may see the health checks could not be found out.", error)
        return False


def _has_token(request: HttpRequest, tokens: Iterable[str]) -> bool:
    scheme, _, given = str(request.META.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "bearer":
        return False
    equal = [constant_time_compare(given.strip(), token) for token in tokens]  # all, so that the time says nothing
    return any(equal)


def _is_near(request: HttpRequest, policy: AccessPolicy) -> bool:
    if not policy.networks:
        return False
    client = client_of(request, policy.proxies)
    if client.problem:
        warn_once(
            f"access {client.kind}", f"It is not known whether ACCESS NETWORKS allow a request: {client.problem}."
        )
    return client.address is not None and is_in(client.address, policy.networks)


def _say_why(request: HttpRequest, policy: AccessPolicy) -> None:
    """Log why the networks did not let a request in, once for each reason: those who ask are many."""
    client = client_of(request, policy.proxies) if policy.networks else Client()
    if client.address is None:
        return
    if is_forwarded_untold(request, policy.proxies):
        key, why = "access proxy", f"its X-Forwarded-For counts for nothing: {client.address} is not in PROXIES"
    else:
        key, why = "access network", f"its client is {client.address}"
    warn_once(key, f"A request was refused, as ACCESS NETWORKS do not let it in: {why}.")


def _parsed(stated: Mapping[str, Any]) -> AccessPolicy:
    details, is_open, tokens = stated.get("DETAILS", "always"), stated.get("OPEN", True), stated.get("TOKENS", ())
    if not isinstance(details, str) or details not in DETAILS:
        raise ImproperlyConfigured(f"ACCESS DETAILS is {shown(details)}: use one of {', '.join(map(repr, DETAILS))}.")
    if not isinstance(is_open, bool):
        raise ImproperlyConfigured(f"ACCESS OPEN is {shown(is_open)}: use True or False.")
    if not isinstance(tokens, list | tuple | set | frozenset) or not all(map(_is_token, tokens)):
        raise ImproperlyConfigured("ACCESS TOKENS is not a list of tokens: use texts without space that are not empty.")
    return AccessPolicy(
        details=details,
        open=is_open,
        tokens=tuple(tokens),
        networks=_networks("NETWORKS", stated.get("NETWORKS", ())),
        proxies=_networks("PROXIES", stated.get("PROXIES", ()), UNIX),
    )


def _is_token(value: object) -> bool:
    return isinstance(value, str) and value.strip() == value != ""


def _networks(name: str, value: object, *others: str) -> tuple[Any, ...]:
    """Return the networks of a list, and as they are the texts that may be among them."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ImproperlyConfigured(f'ACCESS {name} is {shown(value)}: use a list of networks, as in ["10.0.0.0/8"].')
    return tuple(item if isinstance(item, str) and item in others else _network(name, item) for item in value)


def _network(name: str, item: object) -> Network:
    with contextlib.suppress(ValueError):
        if isinstance(item, str):
            return network_of(item)
    raise ImproperlyConfigured(f"ACCESS {name} has {shown(item)}: use a network, as in '10.0.0.0/8'.")


NOT_CONFIGURED = "The health checks are not configured properly: see the log, or run manage.py check.\n"
"""What is said to who may read no details."""


class AccessMixin:
    """What a view has that not everybody may see."""

    request: HttpRequest
    details: str | None = None
    open: bool | None = None
    tokens: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    proxies: Sequence[str] | None = None

    def is_authorized(self, request: HttpRequest) -> bool:
        """Return whether the request's user is let in; override to let in others than the staff.

        Asked only if it matters, and if neither a token nor the client's network lets the request in.
        """
        return is_staff(request)

    @cached_property
    def access_policy(self) -> AccessPolicy:
        """Who is answered, as the view says.

        Raises:
            ImproperlyConfigured: If what it says of that cannot be used.
        """
        return policy_of(stated_by(self, ACCESS_ARGUMENTS))

    @cached_property
    def access_decision(self) -> AccessDecision:
        """What the one who asks gets."""
        return decide(self.request, self.access_policy, self.is_authorized)

    @classmethod
    def may_change_access(cls) -> bool:
        """Return whether code of a subclass may say for each request who is answered."""
        own = [base for base in cls.__mro__ if not base.__module__.startswith(("health_check", "django.", "builtins"))]
        return any(name in vars(base) for base in own for name in ("__init__", "setup", "dispatch"))

    def explanation(self, error: ImproperlyConfigured) -> str:
        """Return what somebody who asks reads of settings that cannot be used: what is wrong only with details."""
        try:
            details = self.access_decision.details
        except ImproperlyConfigured:  # what is wrong is who may read what
            details = True
        return f"{error}\n" if details else NOT_CONFIGURED

    def refusal(self) -> HttpResponse | None:
        """Return the answer to somebody who is not let in; None for others."""
        status = self.access_decision.status
        if status == 200:
            return None
        headers = {"WWW-Authenticate": 'Bearer realm="health"'} if status == 401 else {}
        return HttpResponse(_REFUSALS[status], status=status, content_type="text/plain; charset=utf-8", headers=headers)


def policy_for(view_class: type, initkwargs: Mapping[str, Any]) -> AccessPolicy:
    """Return who is answered by a view.

    Raises:
        ImproperlyConfigured: If what it says of that cannot be used.
    """
    stated = {name: initkwargs.get(name, getattr(view_class, name)) for name in ACCESS_ARGUMENTS}
    if any(hasattr(type(value), "__get__") for value in stated.values()):
        return GUARDED
    return policy_of(stated)


GUARDED = AccessPolicy(open=False, details="never")
"""The policy of a view that decides for each request."""


def stated_by(view: object, names: Iterable[str]) -> dict[str, Any]:
    """Return what a view says of itself.

    Raises:
        ImproperlyConfigured: If that raises.
    """
    stated = {}
    for name in names:
        try:
            stated[name] = getattr(view, name)
        except Exception as error:
            what = f"{type(view).__name__}.{name}"
            raise ImproperlyConfigured(f"{what} raised {type(error).__name__}: see the log, and correct it.") from error
    return stated


_REFUSALS: dict[int, Any] = {
    401: "Not authorised: send a token, as in Authorization: Bearer …\n",
    403: "Not allowed.\n",
}
