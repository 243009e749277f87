"""What the test suite of a user of this library sees."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap
from typing import ClassVar

import pytest
from django.db import connection
from django.test import Client, TestCase, TransactionTestCase, override_settings
from django.urls import path

from health_check import Database
from health_check.backends import HealthCheck
from health_check.exceptions import ServiceUnavailable
from health_check.views import HealthCheckView
from health_check_prometheus.views import MetricsView
from tests.support.repetitions import long


class Stocked(HealthCheck):
    """Wants a row in a table."""

    runs: ClassVar[list[int]] = []

    def check_status(self) -> None:
        self.runs.append(1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM shop_products")
            if cursor.fetchone()[0] == 0:
                raise ServiceUnavailable("nothing to sell")


class AsyncAware(HealthCheck):
    """Is asynchronous, which changes nothing."""

    async def check_status(self) -> None:
        """Find nothing wrong."""


urlpatterns = [
    path("health/", HealthCheckView.as_view(checks=[Database, Stocked, AsyncAware]), name="health"),
    path("metrics", MetricsView.as_view()),
]

EMPTY = {"Database": "OK", "Stocked": "unavailable: nothing to sell", "AsyncAware": "OK"}
STOCKED = {"Database": "OK", "Stocked": "OK", "AsyncAware": "OK"}


def execute(statement: str) -> None:
    """Execute a statement in the test's own connection."""
    with connection.cursor() as cursor:
        cursor.execute(statement)


def states() -> object:
    """Return what the site says."""
    found: object = Client().get("/health/?format=json").json()
    return found


def assert_sees_rows_of_this_test_alone() -> None:
    """Assert that the site sees no row at first, then ours, and none again; each time in a run of its own."""
    Stocked.runs.clear()
    assert states() == EMPTY
    execute("INSERT INTO shop_products VALUES ('soap')")
    assert states() == STOCKED
    assert b'django_health_check_status{check="Stocked"} 1.0' in Client().get("/metrics").content
    execute("DELETE FROM shop_products")
    assert states() == EMPTY
    execute("INSERT INTO shop_products VALUES ('soap')")
    assert states() == STOCKED
    assert len(Stocked.runs) == 5


@override_settings(ROOT_URLCONF=__name__)
class TestInTransaction(TestCase):
    """A TestCase, each test in a transaction of its own."""

    def setUp(self) -> None:
        execute("CREATE TABLE shop_products (name TEXT)")

    def test_transaction__is_seen(self) -> None:
        """The site sees what the test wrote and did not commit."""
        assert connection.in_atomic_block
        assert_sees_rows_of_this_test_alone()

    def test_transaction__leaks_nothing(self) -> None:
        """The other test's rows and states are gone, whichever comes first."""
        assert_sees_rows_of_this_test_alone()

    def test_transaction__goes_on(self) -> None:
        """Neither the transaction nor the connection is ended by asking."""
        before = connection.connection
        states()
        assert connection.connection is before
        assert connection.in_atomic_block
        assert not connection.needs_rollback


@override_settings(ROOT_URLCONF=__name__)
class TestCommitting(TransactionTestCase):
    """A TransactionTestCase, which commits."""

    def setUp(self) -> None:
        execute("CREATE TABLE shop_products (name TEXT)")
        self.addCleanup(execute, "DROP TABLE shop_products")

    def test_committed__is_seen(self) -> None:
        """The site sees what the test wrote."""
        assert not connection.in_atomic_block
        assert_sees_rows_of_this_test_alone()

    def test_committed__leaks_nothing(self) -> None:
        """The other test's rows and states are gone, whichever comes first."""
        assert_sees_rows_of_this_test_alone()


@pytest.mark.django_db
@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize("turn", [1, 2])
def test_function__is_as_good_as_a_class(turn: int) -> None:
    """A test of pytest-django's sees the same, each time anew."""
    execute("CREATE TABLE shop_products (name TEXT)")
    assert_sees_rows_of_this_test_alone()


