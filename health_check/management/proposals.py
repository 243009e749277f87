"""What ``manage.py health_init`` proposes: what to add to a site, from what its settings say."""

from __future__ import annotations

import json
import pathlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from health_check.checks import mail
from health_check.compat.declarations import written_entry
from health_check.conf import settings as health_check_settings
from health_check.registry.endpoints import walk

MIDDLEWARE = "health_check.middleware.HealthCheckMiddleware"

CREDENTIALS = "/etc/prometheus/health.token"
"""Where Prometheus finds its token."""

BACKENDS_WITHOUT_SERVER = ("console", "locmem", "dummy", "filebased")
"""Mail backends that no check can say anything of."""

Entry = tuple[str, dict[str, Any]]
"""An entry of ``checks``: a name and options."""


def checks() -> list[Entry]:
    """Return the checks that are worth having on this site, as entries of an endpoint."""
    aliased = [*_caches(), *_databases(), ("Disk", "default"), *_mail(), ("Memory", "default"), *_storages()]
    celery = "celery" in sys.modules or hasattr(settings, "CELERY_BROKER_URL")
    return [
        *((name, {} if alias == "default" else {"alias": alias}) for name, alias in aliased),
        *([("celery.Ping", {"critical_service": False})] if celery else []),
    ]


def extras() -> list[str]:
    """Return the extras of the package that these checks need."""
    return sorted({name.partition(".")[0] for name, _ in checks() if "." in name})


def _caches() -> Iterator[tuple[str, str]]:
    for alias, cache in settings.CACHES.items():
        if not str(cache.get("BACKEND", "")).endswith(".DummyCache"):
            yield "Cache", alias


def _databases() -> Iterator[tuple[str, str]]:
    for alias, database in connections.settings.items():
        if database["ENGINE"] != "django.db.backends.dummy":
            yield "Database", alias


def _mail() -> Iterator[tuple[str, str]]:
    mailers = getattr(settings, "MAILERS", None)
    if not isinstance(mailers, Mapping):
        mailers = {"default": {"BACKEND": settings.EMAIL_BACKEND}}
    for alias, mailer in mailers.items():
        backend = str(mailer.get("BACKEND", ""))
        if mail.has_settings() and not any(f".{name}." in backend for name in BACKENDS_WITHOUT_SERVER):
            yield "Mail", alias


def _storages() -> Iterator[tuple[str, str]]:
    for alias, storage in settings.STORAGES.items():
        backend = str(storage.get("BACKEND", ""))
        name = "s3.S3" if backend.startswith("storages.backends.s3") else "Storage"
        is_static = alias == "staticfiles" and name == "Storage"
        is_plain = backend.endswith(".FileSystemStorage") and "OPTIONS" not in storage
        if not is_static and (settings.MEDIA_ROOT or not is_plain):
            yield name, alias


def render(*, target: str, folder: str) -> str:
    """Return what to add to the site, for a person to read.

    Args:
        target: ``HOST:PORT`` at which the site is scraped and probed.
        folder: Where the files for Prometheus, Grafana and Alertmanager are, or would be, written.
    """
    return "\n\n".join(part.strip("\n") for part in _parts(target, folder) if part) + "\n"


def _parts(target: str, folder: str) -> Iterator[str]:
    found = extras()
    if found:
        yield f"# Once\npip install 'django-health-exporter[{','.join(found)}]'"
    yield f"# settings.py\n{_settings()}"
    yield f"# urls.py{_replaced()}\n{_urls()}"
    if "*" not in settings.ALLOWED_HOSTS:
        hosts = ", ".join(settings.ALLOWED_HOSTS) or "empty: with DEBUG only localhost and 127.0.0.1"
        yield HOSTS.format(hosts=hosts, target=target)
    yield DOCKER.format(target=target)
    yield KUBERNETES.format(port=target.rpartition(":")[2])
    base = pathlib.Path(str(getattr(settings, "BASE_DIR", ".")))
    yield SYSTEMD.format(base=base, module=settings.SETTINGS_MODULE, python=sys.executable)
    yield MONITORING.format(folder=folder, token=TOKEN if needs_token() else "")


