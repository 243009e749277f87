"""The Celery app of a site, for a worker and for the scheduler of the tests."""

import os

from celery import Celery

from tests.support.site import collected

collected.told()
app = Celery("shop", broker=os.environ["TEST_SITE_BROKER"])
app.conf.update(
    imports=["health_check.contrib.celery"],
    broker_connection_retry_on_startup=True,
    worker_hijack_root_logger=False,
    beat_max_loop_interval=0.5,
    beat_schedule={
        "heartbeat": {
            "task": "health_check.contrib.celery.beat",
            "schedule": 0.5,
            "options": {"queue": "orders", "expires": 5},
        }
    },
)
