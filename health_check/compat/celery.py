"""The checks of Celery with the settings that they had in django-health-check 3.x."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from django.conf import settings

from health_check.contrib.celery import Ping


@dataclasses.dataclass(repr=False)
class CeleryPingHealthCheck(Ping):
    """Check that workers answer, within the seconds of the setting ``HEALTHCHECK_CELERY_PING_TIMEOUT``; see Ping."""

    def __post_init__(self) -> None:
        if self.timeout is None:
            self.timeout = getattr(settings, "HEALTHCHECK_CELERY_PING_TIMEOUT", None)


@dataclasses.dataclass(repr=False)
class CeleryHealthCheck(Ping):
    """Check that a worker consumes the queue that a subclass names as ``queue``; sends no task. See Ping."""

    queue: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        if self.queues is None and type(self).queue is not None:
            self.queues = [str(type(self).queue)]
        if self.timeout is None:
            former = getattr(settings, "HEALTHCHECK_CELERY_TIMEOUT", None)
            self.timeout = getattr(settings, "HEALTHCHECK_CELERY_RESULT_TIMEOUT", former)
