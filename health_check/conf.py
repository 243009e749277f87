"""The settings: the dict ``HEALTH_CHECK``, read live."""

from __future__ import annotations

import datetime
import difflib
import functools
import math
import os
import socket
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from health_check.redaction import shown

LEGACY = {
    "DISABLE_THREADING": "set HEALTH_CHECK['MAX_CONCURRENCY'] to 0 instead of DISABLE_THREADING",
    "DISK_USAGE_MAX": "give health_check.Disk the option max_disk_usage_percent",
    "MEMORY_MIN": "give health_check.Memory the option min_gibibytes_available",
    "SUBSETS": "mount one HealthCheckView per subset in urls.py, each with its own `checks`",
}
"""Settings of django-health-check 3.x that still apply, and what replaces them."""

REMOVED = {
    "MAIL_TIMEOUT": "give health_check.Mail the option timeout",
}
"""Settings of django-health-check 3.x that no longer do anything, and what replaces them."""

MEMORY_STORE = "health_check.stores.memory.MemoryStore"
SQLITE_STORE = "health_check.stores.sqlite.SQLiteStore"

DEFAULT_MAX_AGE_SECONDS = 10.0
"""For how long a result counts as fresh where nothing is said, on a site that is neither debugged nor tested."""

DEFAULT_DURATION_BUCKETS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0)
"""The upper bounds by which durations are counted, in seconds."""

MOST_DURATION_BUCKETS = 50
"""How many there may be: each is a series for each check."""

MOST_RELEASE_LETTERS = 200
"""How long the name of a release may be."""

_ABSENT: Any = object()


