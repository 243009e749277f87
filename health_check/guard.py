"""The guard of a view: decides who is answered before anything runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property

from health_check.access import Rules, Verdict, is_staff, rules_of, verdict_on

ARGUMENTS = ("details", "open", "tokens", "networks", "proxies")
"""The arguments of ``as_view`` that say who is answered; each is a key of ``HEALTH_CHECK["ACCESS"]``, too."""


NOT_CONFIGURED = "The health checks are not configured properly: see the log, or run manage.py check.\n"
"""What is said to who may read no details."""


class GuardedView:
    """What a view has that not everybody may see."""

    request: HttpRequest
    details: str | None = None
    open: bool | None = None
    tokens: Sequence[str] | None = None
    networks: Sequence[str] | None = None
    proxies: Sequence[str] | None = None

    def is_authorized(self, request: HttpRequest) -> bool:
        """Tell whether the request's user is let in; override to let in others than the staff.

        Asked only if it matters, and if neither a token nor the client's network lets the request in.
        """
        return is_staff(request)

    @cached_property
    def rules(self) -> Rules:
        """Who is answered."""
        return rules_for(type(self), vars(self))

    @cached_property
    def verdict(self) -> Verdict:
        """What the one who asks gets."""
        return verdict_on(self.request, self.rules, self.is_authorized)

    def explanation(self, error: ImproperlyConfigured) -> str:
        """Return what somebody who asks reads of settings that cannot be used: what is wrong only with details."""
        try:
            details = self.verdict.details
        except ImproperlyConfigured:  # what is wrong is who may read what
            details = True
        return f"{error}\n" if details else NOT_CONFIGURED

    def refusal(self) -> HttpResponse | None:
        """Return the answer to somebody who is not let in; None for others."""
        status = self.verdict.status
        if status == 200:
            return None
        headers = {"WWW-Authenticate": 'Bearer realm="health"'} if status == 401 else {}
        return HttpResponse(_REFUSALS[status], status=status, content_type="text/plain; charset=utf-8", headers=headers)


def rules_for(view_class: type, initkwargs: Mapping[str, Any]) -> Rules:
    """Return who is answered by a view.

    Raises:
        ImproperlyConfigured: If what it says of that cannot be used.
    """
    return rules_of({name: initkwargs.get(name, getattr(view_class, name)) for name in ARGUMENTS})


_REFUSALS: dict[int, Any] = {
    401: "Not authorised: send a token, as in Authorization: Bearer …\n",
    403: "Not allowed.\n",
}
