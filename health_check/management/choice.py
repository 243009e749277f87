"""Which endpoints and checks a command is about, and the paths at which servers have them."""

from __future__ import annotations

import contextlib
import dataclasses
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.urls import NoReverseMatch, Resolver404, get_script_prefix, resolve, reverse, set_script_prefix
from django.utils import translation

from health_check.conf import nearest
from health_check.conf import settings as health_check_settings
from health_check.monitor import runtime
from health_check.registry.catalogue import Catalogue
from health_check.registry.check_set import CheckSet
from health_check.registry.endpoints import Endpoint, endpoint_of
from health_check.views.mixins import endpoint_of_subset

NO_ENDPOINT = 'There is no health endpoint: add path("health/", include("health_check.urls")) to urls.py.'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What a command is about."""

    endpoints: tuple[Endpoint, ...]
    """The endpoints, in the order of the URLconf."""
    check_set: CheckSet
    """The check set in which they have only the checks that are asked for."""
    deferred: tuple[Endpoint, ...]
    """The endpoints that were left out, as only a request shows what they check."""


def choose(options: Mapping[str, Any]) -> Choice:
    """Return what is asked for by ``ENDPOINT``, ``--subset`` and ``--check``; by default all there is.

    Raises:
        CommandError: If there is no such endpoint or check.
        Http404: If there is no such subset.
    """
    catalogue = runtime.get().catalogue
    wanted, subset = options["endpoint"], options["subset"]
    endpoints = (find(catalogue, wanted),) if wanted else catalogue.endpoints
    check_set = catalogue.check_set
    if subset:
        if wanted:
            raise CommandError("--subset is one of the registered checks: leave ENDPOINT out.")
        endpoint, check_set = endpoint_of_subset(subset if isinstance(subset, str) else subset[0])
        endpoints = (endpoint,)
    if options["labels"]:
        endpoints, check_set = _restricted(endpoints, check_set, options["labels"])
    return Choice(endpoints=endpoints, check_set=check_set, deferred=() if wanted or subset else catalogue.deferred)


def _restricted(
    endpoints: tuple[Endpoint, ...], check_set: CheckSet, labels: list[str]
) -> tuple[tuple[Endpoint, ...], CheckSet]:
    """Return the endpoints that have any of some checks, and the check set where they have no others.

    A check that is asked for alone is critical, as in ``?check=``: the exit code says how it is.
    """
    known = [definition.label for definition in check_set.checks_of(endpoints)]
    found = {label: check_set.find(label) for label in labels}
    for label, definition in found.items():
        if definition is None or definition.label not in known:
            raise CommandError(
                f"There is no check {label!r}.{nearest(label, known)} Known checks: {', '.join(known) or 'none'}."
            )
    wanted = {definition.label for definition in found.values() if definition is not None}
    members = {}
    for endpoint in endpoints:
        chosen = [member for member in check_set.members[endpoint] if member.label in wanted]
        if chosen:
            critical = len(wanted) == 1
            members[endpoint] = tuple(dataclasses.replace(each, critical=each.critical or critical) for each in chosen)
    return tuple(members), dataclasses.replace(check_set, members=members)


def nothing_to_check(options: Mapping[str, Any]) -> str:
    """Return what to say where no check was chosen."""
    catalogue, wanted = runtime.get().catalogue, options["endpoint"] or options["subset"]
    if wanted:
        return f"The endpoint {wanted!r} has no checks: there is nothing to run. Ask its server, without --no-http."
    if not catalogue.endpoints:
        return NO_ENDPOINT
    return "No endpoint has any checks."


def spellings(wanted: str) -> tuple[str, ...]:
    """Return the URL names that are meant by one: ``ready`` will do for ``health_check:health_check_ready``."""
    return wanted, f"health_check:{wanted}", f"health_check:health_check_{wanted}"


def path_of(catalogue: Catalogue, wanted: str) -> str:
    """Return the path at which a server serves an endpoint.

    That is without FORCE_SCRIPT_NAME, which a proxy in front of the server takes away, and in the language that
    requests without one get.

    Args:
        catalogue: The endpoints there are.
        wanted: A URL name, also as it is in ``spellings``, or a path.

    Raises:
        CommandError: If there is none of the name.
    """
    if wanted.startswith("/"):
        return wanted
    with as_served():
        for name in spellings(wanted):
            with contextlib.suppress(NoReverseMatch):
                return reverse(name, urlconf=health_check_settings.URLCONF)
    for endpoint in catalogue.endpoints:
        if wanted == endpoint.name and endpoint.url_name and not set("<(^") & set(endpoint.route):
            return f"/{endpoint.route}"
    if "://" in wanted:
        parts = urllib.parse.urlsplit(wanted)
        raise CommandError(
            f"{wanted} is an address: give the path, and where the server listens, as in "
            f"manage.py health_check {parts.path or '/'} {parts.netloc}"
        )
    raise CommandError(
        f"No endpoint {wanted!r} can be asked by its name.{_known(catalogue, wanted)} "
        "Where a path has arguments, or no name, give it instead, as in /en/health/."
    )


def find(catalogue: Catalogue, wanted: str) -> Endpoint:
    """Return the endpoint of a URL name, also as it is in ``spellings``, or of a path.

    Raises:
        CommandError: If there is none.
    """
    for name in spellings(wanted):
        for endpoint in catalogue.endpoints:
            if endpoint.name == name:
                return endpoint
    with contextlib.suppress(Resolver404, CommandError), as_served():
        there = endpoint_of(resolve(path_of(catalogue, wanted), urlconf=health_check_settings.URLCONF))
        for endpoint in catalogue.endpoints:
            if there is not None and endpoint.key == there.key:
                return endpoint
    raise CommandError(f"There is no endpoint {wanted!r}.{_known(catalogue, wanted)}")


@contextlib.contextmanager
def as_served() -> Iterator[None]:
    """Resolve names and paths as a server at the root of its address does, in the language of the site."""
    prefix = get_script_prefix()
    set_script_prefix("/")
    try:
        with translation.override(_language()):
            yield
    finally:
        set_script_prefix(prefix)


def _language() -> str:
    """Return the language of requests that ask for none."""
    if "django.middleware.locale.LocaleMiddleware" in settings.MIDDLEWARE:
        with contextlib.suppress(LookupError):
            return translation.get_supported_language_variant(settings.LANGUAGE_CODE)
    return settings.LANGUAGE_CODE


def _known(catalogue: Catalogue, wanted: str) -> str:
    """Return what to say of the endpoints that there are, and of the one that may be meant."""
    names = [endpoint.name for endpoint in catalogue.endpoints]
    short = [name.rpartition(":")[2].removeprefix("health_check_") for name in names]
    return f"{nearest(wanted, [*names, *short])} Known endpoints: {', '.join(names) or 'none'}."