def _settings() -> str:
    lines = []
    if "health_check" not in settings.INSTALLED_APPS:
        lines.append('INSTALLED_APPS += ["health_check"]  # brings /metrics, too')
    if MIDDLEWARE not in settings.MIDDLEWARE:
        lines.append("# answers probes that come by IP address or plain HTTP")
        lines.append(f'MIDDLEWARE.insert(0, "{MIDDLEWARE}")')
    return "\n".join(lines) or "# There is nothing to add."


def _urls() -> str:
    found = checks()
    entries = "".join(f"            {_literal(entry)},\n" for entry in found)
    names = {name for name, _ in found}
    without = "".join(line for missing, line in WITHOUT.items() if not names & missing)
    ready = ", ".join(_literal(entry) for entry in found if entry[0] == "Database")
    return URLS.format(checks=entries + without, ready=ready)


def _replaced() -> str:
    """Return what the proposed URLs are to take the place of: of two routes, the second would never be served."""
    try:
        there = [endpoint for endpoint in walk(health_check_settings.URLCONF) if endpoint.route in ROUTES]
    except Exception:  # it is there for sites that do not work yet
        return ""
    if not there:
        return ""
    names = "".join(f"\n#   {endpoint.url_name or endpoint.route}" for endpoint in there)
    return f"\n# In place of the endpoints that are there, which hide these:{names}"


def _literal(entry: Entry) -> str:
    """Return an entry as it is written in Python, in double quotes."""
    name, options = entry
    return written_entry(name, {k: json.dumps(v) if isinstance(v, str) else repr(v) for k, v in options.items()})


def needs_token() -> bool:
    """Return whether Prometheus is let in with a token alone."""
    try:
        access = health_check_settings.ACCESS
    except ImproperlyConfigured:  # a system check says so
        return False
    return bool(access.get("TOKENS")) and access.get("OPEN") is False


WITHOUT = {
    frozenset({"Mail"}): "            # without Mail: no mail server is set up\n",
    frozenset({"Storage", "s3.S3"}): "            # without Storage: MEDIA_ROOT is not set\n",
}
"""What the proposal says where none of these checks is worth having."""

ROUTES = ("health/", "health/live/", "health/ready/")
"""Where the proposed endpoints are."""

URLS = """\
from django.urls import include, path
from health_check.views import HealthCheckView

urlpatterns += [
    path(
        "health/",
        HealthCheckView.as_view(checks=[
{checks}        ]),
        name="health",
    ),
    path(
        "health/live/",
        HealthCheckView.as_view(checks=[], liveness=True),
        name="live",
    ),
    path(
        "health/ready/",
        HealthCheckView.as_view(
            checks=[{ready}],
            readiness=True,
            warnings_as_errors=False,
            error_status_code=503,
        ),
        name="ready",
    ),
    path("", include("health_check_prometheus.urls")),
]"""

HOSTS = """\
# ALLOWED_HOSTS is {hosts}.
# Load balancers, Kubernetes and Prometheus often ask by IP address. The
# middleware answers probes all the same; a scrape of http://{target}/metrics
# needs HEALTH_CHECK = {{"EARLY_METRICS": True}}, or the address in ALLOWED_HOSTS."""

DOCKER = """\
# Dockerfile
HEALTHCHECK --timeout=10s \\
  CMD ["python", "-m", "health_check.ping", "http://{target}/health/live/"]"""

KUBERNETES = """\
# Kubernetes: probes of the container
startupProbe:
  httpGet: {{path: /health/live/, port: {port}}}
  periodSeconds: 2
  failureThreshold: 30
livenessProbe:
  httpGet: {{path: /health/live/, port: {port}}}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {{path: /health/ready/, port: {port}}}
  periodSeconds: 10
  timeoutSeconds: 7"""

SYSTEMD = """\
# /etc/systemd/system/health-exporter.service: beside Celery workers, which
# serve no HTTP: /metrics on port 9808
[Service]
WorkingDirectory={base}
Environment=DJANGO_SETTINGS_MODULE={module}
ExecStart={python} manage.py health_exporter
Restart=always

[Install]
WantedBy=multi-user.target"""

MONITORING = """\
# Prometheus, Alertmanager, Grafana, with the files that
# `manage.py health_init --write {folder}` writes{token}
prometheus --config.file={folder}/prometheus/prometheus.yml
alertmanager --config.file={folder}/alertmanager/alertmanager.yml"""

TOKEN = f"""
# HEALTH_CHECK['ACCESS'] closes /metrics: they read one of its TOKENS from
# {CREDENTIALS}"""
