"""The endpoints: the health views that a URLconf mounts."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver
from django.utils.functional import cached_property  # that of functools holds one lock for all instances

from health_check.conf import configured_keys
from health_check.redaction import mask
from health_check.registry.entries import parse, unconstructed

DEFAULT_CHECKS = (
    "health_check.Cache",
    "health_check.Database",
    "health_check.Disk",
    "health_check.Mail",
    "health_check.Memory",
    "health_check.Storage",
)
"""What a view without ``checks`` looks at."""


READINESS = re.compile(r"(?<![a-z])(ready|readyz|readiness)(?![a-z])", re.IGNORECASE)
"""What readiness endpoints are called: a load balancer sends no requests where they fail."""

LIVENESS = re.compile(r"(?<![a-z])(live|livez|liveness|alive)(?![a-z])", re.IGNORECASE)
"""What liveness endpoints are called: where they fail, the process is restarted."""


class EndpointOptions:
    """The part of a health view that says what it checks; its attributes are arguments of ``as_view``."""

    checks: ClassVar[Sequence[Any]] = DEFAULT_CHECKS
    """Dotted paths, classes, or pairs of either with a dict of options."""
    warnings_as_errors: ClassVar[bool | None] = None
    """Whether warnings of critical checks count; default ``HEALTH_CHECK["WARNINGS_AS_ERRORS"]``."""
    error_status_code: ClassVar[int] = 500
    """The HTTP status when something counts against the endpoint."""
    readiness: ClassVar[bool | None] = None
    """Whether load balancers use it to decide where to send requests: then it answers 503 while its host is drained.

    Default: as its URL name, or the last part of its path, says.
    """
    liveness: ClassVar[bool | None] = None
    """Whether what fails here is restarted; a system check warns of checks that a restart does not fix.

    Default: as for ``readiness``.
    """
    use_threading: ClassVar[bool | None] = None
    """Deprecated; False runs this endpoint's checks in the calling thread."""

    def get_plugins(self) -> Iterable[Any]:
        """Yield the label and an instance of each check; override to choose them in code.

        An override may yield such pairs or bare instances. It is also called without a request, to find out
        what the endpoint consists of; where that fails, the checks are known once the view was served.
        """
        for item in self.checks:
            entry = None
            try:
                entry = parse(item)
                definition = entry.define()
            except (Exception, SystemExit) as error:
                definition = unconstructed(item, entry, error)
            yield definition.label, definition.prototype


OPTIONS = ("warnings_as_errors", "error_status_code", "readiness", "liveness", "use_threading")
"""What a view says besides its checks: how they count, and what it is for."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Endpoint:
    """A health view and where it is mounted."""

    name: str
    """Its URL name with namespaces, numbered if it has none or another endpoint has it: what everything calls it."""
    url_name: str = ""
    """Its URL name with namespaces; empty if it has none."""
    route: str = dataclasses.field(repr=False)
    """Where it is mounted, as the URLconf spells it; a secret of the site where it has no URL name."""
    view_class: type[EndpointOptions]
    """The view."""
    initkwargs: Mapping[str, Any]
    """The arguments of ``as_view``."""
    callback_id: int = 0
    """What distinguishes its callback from others; 0 for a view that is called by a function of the site's."""

    stated: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The options that the view of one request has given itself."""

    @property
    def key(self) -> tuple[str, type, int]:
        """What a request's endpoint is recognised by; not the route, which may depend on the language."""
        return self.url_name or self.route, self.view_class, self.callback_id

    def option(self, name: str) -> Any:
        """Return an option of the view: as that of a request says, else as one without a request does."""
        if name in self.stated:
            return self.stated[name]
        if self._view is not None:
            with contextlib.suppress(Exception):
                return getattr(self._view, name)
        return self.initkwargs.get(name, getattr(EndpointOptions, name))  # its own code needs a request

    @cached_property
    def _view(self) -> EndpointOptions | None:
        try:
            return self.view_class(**self.initkwargs)
        except Exception:
            return None

    @cached_property
    def is_readiness(self) -> bool:
        """Whether load balancers are to send requests where it answers 200."""
        mark = self.option("readiness")
        return self._is_called(READINESS) if mark is None else bool(mark)

    @cached_property
    def is_liveness(self) -> bool:
        """Whether a process is restarted where it fails."""
        mark = self.option("liveness")
        return self._is_called(LIVENESS) if mark is None else bool(mark)

    def _is_called(self, pattern: re.Pattern[str]) -> bool:
        last = self.route.rstrip("/?$").rpartition("/")[2]
        return bool(pattern.search(f"{self.url_name} {last}"))

    @property
    def has_own_plugins(self) -> bool:
        """Whether the view chooses its checks in code."""
        return self.view_class.get_plugins is not EndpointOptions.get_plugins

    def items(self) -> tuple[object, ...]:
        """Return what the view checks: items of ``checks``, or what its own ``get_plugins`` yields.

        Raises:
            Exception: What code of the view's own raises without a request.
        """
        view = self.view_class(**self.initkwargs)
        return tuple(view.get_plugins()) if self.has_own_plugins else items_of(view.checks)


