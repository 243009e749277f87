"""A check whose constructor is slow and fails: whoever does not need it does not wait for it."""

from __future__ import annotations

import concurrent.futures
import pathlib
import sys
import time

import pytest

from tests.support.client import Answer, Lag, eventually, get
from tests.support.repetitions import long
from tests.support.servers import await_output, clean_environment, running

pytestmark = pytest.mark.server

SITE = """
import pathlib
import time

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.urls import path

settings.configure(
    SECRET_KEY="tests",
    ALLOWED_HOSTS=["127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["health_check"],
    DATABASES={},
    HEALTH_CHECK={"MAX_AGE": 1, "STORE": {"BACKEND": "health_check.stores.memory.MemoryStore"}},
)
application = get_wsgi_application()

from health_check.backends import HealthCheck
from health_check.views import HealthCheckView


class Search(HealthCheck):
    def __init__(self):
        time.sleep(3)
        if not pathlib.Path(__file__).with_name("back").exists():
            raise ConnectionRefusedError("a text that nobody meant for readers")
        super().__init__()

    def check_status(self):
        pass


class Fine(HealthCheck):
    def check_status(self):
        pass


urlpatterns = [
    path("ready/", HealthCheckView.as_view(checks=[Search]), name="ready"),
    path("live/", HealthCheckView.as_view(checks=[]), name="live"),
    path("other/", HealthCheckView.as_view(checks=[Fine]), name="other"),
]
"""


@pytest.mark.parametrize("worker", [long("gthread"), "gevent"])
def test_constructor__slow_and_failing(tmp_path: pathlib.Path, worker: str) -> None:
    """Probes of others with a limit of a second get their answer, also while it is tried again."""
    (tmp_path / "slow_site.py").write_text(SITE)
    options = ["--bind=127.0.0.1:0", "--workers=1", "--threads=20", f"--worker-class={worker}", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", *options, "slow_site:application"]
    environment = {"PYTHONPATH": f"{clean_environment()['PYTHONPATH']}:{tmp_path}"}
    lag = Lag()
    with running(command, tmp_path, environment) as server, concurrent.futures.ThreadPoolExecutor(20) as pool:
        url = await_output(server, r"Listening at: (http://127\.0\.0\.1:\d+)")[1]
        eventually(lambda: get(f"{url}/"), what="an answer of the site")  # 404: it is there, and no endpoint was asked
        with lag.measured():
            ready = pool.submit(get, f"{url}/ready/", format="json")
            probes = [pool.submit(get, f"{url}/{name}/") for name in ["live"] * 8 + ["other"]]
            until = time.monotonic() + 15
            answers: list[Answer] = [probe.result() for probe in probes]
            while time.monotonic() < until:
                answers.append(get(f"{url}/live/"))
                time.sleep(0.25)
        assert {answer.status for answer in answers} == {200}
        slowest = max(answer.seconds for answer in answers)
        print(f"{len(answers)} probes, the slowest took {slowest:.3f} s")
        assert slowest < 1 + lag.slack
        found = ready.result()
        assert found.status == 500
        assert list(found.json()) == ["Search"]
        assert found.json()["Search"].startswith("unavailable: ")
        assert "ConnectionRefusedError" in found.body
        assert "nobody meant" not in found.body
        (tmp_path / "back").touch()
        eventually(lambda: get(f"{url}/ready/", format="json").json() == {"Search": "OK"}, what="the service is back")
