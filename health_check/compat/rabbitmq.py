"""The check of RabbitMQ with the option that it had in django-health-check 3.x."""

from __future__ import annotations

import dataclasses

from django.conf import settings

from health_check.contrib.rabbitmq import RabbitMQ


@dataclasses.dataclass(repr=False)
class RabbitMQHealthCheck(RabbitMQ):
    """Check that a RabbitMQ broker lets us in; see RabbitMQ.

    Args:
        namespace: What stands before ``_BROKER_URL`` in the name of the setting that has the broker.

    Raises:
        ValueError: If there is no such setting.
    """

    namespace: str | None = None

    def __post_init__(self) -> None:
        self.namespace = self.namespace or type(self).namespace
        if self.namespace is not None and self.amqp_url is None:
            setting = f"{self.namespace}_BROKER_URL"
            if not hasattr(settings, setting):
                raise ValueError(f"There is no setting {setting}.")
            self.amqp_url = getattr(settings, setting)
