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
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar
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

MOST_LETTERS = 200
"""How long the name of a release, a site or an environment may be."""

_ABSENT: Any = object()
_NOTHING: Mapping[str, Any] = {}

T = TypeVar("T")


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


def _configured() -> Mapping[str, Any]:
    value = getattr(django_settings, "HEALTH_CHECK", _NOTHING)
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"HEALTH_CHECK is {shown(value)}: use a dict of settings.")
    return value


def _unusable(key: str, value: object, remedy: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"HEALTH_CHECK[{key!r}] is {shown(value)}: use {remedy}.")


def in_test_environment() -> bool:
    """Return whether Django's ``setup_test_environment()`` is in force: a test suite is running."""
    utils = sys.modules.get("django.test.utils")  # not mail.outbox: any mail of the locmem backend makes that
    return utils is not None and hasattr(utils._TestState, "saved_data")  # noqa: SLF001 - where Django keeps it


def otel_attribute(name: str) -> str:
    """Return an attribute that the environment gives to what runs in it; empty where there is none.

    Its variable OTEL_RESOURCE_ATTRIBUTES is a list of ``name=value`` with commas between, percent-encoded.
    Source: https://opentelemetry.io/docs/specs/otel/resource/sdk/
    """
    pairs = (pair.partition("=") for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","))
    return next((unquote(value.strip()) for key, _, value in pairs if key.strip() == name), "")[:MOST_LETTERS]


class Setting(Generic[T]):
    """A setting, read live.

    Args:
        default: What holds where the site says nothing, or a function that returns that.
        read: Returns what the site says as it is used; None if it cannot be.
        remedy: What to use then.
        is_secret: Whether what the site says must not be shown.
    """

    def __init__(
        self, default: T | Callable[[], T], read: Callable[[Any], T | None], remedy: str, *, is_secret: bool = False
    ) -> None:
        self._default = default
        self._read = read
        self._remedy = remedy
        self._is_secret = is_secret
        self._last: tuple[object, T] | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, settings: object, owner: type) -> T:
        default, last = self._default, self._last
        configured = getattr(django_settings, "HEALTH_CHECK", _NOTHING)
        if type(configured) is not dict:  # checked here, too: settings are read all the time
            configured = _configured()
        given = configured.get(self._name, default)
        if given is default:
            value: T = default() if callable(default) else default
            return value
        if last is not None and given is last[0]:
            return last[1]
        read = self._read(given)
        if read is None:
            raise _unusable(self._name, "…" if self._is_secret else given, self._remedy)
        if type(given) in _UNCHANGING:
            self._last = given, read
        return read


_UNCHANGING = (bool, int, float, str, datetime.timedelta)
"""Types of values that are read once: they cannot become others."""


def _kind(kind: type[T]) -> Callable[[object], T | None]:
    return lambda value: value if isinstance(value, kind) else None


def _above_zero(value: object) -> float | None:
    return seconds(value) or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and len(value) <= MOST_LETTERS else None


def _one_of(*words: str) -> Callable[[object], str | None]:
    return lambda value: value if isinstance(value, str) and value in words else None


def _default_max_age() -> float:
    if in_test_environment():
        return 0.0
    return 1.0 if django_settings.DEBUG else DEFAULT_MAX_AGE_SECONDS


def _default_max_concurrency() -> int:
    return 0 if in_test_environment() or legacy("DISABLE_THREADING") else 32


def _concurrency(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _root_urlconf() -> str:
    root = getattr(django_settings, "ROOT_URLCONF", None)
    if root is None:
        raise ImproperlyConfigured("There is no ROOT_URLCONF: set it, or HEALTH_CHECK['URLCONF'].")
    return str(root)


def _default_store() -> Mapping[str, Any]:
    return {"BACKEND": MEMORY_STORE if in_test_environment() else SQLITE_STORE, "OPTIONS": {}}


def _store(value: object) -> Mapping[str, Any] | None:
    if not isinstance(value, Mapping) or set(value) - {"BACKEND", "OPTIONS"}:
        return None
    store = {"OPTIONS": {}, **value}
    return store if isinstance(store.get("BACKEND"), str) and isinstance(store["OPTIONS"], Mapping) else None


def _trace_url(value: object) -> str | None:
    usable = isinstance(value, str) and value.startswith(("http://", "https://")) and "{trace_id}" in value
    return str(value) if usable else None


def _exporters(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) and name for name in value):
        return None
    return tuple(value)