def items_of(checks: object) -> tuple[object, ...]:
    """Return the items of ``checks``; what is no list of items is one, to be shown as unusable."""
    if isinstance(checks, str | Mapping) or not isinstance(checks, Iterable):
        return (checks,)
    return tuple(checks)


def walk(urlconf: str) -> Iterator[Endpoint]:
    """Yield the endpoints of a URLconf as they are written there; their name is the URL name, or empty.

    Args:
        urlconf: The dotted path of a URLconf module.

    Raises:
        ImproperlyConfigured: If it cannot be imported.
    """
    routes: set[str] = set()
    for mounted in mounted_views(urlconf):
        endpoint = endpoint_at(mounted.callback, name=mounted.name, route=mounted.route)
        if endpoint is not None and endpoint.route not in routes:  # of two at one route the second is never served
            routes.add(endpoint.route)
            yield endpoint


def patterns_of(urlconf: str) -> list[URLPattern | URLResolver]:
    """Return the patterns of a URLconf.

    Raises:
        ImproperlyConfigured: If it cannot be imported.
    """
    try:
        return get_resolver(urlconf).url_patterns
    except ImproperlyConfigured:
        raise
    except Exception as error:
        name = "HEALTH_CHECK['URLCONF']" if "URLCONF" in configured_keys() else "ROOT_URLCONF"
        told = f": {mask(str(error))}" if isinstance(error, ImportError) else ", see the log, or manage.py check"
        problem = f"{type(error).__name__}{told}"
        raise ImproperlyConfigured(f"{name} is {urlconf!r}, which cannot be imported: {problem}.") from error


def discover(urlconf: str) -> tuple[Endpoint, ...]:
    """Return the endpoints that a URLconf mounts, in its order.

    Health views are found through includes and through decorators that keep the attributes of what they wrap.

    Args:
        urlconf: The dotted path of a URLconf module.
    """
    found = list(walk(urlconf))
    names = {endpoint.url_name for endpoint in found}
    firsts: set[str] = set()
    for position, endpoint in enumerate(found):
        if not endpoint.url_name or endpoint.url_name in firsts:
            found[position] = numbered(endpoint, names)
            names.add(found[position].name)
        firsts.add(endpoint.url_name)
    return tuple(found)


def numbered(endpoint: Endpoint, taken: Container[str]) -> Endpoint:
    """Return an endpoint under a name of its own, without its route, which may be a secret.

    Args:
        endpoint: One without a URL name, or with that of another one.
        taken: The names of the others.
    """
    stem, first = (endpoint.url_name, 2) if endpoint.url_name else ("unnamed", 1)
    names = (f"{stem}-{number}" for number in itertools.count(first))
    return dataclasses.replace(endpoint, name=next(name for name in names if name not in taken))


def unwrap(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Return the health view in a callback that may be decorated; the callback itself if there is none."""
    inner: Any = callback
    while inner is not None and not hasattr(inner, "view_class"):
        inner = getattr(inner, "__wrapped__", None)
    return callback if inner is None else inner


def endpoint_of(match: ResolverMatch | None) -> Endpoint | None:
    """Return the endpoint that a path was resolved to, or None if that is no health view."""
    if match is None:
        return None
    return endpoint_at(match.func, name=match.view_name if match.url_name else "", route=match.route)


def endpoint_at(callback: Callable[..., Any], *, name: str, route: str) -> Endpoint | None:
    """Return the endpoint that a callback serves, or None if it is no health view."""
    view: Any = unwrap(callback)
    view_class = getattr(view, "view_class", None)
    if not isinstance(view_class, type) or not issubclass(view_class, EndpointOptions):
        return None
    return Endpoint(
        name=name,
        url_name=name,
        route=route,
        view_class=view_class,
        initkwargs=view.view_initkwargs,
        callback_id=id(view.view_initkwargs),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MountedView:
    """A view of the site."""

    callback: Callable[..., Any]
    """What answers, with its decorators."""
    name: str
    """Its URL name with namespaces, or empty."""
    route: str
    """Where it is mounted, as the URLconf spells it."""


def mounted_views(urlconf: str) -> Iterator[MountedView]:
    """Return all views of a URLconf.

    Raises:
        ImproperlyConfigured: If it cannot be imported.
    """
    return views_of(patterns_of(urlconf))


def views_of(
    patterns: Iterable[URLPattern | URLResolver], prefix: str = "", namespaces: tuple[str, ...] = ()
) -> Iterator[MountedView]:
    """Yield all views of URL patterns.

    Args:
        patterns: The patterns.
        prefix: The route in front of them.
        namespaces: The namespaces that they are in.
    """
    for pattern in patterns:
        part = str(pattern.pattern)
        route = prefix + (part.removeprefix("^") if prefix else part)  # as ResolverMatch.route has it
        if isinstance(pattern, URLResolver):
            inner = (*namespaces, pattern.namespace) if pattern.namespace else namespaces
            yield from views_of(pattern.url_patterns, route, inner)
        else:
            name = ":".join((*namespaces, pattern.name)) if pattern.name else ""
            yield MountedView(callback=pattern.callback, name=name, route=route)
