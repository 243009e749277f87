"""Where a site may have to run: without what Windows lacks, without a folder to write to, on any terminal."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from tests.support.repetitions import long
from tests.support.servers import clean_environment
from tests.support.services import require

pytestmark = pytest.mark.server

SETTINGS = """
SECRET_KEY = {secret!r}
ROOT_URLCONF = "bare_urls"
INSTALLED_APPS = ["django.contrib.contenttypes", "health_check", "health_check_prometheus"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
HEALTH_CHECK = {health_check}
"""

URLS = """
from django.urls import path
from health_check.views import HealthCheckView
view = HealthCheckView.as_view(checks=["health_check.Memory"], readiness=True)
urlpatterns = [path("health/", view, name="health")]
"""


def site(folder: pathlib.Path, key: str = "x", health_check: str = "{}") -> dict[str, str]:
    """Write a site without anything, and return the environment of its processes."""
    (folder / "bare_settings.py").write_text(SETTINGS.format(secret=key, health_check=health_check))
    (folder / "bare_urls.py").write_text(URLS)
    environment = {name: value for name, value in clean_environment().items() if name not in ("HOME", "TMPDIR")}
    paths = os.pathsep.join([str(folder), environment["PYTHONPATH"]])
    return {**environment, "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "bare_settings"}


def ran(command: list[str], folder: pathlib.Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


WINDOWS = """
import sys, django, psutil, prometheus_client, opentelemetry.sdk.trace, asyncio, multiprocessing, subprocess, tempfile
import concurrent.futures.thread, django.core.management, django.core.servers.basehttp, django.db.backends.sqlite3.base
import os, signal, socket, time
for name in ("register_at_fork fork geteuid getuid getegid getgid getgroups uname getloadavg chown lchown fchown "
             "fchmod mkfifo killpg getpgid setsid statvfs O_NOFOLLOW O_NONBLOCK O_CLOEXEC O_DIRECTORY").split():
    delattr(os, name)
for name in "SIGKILL SIGALRM SIGHUP SIGUSR1 SIGUSR2 SIGSTOP SIGCONT pthread_kill setitimer".split():
    delattr(signal, name)
del socket.AF_UNIX, time.tzset
for name in ("fcntl", "grp", "pwd", "resource", "termios"):
    sys.modules[name] = None
django.setup()
import importlib, pkgutil, health_check
for module in pkgutil.walk_packages(health_check.__path__, "health_check."):
    if not module.name.startswith(("health_check.contrib", "health_check.demo", "health_check.compat")):
        importlib.import_module(module.name)
from django.core.management import call_command
from django.test import Client
call_command("check")
for _ in range(2):
    response = Client().get("/health/", {"format": "json"}, headers={"Host": "localhost"})
    assert (response.status_code, response.json()) == (200, {"Memory": "OK"}), response.content
call_command("health_check")
call_command("health_drain")
call_command("health_drain", undo=True)
call_command("health_exporter", once=True)
from health_check.monitor import runtime
client = runtime.get().monitor.store_client
assert client.up and client.shared, client.trouble
"""
"""Takes away what Python lacks on Windows, as far as the standard library can do without, and uses the site."""


def test_windows__nothing_is_missed(tmp_path: pathlib.Path) -> None:
    """What other systems have and Windows has not is not needed, not even for the store that is the default."""
    environment = {**site(tmp_path), "TMPDIR": str(tmp_path)}
    settings = tmp_path / "bare_settings.py"
    settings.write_text(settings.read_text() + "ALLOWED_HOSTS = ['localhost']\n")
    done = ran([sys.executable, "-c", WINDOWS], tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


READ_ONLY = """
for place in / /tmp /var/tmp /usr/tmp /dev/shm "$PWD"; do
    mountpoint -q "$place" && { mount -o remount,bind,ro "$place" || exit 77; }
done
touch "$PWD/written" 2>/dev/null && exit 78
exec "$@"
"""
"""Makes the file systems of its own mount namespace read-only."""

COMMANDS = [
    ["check"],
    ["check", "--deploy"],
    ["migrate", "--no-input"],
    ["health_check"],
    ["health_check", "--list"],
    ["health_exporter", "--once"],
]


def read_only(*, without_name: bool) -> list[str]:
    """Return what runs a program that can write nothing, as a user who has no name if wanted."""
    if os.geteuid() != 0:
        pytest.skip("Only root can make file systems read-only")
    capability = "-all,+dac_read_search"
    user = [
        require("setpriv", package="util-linux"),
        *("--reuid=47110", "--regid=47110", "--clear-groups"),
        *(f"--inh-caps={capability}", f"--ambient-caps={capability}"),
    ]
    unshare = [require("unshare", package="util-linux"), "--mount", "sh", "-c", READ_ONLY, "sh"]
    return [*unshare, *(user if without_name else [])]


@pytest.mark.parametrize("without_name", [True, False])
def test_read_only__commands_say_so(tmp_path: pathlib.Path, without_name: bool) -> None:
    """Without a folder for temporary files every command works, and says in a sentence what is missing."""
    environment = site(tmp_path)
    program = f"""
import sys, django
from django.core.management import ManagementUtility
for arguments in {COMMANDS!r}:
    print("---", *arguments, flush=True)
    try:
        ManagementUtility(["manage.py", *arguments]).execute()
    except SystemExit as error:
        print("exit", error.code)
from django.test import Client
print("---", Client().get("/health/", headers={{"Host": "localhost"}}).status_code)
from health_check.demo.__main__ import main
print("--- demo", main(["--port=0"]))
"""
    done = ran([*read_only(without_name=without_name), sys.executable, "-c", program], tmp_path, environment)
    if done.returncode in (77, 78):
        pytest.skip("No file system can be made read-only here")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Traceback" not in said
    assert "exit" not in done.stdout, said
    assert "health_check.W005" in said
    assert "no folder for temporary files can be written to: set TMPDIR" in said
    assert "The demo needs a folder for temporary files: set TMPDIR" in done.stderr
    assert "--- demo 2" in done.stdout


STORE = "{{'STORE': {{'BACKEND': 'health_check.stores.sqlite.SQLiteStore', 'OPTIONS': {{'path': {path!r}}}}}}}"

ANOTHER_USER = """
import os, django
from django.core.checks import run_checks
django.setup()
from health_check.stores import create_store
create_store().describe()
os.setgid(47110); os.setuid(47110)
for message in run_checks(tags=["health_check"], include_deployment_checks=True):
    print(message)
print(create_store().describe())
"""


def test_check__place_that_cannot_be_looked_at(tmp_path: pathlib.Path) -> None:
    """``manage.py check`` says what is wrong with the store's place, and goes on."""
    if os.geteuid() != 0:
        pytest.skip("Only root can become another user")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    health_check = STORE.format(path=str(closed / "folder" / "health.sqlite3"))
    environment = {**site(tmp_path, "x", health_check), "TMPDIR": tempfile.gettempdir()}
    done = ran([sys.executable, "-c", ANOTHER_USER], tmp_path, environment)
    assert done.returncode == 0, done.stderr
    assert "health_check.W005" in done.stdout
    assert "denied" in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", long("latin-1")])
def test_terminal__that_cannot_encode_the_output(tmp_path: pathlib.Path, encoding: str) -> None:
    """A label in any language and a help with an ellipsis are printed somehow: the exit code is that of the checks."""
    environment = {**site(tmp_path), "TMPDIR": str(tmp_path), "PYTHONIOENCODING": f"{encoding}:strict"}
    urls = tmp_path / "bare_urls.py"
    urls.write_text(urls.read_text().replace('"health_check.Memory"', '("health_check.Memory", {"name": "Память …"})'))
    for arguments in (["health_check"], ["health_exporter", "--once"], ["health_exporter", "--help"]):
        done = ran([sys.executable, "-m", "django", *arguments], tmp_path, environment)
        assert (done.returncode, "Error" in done.stderr) == (0, False), done.stderr
        assert r"\u2026" in done.stdout or encoding == "utf-8"