def _duration_buckets(value: object) -> tuple[float, ...] | None:
    numbers = [seconds(bound) for bound in value] if isinstance(value, list | tuple) else []
    bounds = tuple(bound for bound in numbers if bound)
    ascending = len(bounds) == len(numbers) and list(bounds) == sorted(set(bounds))
    return bounds if ascending and 0 < len(bounds) <= MOST_DURATION_BUCKETS else None


class HealthCheckSettings:
    """The settings as live properties, each with its default.

    Every property raises ImproperlyConfigured, with the remedy, where the value cannot be used.
    """

    TIMEOUT = Setting(5.0, _above_zero, "a number of seconds above 0")
    """The time budget of a check that states none of its own, in seconds; default 5."""

    MAX_AGE = Setting(_default_max_age, seconds, "a number of seconds from 0 up")
    """For how many seconds a result counts as fresh where a check states nothing itself.

    Default 10; with ``DEBUG`` 1; inside Django's test environment 0, which runs checks at every reading.
    """

    MAX_CONCURRENCY = Setting(
        _default_max_concurrency, _concurrency, "a whole number of threads, or 0 to use the calling thread"
    )
    """How many sync checks run at once, stuck ones not counted; default 32.

    0, the default inside Django's test environment, runs checks in the calling thread, without deadline.
    """

    WAIT = Setting(0.8, seconds, "a number of seconds from 0 up")
    """For how many seconds a reader waits for a new result when an older one can still be shown; default 0.8."""

    SCRAPE_WAIT = Setting(2.0, seconds, "a number of seconds from 0 up")
    """For how many seconds a scrape of ``/metrics`` waits for results at most; default 2."""

    WARNINGS_AS_ERRORS = Setting(True, _kind(bool), "True or False")
    """Whether a warning of a critical check makes its endpoint fail; default True."""

    URLCONF = Setting(_root_urlconf, _kind(str), "the dotted path of a URLconf module")
    """The URLconf that is searched for endpoints; default ``ROOT_URLCONF``."""

    STORE = Setting(_default_store, _store, f'a dict like {{"BACKEND": "{SQLITE_STORE}", "OPTIONS": {{}}}}')
    """Where records are kept: ``{"BACKEND": dotted path, "OPTIONS": {…}}``.

    Default an SQLite file that all processes of the host share; inside Django's test environment memory.
    """

    SITE = Setting("", _kind(str), 'the name of the site, "shop" say')
    """The name of the site, by which its records are found; default empty.

    Without one, the name is derived from the settings module, ``BASE_DIR``, and where the databases and caches are.
    """

    RELEASE = Setting(
        functools.partial(otel_attribute, "service.version"),
        _text,
        f'a text of at most {MOST_LETTERS} letters, "1.4.2" say',
    )
    """The release of the site: a result of another release is not shown.

    Default ``service.version`` of the environment's OTEL_RESOURCE_ATTRIBUTES, else empty.
    """

    ENVIRONMENT = Setting(
        lambda: otel_attribute("deployment.environment.name") or otel_attribute("deployment.environment"),
        _text,
        f'a text of at most {MOST_LETTERS} letters, "production" say',
    )
    """Where the site runs, ``"production"`` say, for people; it decides nothing.

    Default ``deployment.environment.name`` of the environment's OTEL_RESOURCE_ATTRIBUTES, else empty.
    """

    TRACE_URL = Setting("", _trace_url, 'an address like "https://tempo.example.com/trace/{trace_id}"')
    """The address of the page that shows a trace, with ``{trace_id}`` in place of its id; default none."""

    ACCESS = Setting[Mapping[str, Any]](dict, _kind(Mapping), 'a dict like {"DETAILS": "authorized"}', is_secret=True)
    """Who may see endpoints and metrics, and what of them: a dict; default everybody sees everything."""

    COMPAT = Setting[str | None](None, _one_of("3.20"), '"3.20", or leave it out')
    """Whose JSON keys and word for "OK" to use: of django-health-check ``"3.20"``; default None, our own."""

    EXPORTERS = Setting(("prometheus",), _exporters, 'a list like ["prometheus", "opentelemetry"]')
    """The exporters to load: ``"prometheus"``, ``"opentelemetry"``, or a package's name; default Prometheus."""

    EARLY_METRICS = Setting(False, _kind(bool), "True or False")
    """Whether ``HealthCheckMiddleware`` answers the metrics page, too; default False."""

    SCHEDULER = Setting(False, _kind(bool), "True or False")
    """Whether each server process runs checks as their results expire, so that readers do not wait; default False."""

    DURATION_BUCKETS = Setting(
        DEFAULT_DURATION_BUCKETS,
        _duration_buckets,
        f"a list of at most {MOST_DURATION_BUCKETS} numbers of seconds above 0, in ascending order",
    )
    """The upper bounds, in seconds, of the histogram of run durations; default from 5 ms to 10 s."""

    TRACES = Setting("all", _one_of("all", "failures", "none"), '"all", "failures" or "none"')
    """Which rounds of runs the OpenTelemetry exporter traces: ``"all"`` (default), ``"failures"`` or ``"none"``.

    With ``"failures"`` those with a check that was not ok the time before; if one fails that was ok, it is
    traced afterwards.
    """

    OTEL_METRICS = Setting("servers", _one_of("servers", "all", "none"), '"servers", "all" or "none"')
    """Which processes send OpenTelemetry metrics of checks, for which they run what is due.

    ``"servers"`` (default): those that have answered a request, and ``health_exporter``; ``"all"``, so Celery
    workers and shells, too; ``"none"``.
    """

    @property
    def MAX_AGE_OVERRIDES_CHECKS(self) -> bool:
        """Whether the default of ``MAX_AGE`` rules over what checks say: in a test suite nothing outlives its test."""
        return in_test_environment() and "MAX_AGE" not in _configured()


