"""What ``manage.py check --deploy`` says about who sees what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from django.core.checks import run_checks
from django.urls import path
from pytest_django import Settings

from health_check.management.system_checks import check_exposure, check_mail
from health_check.views import HealthCheckView
from tests.conftest import Mount
from tests.support.checks import Fine
from tests.support.messages import ids, view

W012 = ["health_check.W012"]


class Asking(HealthCheckView):
    """Chooses its checks by the request."""

    def get_plugins(self) -> Iterable[Any]:
        yield self.request.path, Fine()


@pytest.mark.parametrize(
    ("access", "options", "expected"),
    [
        ({}, {}, W012),
        ({"DETAILS": "always"}, {}, W012),
        ({"TOKENS": ["a"]}, {}, W012),
        ({"NETWORKS": ["10.0.0.0/8"]}, {}, W012),
        ({"DETAILS": "authorized"}, {}, []),
        ({"DETAILS": "never"}, {}, []),
        ({"OPEN": False, "TOKENS": ["a"]}, {}, []),
        ({}, {"details": "authorized"}, []),
        ({}, {"details": "never"}, []),
        ({}, {"open": False}, []),
        ({"DETAILS": "never"}, {"details": "always"}, W012),
        ({"OPEN": False}, {"open": True}, W012),
        ({}, {"details": "sometimes"}, []),
    ],
)
def test_w012__messages_that_everybody_reads(
    access: dict[str, object], options: dict[str, object], expected: list[str], mount: Mount, settings: Settings
) -> None:
    """An open endpoint with messages is told of, be it by setting or by view; one that lets nobody in is not."""
    settings.HEALTH_CHECK = {"ACCESS": access}
    mount(path("health/", view(Fine, **options), name="health"))
    assert ids(check_exposure()) == expected


def test_w012__one_message_for_all(mount: Mount) -> None:
    """All such endpoints are named together; those that have no checks have no messages."""
    mount(
        path("health/", view(Fine), name="health"),
        path("live/", view(), name="live"),
        path("asking/", Asking.as_view(), name="asking"),
        path("closed/", Asking.as_view(details="never"), name="closed"),
    )
    messages = check_exposure()
    assert ids(messages) == W012
    assert messages[0].msg.endswith(" health, asking.")


def test_w012__of_a_class(mount: Mount) -> None:
    """What the class of a view says counts."""

    class Closed(HealthCheckView):
        details = "authorized"
        checks = (Fine,)

    mount(path("health/", Closed.as_view(), name="health"))
    assert check_exposure() == []


@pytest.mark.parametrize(("deploy", "expected"), [(True, W012), (False, [])])
def test_w012__only_for_deployments(deploy: bool, expected: list[str], mount: Mount) -> None:
    """While a site is being written, everybody who writes it may read its messages."""
    mount(path("health/", view(Fine), name="health"))
    found = run_checks(tags=["health_check"], include_deployment_checks=deploy)
    assert [message.id for message in found if str(message.id).startswith("health_check.")] == expected


@pytest.mark.parametrize(
    ("names", "checks", "expected"),
    [
        ([], ["health_check.Mail"], ["health_check.W022"]),
        ([], [("health_check.Mail", {"timeout": 1})], ["health_check.W022"]),
        ([], ["health_check.Cache"], []),
        (["EMAIL_USE_TLS", "EMAIL_BACKEND"], ["health_check.Mail"], []),
    ],
)
def test_w022__mail_that_nobody_has_set_up(
    names: list[str],
    checks: list[object],
    expected: list[str],
    settings: Settings,
    mount: Mount,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before a deployment it is said that Mail will ask the host itself, and what to do."""
    monkeypatch.setattr("health_check.checks.mail.SETTINGS", names)  # Django's test environment sets EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    mount(path("health/", HealthCheckView.as_view(checks=checks), name="health"))
    messages = check_mail()
    assert ids(messages) == expected
    assert all("health will fail" in message.msg and "list the `checks`" in str(message.hint) for message in messages)
