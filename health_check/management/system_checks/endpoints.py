"""The system checks of the endpoints: their entries, what they are for, and who may read them."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured

from health_check import conf
from health_check.checks import mail
from health_check.contrib.psutil import Memory
from health_check.management.system_checks.settings import unusable
from health_check.monitor import runtime
from health_check.registry.catalogue import Catalogue
from health_check.registry.check_set import CheckSet
from health_check.registry.definitions import Definition
from health_check.registry.endpoints import Endpoint, walk
from health_check.views import access
from health_check.views.access import ACCESS_ARGUMENTS, policy_for


def check_exposure(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report endpoints that show their messages to everybody (W012)."""
    catalogue = current_catalogue()
    if catalogue is None:
        return []
    endpoints = [endpoint for endpoint, members in catalogue.check_set.members.items() if members]
    exposed = [endpoint.name for endpoint in (*endpoints, *catalogue.deferred) if _tells_everybody(endpoint)]
    if not exposed:
        return []
    return [
        CheckWarning(
            f"Everybody may read why checks fail on {', '.join(exposed)}.",
            hint="Set HEALTH_CHECK['ACCESS'] = {'DETAILS': 'authorized'}: states and status codes stay open.",
            id="health_check.W012",
        )
    ]


def check_mail(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report endpoints that depend on a mail server that nobody has set up (W022)."""
    catalogue = current_catalogue()
    if catalogue is None or mail.has_settings():
        return []
    check_set = catalogue.check_set
    asking = [
        endpoint.name
        for endpoint, members in check_set.members.items()
        if any(issubclass(check_set.definitions[member.label].check_class, mail.Mail) for member in members)
    ]
    if not asking:
        return []
    return [
        CheckWarning(
            f"No setting for mail is set: without DEBUG {', '.join(asking)} will fail unless a mail server listens on "
            "the host itself.",
            hint=mail.REMEDY,
            id="health_check.W022",
        )
    ]


def _tells_everybody(endpoint: Endpoint) -> bool:
    try:
        policy = policy_for(endpoint.view_class, endpoint.initkwargs)
    except ImproperlyConfigured:  # it lets nobody in
        return False
    return policy.open and policy.details == "always"


def current_catalogue() -> Catalogue | None:
    """Return the endpoints and their checks; None where another system check says why there are none."""
    try:
        return runtime.get().catalogue
    except ImproperlyConfigured:
        return None


METHODS_OF_VERSION_4 = (
    "get_checks",
    "get_executor",
    "render_to_response_atom",
    "render_to_response_openmetrics",
    "render_to_response_rss",
    "render_to_response_text",
)
"""What views for django-health-check 4.x override, and nobody calls here."""


def check_endpoints(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report endpoints of one name (W016), entries that are unusable (W017) or share a label (W018), and others.

    Odd methods of views are W020, routes without a name W021, unusable access policies E001, checks used with
    different policies W003, no endpoint at all W011.
    """
    try:
        names = Counter(endpoint.url_name for endpoint in walk(conf.settings.URLCONF) if endpoint.url_name)
        catalogue = runtime.get().catalogue
    except ImproperlyConfigured as error:
        return unusable([text for text in [str(error)] if text not in conf.problems()])
    endpoints = (*catalogue.endpoints, *catalogue.deferred)
    return [
        *_no_endpoint(endpoints),
        *_equal_names(names),
        *_unnamed(endpoints),
        *_entry_problems(catalogue),
        *_namesakes(catalogue.check_set),
        *_foreign_methods(dict.fromkeys(endpoint.view_class for endpoint in endpoints)),
        *unusable(
            _unusable_policies(endpoints), hint=f"Correct what its as_view() says: {', '.join(ACCESS_ARGUMENTS)}."
        ),
    ]


def _no_endpoint(endpoints: Sequence[Endpoint]) -> Iterator[CheckMessage]:
    if not endpoints:
        yield CheckWarning(
            f"There is no health endpoint in {conf.settings.URLCONF}: nothing is ever checked.",
            hint='Add path("health/", include("health_check.urls")), or set HEALTH_CHECK[\'URLCONF\'].',
            id="health_check.W011",
        )


def _equal_names(names: Counter[str]) -> Iterator[CheckMessage]:
    for name, count in names.items():
        if count > 1:
            yield CheckWarning(
                f"{count} health endpoints have the URL name {name!r}.",
                hint="Give each path() a name of its own.",
                id="health_check.W016",
            )


def _unnamed(endpoints: Sequence[Endpoint]) -> Iterator[CheckMessage]:
    names = [endpoint.name for endpoint in endpoints if not endpoint.url_name]
    if names:
        yield CheckWarning(
            f"Health endpoints without a URL name are distinguished by number, in the order of the URLconf: "
            f"{', '.join(names)}. Another one before them changes that.",
            hint="Give each path() a name. Without one the path counts as a secret, which metrics, messages and traces "
            "do not show; HEALTH_CHECK['ACCESS'] guards better than a secret path.",
            id="health_check.W021",
        )


REPLACEMENTS = {
    "get_executor": "Set HEALTH_CHECK['MAX_CONCURRENCY'] to the number of threads for checks.",
    "render_to_response_openmetrics": "Mount /metrics: path('', include('health_check_prometheus.urls')).",
}
"""What to do instead of some of them; the hint for all others is one."""


def _foreign_methods(views: Iterable[type]) -> Iterator[CheckMessage]:
    for view in views:
        without_effect = [name for name in METHODS_OF_VERSION_4 if hasattr(view, name)]
        cannot_be_async = [name for name in ("get", "dispatch") if inspect.iscoroutinefunction(getattr(view, name))]
        for name in [*without_effect, *cannot_be_async]:
            what = "is async, but that of HealthCheckView is sync" if name in cannot_be_async else "has no effect"
            yield CheckWarning(
                f"{view.__module__}.{view.__qualname__}.{name}() {what}.",
                hint=REPLACEMENTS.get(
                    name, "Override get_plugins(), get() or render_to_response…(plugins, status), as sync methods."
                ),
                id="health_check.W020",
            )


def _unusable_policies(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    if access.problems():  # check_settings says so
        return
    for endpoint in endpoints:
        try:
            policy_for(endpoint.view_class, endpoint.initkwargs)
        except ImproperlyConfigured as error:
            yield f"Health endpoint {endpoint.name!r}: {error}"


def _entry_problems(catalogue: Catalogue) -> Iterator[CheckMessage]:
    for problem in catalogue.check_set.problems:
        text = f"Health endpoint {problem.endpoint!r}: {problem.text}"
        if problem.kind == "policies":
            hint = "Use the same options wherever the check is used, or different names for different checks."
            yield CheckWarning(text, hint=hint, id="health_check.W003")
        else:
            number = "health_check.W017" if problem.kind == "unusable" else "health_check.W018"
            yield CheckWarning(text, hint="Until then it is shown as a failing check.", id=number)


def _namesakes(check_set: CheckSet) -> Iterator[CheckMessage]:
    for label, found in check_set.namesakes.items():
        entries = [f"({check_set.definitions[each].backend!r}, {{'name': {each!r}, …}})" for each in found]
        yield CheckWarning(
            f"Different checks would be called {label!r}. They are called {', '.join(map(repr, found))}, "
            "which changes when one is declared before the first, or the first is taken out.",
            hint=f"Pin these labels, or better ones: {', '.join(entries)}. An old label goes into `aliases`.",
            id="health_check.W018",
        )


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

MENDED_BY_A_RESTART = (Memory,)
"""Those of them that a new process may pass where the old one failed."""


def check_purposes(app_configs: Sequence[Any] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report what endpoints that probes ask had better not depend on.

    On readiness endpoints these are fleet checks (W006), and what a host can do without (W023); on liveness endpoints
    what a restart does not fix (W007).
    """
    catalogue = current_catalogue()
    if catalogue is None:
        return []
    check_set = catalogue.check_set
    return [
        message
        for endpoint in check_set.members
        for message in (
            *_fleet_checks(endpoint, check_set),
            *_dispensable(endpoint, check_set),
            *_dependencies(endpoint, check_set),
        )
    ]


def _fleet_checks(endpoint: Endpoint, check_set: CheckSet) -> Iterator[CheckMessage]:
    if not endpoint.is_readiness:
        return
    for member in check_set.members[endpoint]:
        if member.critical and check_set.definitions[member.label].scope == "fleet":
            yield CheckWarning(
                f"Health endpoint {endpoint.name!r}: {member.label} has the scope 'fleet': "
                "if it fails, all hosts are taken out of service at once.",
                hint="Leave it out of readiness endpoints, or make it uncritical there: critical_service=False.",
                id="health_check.W006",
            )


def _dispensable(endpoint: Endpoint, check_set: CheckSet) -> Iterator[CheckMessage]:
    labels = [
        member.label
        for member in check_set.members[endpoint]
        if member.critical and endpoint.is_readiness and _is_dispensable(check_set.definitions[member.label])
    ]
    if labels:
        yield CheckWarning(
            f"Health endpoint {endpoint.name!r} is for readiness, but depends on {', '.join(labels)}: "
            "while that fails, no host gets requests, most of which could be answered.",
            hint="Leave them out there, or make them uncritical: critical_service=False.",
            id="health_check.W023",
        )


def _is_dispensable(definition: Definition) -> bool:
    """Return whether most requests are answered without what a check looks at; W006 is about those of a fleet."""
    names = {f"{base.__module__}.{base.__qualname__}" for base in definition.check_class.__mro__}
    return definition.scope != "fleet" and not names.isdisjoint(DISPENSABLE)


def _dependencies(endpoint: Endpoint, check_set: CheckSet) -> Iterator[CheckMessage]:
    if not endpoint.is_liveness:
        return
    labels = [
        member.label
        for member in check_set.members[endpoint]
        if member.critical and _is_a_dependency(check_set.definitions[member.label].check_class)
    ]
    if labels:
        yield CheckWarning(
            f"Health endpoint {endpoint.name!r} is for liveness, but depends on {', '.join(labels)}: "
            "while that fails, every process is restarted again and again.",
            hint="Give it checks=[], and look at dependencies on a readiness endpoint.",
            id="health_check.W007",
        )


def _is_a_dependency(check_class: type) -> bool:
    is_ours = any(f"{base.__module__}.".startswith(OURS) for base in check_class.__mro__)
    return is_ours and not issubclass(check_class, MENDED_BY_A_RESTART)
