"""The check of a RabbitMQ broker."""

from __future__ import annotations

import dataclasses
import functools

from django.conf import settings

from health_check.checks.clients import ServiceCheck, needs
from health_check.exceptions import ServiceUnavailable

with needs("kombu", extra="rabbitmq", what="health_check.contrib.rabbitmq"):
    from kombu.connection import Connection

    from health_check.contrib._kombu import connected

__path__: list[str] = []  # of modules that django-health-check 3.x had in here, which health_check.compat makes

SETTINGS = ("BROKER_URL", "CELERY_BROKER_URL")
"""The settings that may name the broker."""

SCHEMES = ("amqp://", "amqps://", "pyamqp://")
"""What its URL may begin with."""


@dataclasses.dataclass(repr=False)
class RabbitMQ(ServiceCheck):
    """Check that a RabbitMQ broker accepts connections.

    Verifies that a connection can be made, with TLS and the login of the URL, that the virtual host may be used, and
    that a channel can be opened; of several brokers, that one of them does so. Declares and sends nothing. That costs
    the broker a connection and a channel a run.

    Args:
        amqp_url: The broker, as in ``amqp://USER:PASSWORD@HOST:5672//`` or ``amqps://…``, or several of them with
            semicolons between; default the setting ``BROKER_URL`` or ``CELERY_BROKER_URL``.
    """

    amqp_url: str | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        make = functools.partial(Connection, self._url())
        with connected(make, self.client_timeout(), "RabbitMQ") as connection:
            connection.channel().close()

    def _url(self) -> str:
        for url in (self.amqp_url, *(getattr(settings, name, None) for name in SETTINGS)):
            if url and not str(url).startswith(SCHEMES):
                raise ServiceUnavailable("the URL of RabbitMQ cannot be used: begin it with amqp://")
            if url:
                return str(url)
        raise ServiceUnavailable("no broker is named: use the option `amqp_url`, or the setting BROKER_URL")
