"""The check of a RabbitMQ broker."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime

from django.conf import settings

from health_check.backends import HealthCheck
from health_check.checks.timeouts import client_timeout
from health_check.exceptions import ServiceUnavailable
from health_check.labels import ConciseRepr

try:
    from amqp.exceptions import AccessRefused, AMQPError, NotAllowed
    from kombu.connection import Connection
except ImportError as error:
    raise ImportError(
        "health_check.contrib.rabbitmq needs kombu: pip install 'django-health-exporter[rabbitmq]'"
    ) from error

SETTINGS = ("BROKER_URL", "CELERY_BROKER_URL")
"""The settings that may name the broker."""


@dataclasses.dataclass(repr=False)
class RabbitMQ(ConciseRepr, HealthCheck):
    """Check that a RabbitMQ broker lets us in.

    Verifies that a connection can be made, with TLS and the login of the URL, that the virtual host may be used, and
    that a channel can be opened. Declares and sends nothing. That costs the broker a connection and a channel a run.

    Args:
        amqp_url: The broker, as in ``amqp://USER:PASSWORD@HOST:5672//`` or ``amqps://…``; default the setting
            ``BROKER_URL`` or ``CELERY_BROKER_URL``.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    amqp_url: str | None = dataclasses.field(default=None, repr=False)
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def check_status(self) -> None:
        seconds = client_timeout(self)
        options = {"read_timeout": seconds, "write_timeout": seconds}
        connection = Connection(self._url(), connect_timeout=seconds, transport_options=options)
        try:
            connection.connect()
            connection.channel().close()
        except AccessRefused as error:
            raise ServiceUnavailable("the login to RabbitMQ was refused") from error
        except NotAllowed as error:
            raise ServiceUnavailable("RabbitMQ refused the virtual host") from error
        except TimeoutError as error:
            raise ServiceUnavailable("RabbitMQ did not answer in time") from error
        except (AMQPError, OSError) as error:
            raise ServiceUnavailable(f"cannot connect to RabbitMQ ({type(error).__name__})") from error
        finally:
            with contextlib.suppress(Exception):  # what is left of a connection that failed
                connection.release()

    def _url(self) -> str:
        for url in (self.amqp_url, *(getattr(settings, name, None) for name in SETTINGS)):
            if url:
                return str(url)
        raise ServiceUnavailable("no broker is named: use the option `amqp_url`, or the setting BROKER_URL")