FILES = {
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models

        class Product(models.Model):
            name = models.TextField()
        """,
    "shop/checks.py": """
        import dataclasses
        from health_check.backends import HealthCheck
        from health_check.exceptions import ServiceUnavailable
        from shop.models import Product

        @dataclasses.dataclass
        class Stocked(HealthCheck):
            def check_status(self):
                if not Product.objects.exists():
                    self.add_error(ServiceUnavailable("nothing to sell"))

        class AsyncStocked(HealthCheck):
            async def check_status(self):
                if not await Product.objects.aexists():
                    raise ServiceUnavailable("nothing to sell")
        """,
    "shop/urls.py": """
        from django.urls import include, path
        from health_check.views import HealthCheckView

        checks = ["health_check.Database", "health_check.Cache", "shop.checks.Stocked", "shop.checks.AsyncStocked"]
        urlpatterns = [
            path("health/", HealthCheckView.as_view(checks=checks), name="health"),
            path("", include("health_check_prometheus.urls")),
        ]
        """,
    "shop/settings.py": """
        SECRET_KEY = "shop"
        ROOT_URLCONF = "shop.urls"
        INSTALLED_APPS = ["shop", "health_check", "health_check_prometheus", "health_check_opentelemetry"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
        DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
        USE_TZ = True
        """,
    "shop/tests.py": """
        from django.test import TestCase, TransactionTestCase
        from shop.models import Product

        class Shared:
            def assert_anew(self):
                for expected in ("unavailable: nothing to sell", "OK", "unavailable: nothing to sell"):
                    if expected == "OK":
                        Product.objects.create(name="soap")
                    else:
                        Product.objects.all().delete()
                    response = self.client.get("/health/?format=json")
                    self.assertEqual(response.status_code, 200 if expected == "OK" else 500)
                    self.assertEqual(
                        response.json(),
                        {"Database": "OK", "Cache": "OK", "Stocked": expected, "AsyncStocked": expected},
                    )
                    value = 1.0 if expected == "OK" else 0.0
                    self.assertContains(self.client.get("/metrics"), f'status{{check="AsyncStocked"}} {value}')
                Product.objects.create(name="soap")

            def test_one(self):
                self.assertEqual(Product.objects.count(), 0)
                self.assert_anew()

            def test_two(self):
                self.assertEqual(Product.objects.count(), 0)
                self.assert_anew()

        class InTransaction(Shared, TestCase):
            pass

        class MoreInTransaction(Shared, TestCase):
            pass

        class Committing(Shared, TransactionTestCase):
            pass

        class MoreCommitting(Shared, TransactionTestCase):
            pass
        """,
    "shop/test_functions.py": """
        import pytest
        from shop.models import Product

        @pytest.mark.parametrize("turn", range(4))
        @pytest.mark.django_db
        def test_function(client, turn):
            assert client.get("/health/").status_code == 500
            Product.objects.create(name="soap")
            assert client.get("/health/").status_code == 200

        @pytest.mark.parametrize("turn", range(4))
        @pytest.mark.django_db(transaction=True)
        def test_committing_function(client, turn):
            assert client.get("/health/").status_code == 500
            Product.objects.create(name="soap")
            assert client.get("/health/").status_code == 200
        """,
    "pytest.ini": """
        [pytest]
        DJANGO_SETTINGS_MODULE = shop.settings
        python_files = tests.py test_*.py
        filterwarnings = error
        """,
}
"""A small project with tests of its own."""

COMMANDS = {
    "pytest": (["pytest", "-p", "no:cacheprovider"], "16 passed"),
    "pytest-xdist": (["pytest", "-p", "no:cacheprovider", "-n", "2"], "16 passed"),
    "django": (["django", "test", "--settings", "shop.settings", "shop"], "Ran 8 tests"),
    "django-parallel": (["django", "test", "--settings", "shop.settings", "--parallel", "2", "shop"], "Ran 8 tests"),
}


@pytest.mark.parametrize("name", [long("pytest"), "pytest-xdist", long("django"), "django-parallel"])
def test_project__tests_pass(tmp_path: pathlib.Path, name: str) -> None:
    """A user's own suite, run by pytest or Django, in one process or several, sees each test's rows alone."""
    for file, text in FILES.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(textwrap.dedent(text))
    command, expected = COMMANDS[name]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST_", "DJANGO_"))}
    root = pathlib.Path(__file__).parents[2]
    environment = {**kept, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(root), str(root / "exporters")])}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert expected in output
