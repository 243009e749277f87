"""The system checks of the endpoints: their entries, what they are for, who may read them, and what hides them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator

from django.core.checks import CheckMessage
from django.core.exceptions import ImproperlyConfigured

from health_check import extensions
from health_check.checks import mail
from health_check.conf import settings
from health_check.contrib.psutil import Memory
from health_check.management.system_checks.messages import system_check, unusable, warning
from health_check.monitor import runtime
from health_check.registry.catalogue import Catalogue
from health_check.registry.check_set import CheckSet
from health_check.registry.definitions import Definition
from health_check.registry.endpoints import Endpoint, MountedView, endpoint_at, mounted_views, walk
from health_check.views import access
from health_check.views.access import ACCESS_ARGUMENTS, policy_for

METHODS_OF_VERSION_4 = (
    "get_checks",
    "get_executor",
    "render_to_response_atom",
    "render_to_response_openmetrics",
    "render_to_response_rss",
    "render_to_response_text",
)
"""What views for django-health-check 4.x override, and nobody calls here."""

REPLACEMENTS = {
    "get_executor": "Set HEALTH_CHECK['MAX_CONCURRENCY'] to the number of threads for checks.",
    "render_to_response_openmetrics": "Mount /metrics: path('', include('health_check_prometheus.urls')).",
}
"""What to do instead of some of them; the hint for all others is one."""

OURS = ("health_check.checks.", "health_check.contrib.")
"""Where checks are that look at what the site depends on."""

DISPENSABLE = frozenset(
    [
        "health_check.checks.mail.Mail",
        "health_check.checks.storage.Storage",
        "health_check.contrib.psutil.Disk",
        "health_check.contrib._status_page.StatusPage",
    ]
)
"""Those of them, by the names of their classes, without which most requests are answered."""


@system_check(deploy=True)
def check_exposure() -> Iterator[CheckMessage]:
    """Report endpoints that show their messages to everybody (W012)."""
    catalogue = runtime.get().catalogue
    endpoints = [endpoint for endpoint, members in catalogue.check_set.members.items() if members]
    exposed = [endpoint.name for endpoint in (*endpoints, *catalogue.deferred) if _tells_everybody(endpoint)]
    if exposed:
        yield warning(
            "W012",
            f"Everybody may read why checks fail on {', '.join(exposed)}.",
            "Set HEALTH_CHECK['ACCESS'] = {'DETAILS': 'authorized'}: states and status codes stay open.",
        )


def _tells_everybody(endpoint: Endpoint) -> bool:
    try:
        policy = policy_for(endpoint.view_class, endpoint.initkwargs)
    except ImproperlyConfigured:  # it lets nobody in
        return False
    return policy.open and policy.details == "always"


@system_check(deploy=True)
def check_mail() -> Iterator[CheckMessage]:
    """Report endpoints that depend on a mail server that nobody has set up (W022)."""
    check_set = runtime.get().catalogue.check_set
    asking = [
        endpoint.name
        for endpoint, members in check_set.members.items()
        if any(issubclass(check_set.definitions[member.label].check_class, mail.Mail) for member in members)
    ]
    if asking and not mail.has_settings():
        yield warning(
            "W022",
            f"No setting for mail is set: without DEBUG {', '.join(asking)} will fail unless a mail server listens on "
            "the host itself.",
            mail.REMEDY,
        )


@system_check()
def check_endpoints() -> Iterator[CheckMessage]:
    """Report endpoints of one name (W016), entries that are unusable (W017) or share a label (W018), and others.

    Odd methods of views are W020, routes without a name W021, unusable access policies E001, checks used with
    different policies W003, no endpoint at all W011.
    """
    catalogue = runtime.get().catalogue
    endpoints = (*catalogue.endpoints, *catalogue.deferred)
    if not endpoints:
        text = f"There is no health endpoint in {settings.URLCONF}: nothing is ever checked."
        hint = 'Add path("health/", include("health_check.urls")), or set HEALTH_CHECK[\'URLCONF\'].'
        yield warning("W011", text, hint)
    names = Counter(endpoint.url_name for endpoint in walk(settings.URLCONF) if endpoint.url_name)
    for name, count in names.items():
        if count > 1:
            text = f"{count} health endpoints have the URL name {name!r}."
            yield warning("W016", text, "Give each path() a name of its own.")
    unnamed = [endpoint.name for endpoint in endpoints if not endpoint.url_name]
    if unnamed:
        yield warning(
            "W021",
            f"Health endpoints without a URL name are distinguished by number, in the order of the URLconf: "
            f"{', '.join(unnamed)}. Another one before them changes that.",
            "Give each path() a name. Without one the path counts as a secret, which metrics, messages and traces "
            "do not show; HEALTH_CHECK['ACCESS'] guards better than a secret path.",
        )
    yield from _entry_problems(catalogue)
    yield from _namesakes(catalogue.check_set)
    yield from _foreign_methods(dict.fromkeys(endpoint.view_class for endpoint in endpoints))
    yield from _unusable_policies(endpoints)


def _entry_problems(catalogue: Catalogue) -> Iterator[CheckMessage]:
    for problem in catalogue.check_set.problems:
        text = f"Health endpoint {problem.endpoint!r}: {problem.text}"
        if problem.kind == "policies":
            hint = "Use the same options wherever the check is used, or different names for different checks."
            yield warning("W003", text, hint)
        else:
            number = "W017" if problem.kind == "unusable" else "W018"
            yield warning(number, text, "Until then it is shown as a failing check.")


def _namesakes(check_set: CheckSet) -> Iterator[CheckMessage]:
    for label, found in check_set.namesakes.items():
        entries = [f"({check_set.definitions[each].backend!r}, {{'name': {each!r}, …}})" for each in found]
        yield warning(
            "W018",
            f"Different checks would be called {label!r}. They are called {', '.join(map(repr, found))}, "
            "which changes when one is declared before the first, or the first is taken out.",
            f"Pin these labels, or better ones: {', '.join(entries)}. An old label goes into `aliases`.",
        )


def _foreign_methods(views: Iterable[type]) -> Iterator[CheckMessage]:
    for view in views:
        without_effect = [name for name in METHODS_OF_VERSION_4 if hasattr(view, name)]
        cannot_be_async = [name for name in ("get", "dispatch") if inspect.iscoroutinefunction(getattr(view, name))]
        for name in [*without_effect, *cannot_be_async]:
            what = "is async, but that of HealthCheckView is sync" if name in cannot_be_async else "has no effect"
            other = "Override get_plugins(), get() or render_to_response…(plugins, status), as sync methods."
            text = f"{view.__module__}.{view.__qualname__}.{name}() {what}."
            yield warning("W020", text, REPLACEMENTS.get(name, other))


def _unusable_policies(endpoints: Iterable[Endpoint]) -> Iterator[CheckMessage]:
    for endpoint in () if access.problems() else endpoints:  # check_settings says what is wrong for all
        try:
            policy_for(endpoint.view_class, endpoint.initkwargs)
        except ImproperlyConfigured as error:
            hint = f"Correct what its as_view() says: {', '.join(ACCESS_ARGUMENTS)}."
            yield unusable(f"Health endpoint {endpoint.name!r}: {error}", hint)


@system_check()
def check_purposes() -> Iterator[CheckMessage]:
    """Report what endpoints that probes ask had better not depend on.

    On readiness endpoints these are fleet checks (W006), and what a host can do without (W023); on liveness endpoints
    what a restart does not fix (W007).
    """
    check_set = runtime.get().catalogue.check_set
    for endpoint, members in check_set.members.items():
        critical = [check_set.definitions[member.label] for member in members if member.critical]
        name = f"Health endpoint {endpoint.name!r}"
        if endpoint.is_readiness:
            yield from _of_readiness(name, critical)
        dependencies = [each.label for each in critical if _is_a_dependency(each.check_class)]
        if endpoint.is_liveness and dependencies:
            yield warning(
                "W007",
                f"{name} is for liveness, but depends on {', '.join(dependencies)}: "
                "while that fails, every process is restarted again and again.",
                "Give it checks=[], and look at dependencies on a readiness endpoint.",
            )


def _of_readiness(name: str, critical: Iterable[Definition]) -> Iterator[CheckMessage]:
    dispensable = []
    for definition in critical:
        bases = {f"{base.__module__}.{base.__qualname__}" for base in definition.check_class.__mro__}
        if definition.scope == "fleet":
            yield warning(
                "W006",
                f"{name}: {definition.label} has the scope 'fleet': "
                "if it fails, all hosts are taken out of service at once.",
                "Leave it out of readiness endpoints, or make it uncritical there: critical_service=False.",
            )
        elif not bases.isdisjoint(DISPENSABLE):
            dispensable.append(definition.label)
    if dispensable:
        yield warning(
            "W023",
            f"{name} is for readiness, but depends on {', '.join(dispensable)}: "
            "while that fails, no host gets requests, most of which could be answered.",
            "Leave them out there, or make them uncritical: critical_service=False.",
        )


def _is_a_dependency(check_class: type) -> bool:
    """Return whether a check looks at what a new process would find as it is; memory it may find free."""
    is_ours = any(f"{base.__module__}.".startswith(OURS) for base in check_class.__mro__)
    return is_ours and not issubclass(check_class, Memory)


@system_check()
def check_routes() -> Iterator[CheckMessage]:
    """Report routes that one of our views and a view of the site have both: Django serves the first alone (W025)."""
    first: dict[str, MountedView] = {}
    for view in mounted_views(settings.URLCONF):
        route = view.route.strip("^$")
        other = first.setdefault(route, view)
        if other is not view and _is_ours(other) is not _is_ours(view):
            yield warning(
                "W025",
                f"The route {route!r} is there twice: {_described(other)} is served, and hides {_described(view)}.",
                "Mount one of them at another path, as in path('health/', include('health_check.urls')).",
            )


def _is_ours(view: MountedView) -> bool:
    is_endpoint = endpoint_at(view.callback, name=view.name, route=view.route) is not None
    return is_endpoint or view.callback in extensions.pages.values()


def _described(view: MountedView) -> str:
    inner = getattr(view.callback, "view_class", view.callback)
    return f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