settings = HealthCheckSettings()

KNOWN = tuple(name for name, value in vars(HealthCheckSettings).items() if isinstance(value, Setting))
"""The names of all settings."""


def site_name() -> str:
    """Return what people call the site: ``HEALTH_CHECK["SITE"]``, else what OTEL_SERVICE_NAME says, else empty."""
    of_environment = os.environ.get("OTEL_SERVICE_NAME", "")[:MOST_LETTERS]
    return settings.SITE or of_environment or otel_attribute("service.name")


def host_name() -> str:
    """Return what this host is called wherever it is named: the option ``host`` of the store, else the host name."""
    try:
        named = settings.STORE["OPTIONS"].get("host") if "STORE" in _configured() else None
    except ImproperlyConfigured:  # which is reported elsewhere: a run has an outcome all the same
        named = None
    return str(named or socket.gethostname())


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


def __getattr__(name: str) -> Any:
    """Supply the ``HEALTH_CHECK`` of django-health-check 3.x: the settings with their defaults."""
    if name != "HEALTH_CHECK":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(
        "health_check.conf.HEALTH_CHECK is deprecated: use django.conf.settings.HEALTH_CHECK.",
        DeprecationWarning,
        stacklevel=2,
    )
    if not hasattr(django_settings, "HEALTH_CHECK"):
        django_settings.HEALTH_CHECK = {}
    return ChainMap(_configured(), _DEFAULTS_OF_3X)  # type: ignore[arg-type]  # it is a dict, nearly always


_DEFAULTS_OF_3X = {
    "DISK_USAGE_MAX": 90,
    "MEMORY_MIN": 100,
    "WARNINGS_AS_ERRORS": True,
    "SUBSETS": {},
    "DISABLE_THREADING": False,
}