def seconds(value: object) -> float | None:
    """Return a number of seconds or a timedelta as a float; None for what is neither, negative or not finite."""
    if isinstance(value, datetime.timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


class HealthCheckSettings:
    """The settings as live properties, each with its default.

    Every property raises ImproperlyConfigured, with the remedy, where the value cannot be used.
    """

    @property
    def TIMEOUT(self) -> float:
        """The time budget of a check that states none of its own, in seconds; default 5."""
        return self._seconds("TIMEOUT", 5.0, above_zero=True)

    @property
    def MAX_AGE(self) -> float:
        """For how many seconds a result counts as fresh where a check states nothing itself.

        Default 10; with ``DEBUG`` 1; inside Django's test environment 0, which runs checks at every reading.
        """
        if in_test_environment():
            return self._seconds("MAX_AGE", 0.0)
        return self._seconds("MAX_AGE", 1.0 if django_settings.DEBUG else DEFAULT_MAX_AGE_SECONDS)

    @property
    def MAX_AGE_OVERRIDES_CHECKS(self) -> bool:
        """Whether the default above rules over what checks say: in a test suite nothing may outlive its test."""
        return in_test_environment() and "MAX_AGE" not in _configured()

    @property
    def MAX_CONCURRENCY(self) -> int:
        """How many sync checks run at once, stuck ones not counted; default 32.

        0, the default inside Django's test environment, runs checks in the calling thread, without deadline.
        """
        configured = _configured()
        if "MAX_CONCURRENCY" not in configured and legacy("DISABLE_THREADING"):
            return 0
        value = configured.get("MAX_CONCURRENCY", 0 if in_test_environment() else 32)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise _unusable("MAX_CONCURRENCY", value, "a whole number of threads, or 0 to use the calling thread")
        return value

    @property
    def WAIT(self) -> float:
        """For how many seconds a reader waits for a new result when an older one can still be shown; default 0.8."""
        return self._seconds("WAIT", 0.8)

    @property
    def SCRAPE_WAIT(self) -> float:
        """For how many seconds a scrape of ``/metrics`` waits for results at most; default 2."""
        return self._seconds("SCRAPE_WAIT", 2.0)

    @property
    def WARNINGS_AS_ERRORS(self) -> bool:
        """Whether a warning of a critical check makes its endpoint fail; default True."""
        return self._flag("WARNINGS_AS_ERRORS", default=True)

    @property
    def URLCONF(self) -> str:
        """The URLconf that is searched for endpoints; default ``ROOT_URLCONF``."""
        value = _configured().get("URLCONF", _ABSENT)
        if value is _ABSENT:
            root = getattr(django_settings, "ROOT_URLCONF", None)
            if root is None:
                raise ImproperlyConfigured("There is no ROOT_URLCONF: set it, or HEALTH_CHECK['URLCONF'].")
            return str(root)
        if not isinstance(value, str):
            raise _unusable("URLCONF", value, "the dotted path of a URLconf module")
        return value

    @property
    def STORE(self) -> Mapping[str, Any]:
        """Where records are kept: ``{"BACKEND": dotted path, "OPTIONS": {…}}``.

        Default an SQLite file that all processes of the host share; inside Django's test environment memory.
        """
        value = _configured().get("STORE", {"BACKEND": MEMORY_STORE if in_test_environment() else SQLITE_STORE})
        usable = isinstance(value, Mapping) and isinstance(value.get("BACKEND"), str)
        if not usable or not isinstance(value.get("OPTIONS", {}), Mapping) or set(value) - {"BACKEND", "OPTIONS"}:
            raise _unusable("STORE", value, f'a dict like {{"BACKEND": "{SQLITE_STORE}", "OPTIONS": {{}}}}')
        return {"OPTIONS": {}, **value}

    @property
    def SITE(self) -> str:
        """The name of the site, by which its records are found; default empty.

        Without one, the name is derived from the settings module, ``BASE_DIR``, and where the databases and caches are.
        """
        value = _configured().get("SITE", "")
        if not isinstance(value, str):
            raise _unusable("SITE", value, 'the name of the site, "shop" say')
        return value

    @property
    def RELEASE(self) -> str:
        """The release of the site: a result of another release is not shown.

        Default ``service.version`` of the environment's OTEL_RESOURCE_ATTRIBUTES, else empty.
        """
        value = _configured().get("RELEASE", _ABSENT)
        if value is _ABSENT:
            return otel_attribute("service.version")
        if not isinstance(value, str) or len(value) > MOST_RELEASE_LETTERS:
            raise _unusable("RELEASE", value, f'a text of at most {MOST_RELEASE_LETTERS} letters, "1.4.2" say')
        return value

    @property
    def ENVIRONMENT(self) -> str:
        """Where the site runs, ``"production"`` say, for people; it decides nothing.

        Default ``deployment.environment.name`` of the environment's OTEL_RESOURCE_ATTRIBUTES, else empty.
        """
        value = _configured().get("ENVIRONMENT", _ABSENT)
        if value is _ABSENT:
            return otel_attribute("deployment.environment.name") or otel_attribute("deployment.environment")
        if not isinstance(value, str) or len(value) > MOST_RELEASE_LETTERS:
            raise _unusable("ENVIRONMENT", value, f'a text of at most {MOST_RELEASE_LETTERS} letters, "production" say')
        return value

    @property
    def TRACE_URL(self) -> str:
        """The address of the page that shows a trace, with ``{trace_id}`` in place of its id; default none."""
        value = _configured().get("TRACE_URL", "")
        usable = isinstance(value, str) and value.startswith(("http://", "https://")) and "{trace_id}" in value
        if not usable and not (isinstance(value, str) and not value):
            raise _unusable("TRACE_URL", value, 'an address like "https://tempo.example.com/trace/{trace_id}"')
        return str(value)

    @property
    def ACCESS(self) -> Mapping[str, Any]:
        """Who may see endpoints and metrics, and what of them: a dict; default everybody sees everything."""
        value = _configured().get("ACCESS", {})
        if not isinstance(value, Mapping):
            raise _unusable("ACCESS", "…", 'a dict like {"DETAILS": "authorized"}')
        return value

    @property
    def COMPAT(self) -> str | None:
        """Whose JSON keys and word for "OK" to use: of django-health-check ``"3.20"``; default None, our own."""
        value = _configured().get("COMPAT")
        if value is not None and not (isinstance(value, str) and value == "3.20"):
            raise _unusable("COMPAT", value, '"3.20", or leave it out')
        return value

    @property
    def EXPORTERS(self) -> tuple[str, ...]:
        """The exporters to load: ``"prometheus"``, ``"opentelemetry"``, or a package's name; default Prometheus."""
        value = _configured().get("EXPORTERS", ["prometheus"])
        if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
            raise _unusable("EXPORTERS", value, 'a list like ["prometheus", "opentelemetry"]')
        return tuple(value)

    @property
    def EARLY_METRICS(self) -> bool:
        """Whether ``HealthCheckMiddleware`` answers the metrics page, too; default False."""
        return self._flag("EARLY_METRICS", default=False)

    @property
    def SCHEDULER(self) -> bool:
        """Whether each server process runs checks as their results expire, so that readers do not wait.

        Default False.
        """
        return self._flag("SCHEDULER", default=False)

    @property
    def DURATION_BUCKETS(self) -> tuple[float, ...]:
        """The upper bounds, in seconds, of the histogram of run durations; default from 5 ms to 10 s."""
        configured = _configured()
        if "DURATION_BUCKETS" not in configured:
            return DEFAULT_DURATION_BUCKETS
        value = configured["DURATION_BUCKETS"]
        numbers = [seconds(bound) for bound in value] if isinstance(value, list | tuple) else []
        bounds = tuple(bound for bound in numbers if bound)
        ascending = len(bounds) == len(numbers) and list(bounds) == sorted(set(bounds))
        if not ascending or not 0 < len(bounds) <= MOST_DURATION_BUCKETS:
            remedy = f"a list of at most {MOST_DURATION_BUCKETS} numbers of seconds above 0, in ascending order"
            raise _unusable("DURATION_BUCKETS", value, remedy)
        return bounds

    @property
    def TRACES(self) -> str:
        """Which rounds of runs the OpenTelemetry exporter traces: ``"all"`` (default), ``"failures"`` or ``"none"``.

        With ``"failures"`` those with a check that was not ok the time before; if one fails that was ok, it is
        traced afterwards.
        """
        value = _configured().get("TRACES", "all")
        if not isinstance(value, str) or value not in ("all", "failures", "none"):
            raise _unusable("TRACES", value, '"all", "failures" or "none"')
        return str(value)

    @property
    def OTEL_METRICS(self) -> str:
        """Which processes send OpenTelemetry metrics of checks, for which they run what is due.

        ``"servers"`` (default): those that have answered a request, and ``health_exporter``; ``"all"``, so Celery
        workers and shells, too; ``"none"``.
        """
        value = _configured().get("OTEL_METRICS", "servers")
        if not isinstance(value, str) or value not in ("servers", "all", "none"):
            raise _unusable("OTEL_METRICS", value, '"servers", "all" or "none"')
        return value

    @staticmethod
    def _flag(key: str, *, default: bool) -> bool:
        value = _configured().get(key, default)
        if not isinstance(value, bool):
            raise _unusable(key, value, "True or False")
        return value

    @staticmethod
    def _seconds(key: str, default: float, *, above_zero: bool = False) -> float:
        value = _configured().get(key, default)
        number = seconds(value)
        if number is None or (above_zero and number == 0):
            raise _unusable(key, value, f"a number of seconds {'above 0' if above_zero else 'from 0 up'}")
        return number


settings = HealthCheckSettings()


def site_name() -> str:
    """Return what people call the site: ``HEALTH_CHECK["SITE"]``, else what OTEL_SERVICE_NAME says, else empty."""
    of_environment = os.environ.get("OTEL_SERVICE_NAME", "")[:MOST_RELEASE_LETTERS]
    return settings.SITE or of_environment or otel_attribute("service.name")


def host_name() -> str:
    """Return what this host is called wherever it is named: the option ``host`` of the store, else the host name."""
    try:
        named = settings.STORE["OPTIONS"].get("host") if "STORE" in _configured() else None
    except ImproperlyConfigured:  # which is reported elsewhere: a run has an outcome all the same
        named = None
    return str(named or socket.gethostname())


def otel_attribute(name: str) -> str:
    """Return an attribute that the environment gives to what runs in it; empty where there is none.

    Its variable OTEL_RESOURCE_ATTRIBUTES is a list of ``name=value`` with commas between, percent-encoded.
    Source: https://opentelemetry.io/docs/specs/otel/resource/sdk/
    """
    pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((unquote(value.strip()) for key, _, value in pairs if key.strip() == name), "")[:MOST_RELEASE_LETTERS]


KNOWN = tuple(name for name in vars(HealthCheckSettings) if name.isupper() and name != "MAX_AGE_OVERRIDES_CHECKS")
"""The names of all settings."""


def in_test_environment() -> bool:
    """Return whether Django's ``setup_test_environment()`` is in force: a test suite is running."""
    utils = sys.modules.get("django.test.utils")  # not mail.outbox: any mail of the locmem backend makes that
    return utils is not None and hasattr(utils._TestState, "saved_data")  # noqa: SLF001 - where Django keeps it


def legacy(key: str, default: Any = None) -> Any:
    """Return a setting of django-health-check 3.x, or the default where it is not set; warns that it is deprecated."""
    value = _configured().get(key, _ABSENT)
    if value is _ABSENT:
        return default
    if value is not default:
        warnings.warn(f"HEALTH_CHECK['{key}'] is deprecated: {LEGACY[key]}.", DeprecationWarning, stacklevel=3)
    return value


def subsets() -> Mapping[str, frozenset[str]]:
    """Return the subsets of checks by name, as ``HEALTH_CHECK["SUBSETS"]`` of django-health-check 3.x has them.

    Raises:
        ImproperlyConfigured: If it is no dict of lists of names.
    """
    value = legacy("SUBSETS", {})
    usable = isinstance(value, Mapping) and all(
        isinstance(names, list | tuple | set | frozenset) for names in value.values()
    )
    if not usable:
        raise _unusable("SUBSETS", value, 'a dict of lists of checks by name, as in {"ready": ["Database"]}')
    return {str(name): frozenset(map(str, names)) for name, names in value.items()}


def legacy_number(key: str, default: float | None = None) -> float | None:
    """Return a legacy setting that holds a number, or None for "never"; the default where it is not set.

    Raises:
        ImproperlyConfigured: If it is not a number.
    """
    value = legacy(key, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise _unusable(key, value, "a number, or None")
    return value


def problems() -> list[str]:
    """Return what is wrong with the settings, a sentence each."""
    found = []
    looks: list[Callable[[], object]] = [*(functools.partial(getattr, settings, name) for name in KNOWN), subsets]
    for look in looks:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # a system check reports these
                look()
        except ImproperlyConfigured as error:
            if str(error) not in found:
                found.append(str(error))
    return found


def unknown() -> list[str]:
    """Return a sentence for each key of the settings that does nothing, with the nearest one that does."""
    keys = sorted(configured_keys() - {*KNOWN, *LEGACY, *REMOVED}, key=str)
    return [f"HEALTH_CHECK[{key!r}] is not a setting of django-health-exporter.{nearest(key, KNOWN)}" for key in keys]


def configured_keys() -> frozenset[str]:
    """Return the keys of the settings; none if they are no dict."""
    try:
        return frozenset(_configured())
    except ImproperlyConfigured:
        return frozenset()


def nearest(name: object, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for a misspelt name, or nothing where no known one is like it."""
    by_upper = {word.upper(): word for word in known}
    matches = difflib.get_close_matches(str(name).upper(), by_upper, n=1)
    return f" Did you mean {by_upper[matches[0]]!r}?" if matches else ""


class _Former(MutableMapping[str, Any]):
    """What ``health_check.conf.HEALTH_CHECK`` was in django-health-check 3.x: the settings with their defaults."""

    _DEFAULTS: Mapping[str, Any] = {
        "DISK_USAGE_MAX": 90,
        "MEMORY_MIN": 100,
        "WARNINGS_AS_ERRORS": True,
        "SUBSETS": {},
        "DISABLE_THREADING": False,
    }

    def _all(self) -> dict[str, Any]:
        return {**self._DEFAULTS, **_configured()}

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        django_settings.HEALTH_CHECK = {**_configured(), key: value}

    def __delitem__(self, key: str) -> None:
        django_settings.HEALTH_CHECK = {name: value for name, value in _configured().items() if name != key}

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def __getattr__(name: str) -> Any:
    if name != "HEALTH_CHECK":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "health_check.conf.HEALTH_CHECK is deprecated: use django.conf.settings.HEALTH_CHECK.",
        DeprecationWarning,
        stacklevel=2,
    )
    return _Former()


def _configured() -> Mapping[str, Any]:
    value = getattr(django_settings, "HEALTH_CHECK", {})
    if type(value) is not dict and not isinstance(value, Mapping):  # the former costs less: it is read all the time
        raise ImproperlyConfigured(f"HEALTH_CHECK is {shown(value)}: use a dict of settings.")
    return value


def _unusable(key: str, value: object, remedy: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"HEALTH_CHECK[{key!r}] is {shown(value)}: use {remedy}.")
