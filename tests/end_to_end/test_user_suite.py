"""What the test suite of a user of this library sees."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap

import pytest

from tests.support.repetitions import long

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
        from django.db import connection
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
            def test_transaction__goes_on(self):
                before = connection.connection
                self.client.get("/health/")
                assert connection.connection is before
                assert connection.in_atomic_block and not connection.needs_rollback

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
    "pytest": (["pytest", "-p", "no:cacheprovider"], "17 passed"),
    "pytest-xdist": (["pytest", "-p", "no:cacheprovider", "-n", "2"], "17 passed"),
    "django": (["django", "test", "--settings", "shop.settings", "shop"], "Ran 9 tests"),
    "django-parallel": (["django", "test", "--settings", "shop.settings", "--parallel", "2", "shop"], "Ran 9 tests"),
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
