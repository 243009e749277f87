"""What ``manage.py check`` prints, for a site with every mistake there is, and for one without."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

from tests.support.client import eventually, get
from tests.support.servers import ROOT, clean_environment, free_port, running

SETTINGS = """
SECRET_KEY = "tests"
ROOT_URLCONF = "shop_urls"
INSTALLED_APPS = ["health_check"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
STORE = "health_check.stores.sqlite.SQLiteStore"
"""

GOOD_URLS = """
from django.urls import include, path
from health_check.views import HealthCheckView

urlpatterns = [
    path("health/", include("health_check.urls")),
    path("ready/", HealthCheckView.as_view(checks=["health_check.Database"], readiness=True), name="ready"),
]
"""

BAD_SETTINGS = """
BASE_DIR = "/srv/shop/releases/20261127"
OPEN_VIEWS = ["health_check_home"]
INSTALLED_APPS = ["health_check", "health_check.db"]
HEALTH_CHECK = {
    "EXPORTERS": ["promethues"], "TIMEOUT": 8, "MAX_AGE": 3, "MAX_CONCURRENCY": 2,
    "WAIT": -1, "TIMEOUTS": 1, "SUBSETS": {"some": ["NoSuchCheck"]},
    "STORE": {"BACKEND": STORE, "OPTIONS": {"path": "/no/such/folder/health.sqlite3"}},
}
"""

BAD_URLS = """
from django.urls import path
from health_check.views import HealthCheckView


class Old(HealthCheckView):
    def get_checks(self):
        return []


database = "health_check.Database"
urlpatterns = [
    path("live/", HealthCheckView.as_view(checks=[database, "health_check.Cache"], liveness=True), name="live"),
    path("ready/", HealthCheckView.as_view(checks=[("health_check.Mail", {"scope": "fleet"}), "health_check.Storage"])),
    path("a/", HealthCheckView.as_view(checks=[(database, {"timeout": 2})]), name="same"),
    path("a/", print),
    path("b/", Old.as_view(checks=["no.such.Check"]), name="same"),
    path("c/", HealthCheckView.as_view(checks=[("health_check.Disk", {"name": "Disk of 10.0.0.7", "max_age": 7200})])),
    path("d/", HealthCheckView.as_view(checks=[("health_check.Disk", {"path": "/", "name": "Mail"})])),
    path("e/", HealthCheckView.as_view(checks=[(database, {"alias": "nowhere"})])),
]
"""

OF_OTHER_SITES = {"W000", "W004", "W011", "W019", "W040", "W042", "W044"}
"""What this site cannot have besides: another store, no endpoint, another distribution, other middleware."""


def site(folder: pathlib.Path, settings: str, urls: str) -> dict[str, str]:
    """Write a site, and return the environment of its commands."""
    (folder / "shop_settings.py").write_text(SETTINGS + settings)
    (folder / "shop_urls.py").write_text(urls)
    path = f"{clean_environment()['PYTHONPATH']}:{folder}"
    return {"PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "shop_settings", "TMPDIR": str(folder)}


def check(
    folder: pathlib.Path, settings: str, urls: str, *arguments: str, command: str = "check"
) -> subprocess.CompletedProcess[str]:
    """Run a command for a site."""
    environment = site(folder, settings, urls)
    return subprocess.run(
        [sys.executable, "-m", "django", command, *arguments],
        cwd=folder.parent,
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def numbers(text: str) -> set[str]:
    """Return the numbers of the messages of ours in what is printed."""
    return set(re.findall(r"health_check\.([EW]\d{3})", text))


def test_check__site_in_order(tmp_path: pathlib.Path) -> None:
    """A site as the documentation has it hears nothing, however strict the command is told to be."""
    done = check(tmp_path, "", GOOD_URLS, "--fail-level", "WARNING", "--tag", "health_check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no issues" in done.stdout


def test_check__every_mistake(tmp_path: pathlib.Path) -> None:
    """Every message is printed with a hint, errors make the command fail, and nothing is a traceback."""
    (tmp_path / "health_check").mkdir()
    (tmp_path / "health_check" / "__init__.py").touch()
    done = check(tmp_path, BAD_SETTINGS, BAD_URLS, "--deploy", "--tag", "health_check")
    assert done.returncode == 1
    assert numbers(done.stderr) == documented() - OF_OTHER_SITES
    lines = done.stderr.splitlines()
    ours = [number for number, line in enumerate(lines) if "(health_check." in line]
    assert all(lines[number + 1].startswith("\tHINT: ") for number in ours)
    assert "Traceback" not in done.stderr


def test_endpoints_with_mistakes__keep_no_command_from_its_work(tmp_path: pathlib.Path) -> None:
    """What is wrong with checks and endpoints is said, and the site migrates and is served all the same."""
    done = check(tmp_path, "", BAD_URLS, "--no-input", command="migrate")
    assert done.returncode == 0, done.stderr
    port = free_port()
    command = [sys.executable, "-m", "django", "runserver", "--noreload", f"127.0.0.1:{port}"]
    with running(command, tmp_path, site(tmp_path, 'ALLOWED_HOSTS = ["127.0.0.1"]', BAD_URLS)):
        answer = eventually(lambda: get(f"http://127.0.0.1:{port}/b/?format=json"), what="an answer")
    assert (answer.status, "no.such.Check" in answer.body) == (500, True)


def documented() -> set[str]:
    """Return the numbers of the messages that the documentation lists."""
    rows = re.findall(
        r"^\| `health_check\.([EW]\d{3})` \| .+ \| .+ \|$", (ROOT / "docs/reference/settings.md").read_text(), re.M
    )
    assert len(rows) == len(set(rows))
    return set(rows)


def test_documentation__lists_every_message() -> None:
    """Each number is documented with what it says and what to do, and none that there is not."""
    folder = ROOT / "health_check" / "management" / "system_checks"
    source = "".join(file.read_text() for file in folder.glob("*.py"))
    assert documented() == {"E001", *re.findall(r'"(W\d{3})"', source)}
