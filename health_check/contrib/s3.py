"""The check of an object storage with the interface of S3, through django-storages."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any

from health_check.checks.storage import Storage
from health_check.checks.timeouts import client_timeout
from health_check.exceptions import HealthCheckException, ServiceUnavailable

try:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from storages.backends.s3 import S3Storage
except ImportError as error:
    raise ImportError(
        "health_check.contrib.s3 needs django-storages: pip install 'django-health-exporter[s3]'"
    ) from error


@dataclasses.dataclass(repr=False)
class S3(Storage):
    """Check that a bucket keeps what it is given.

    Verifies that an object of a few bytes can be written, found, read back unchanged and deleted; with
    ``read_only``, just that the bucket is there and may be listed. That costs the service these requests a run, by
    default once a minute.

    Args:
        alias: The storage, as in ``STORAGES``; default ``"default"``. Its backend is django-storages' ``S3Storage``.
        read_only: Whether nothing is to be written; default False.
        timeout: The check's time budget, in seconds or as a timedelta; default ``HEALTH_CHECK["TIMEOUT"]``.
    """

    read_only: bool = dataclasses.field(default=False, repr=False)
    timeout: float | datetime.timedelta | None = dataclasses.field(default=None, repr=False)

    def get_storage(self) -> Any:
        """Return a storage of the run's own, whose client gives up in time."""
        storage = super().get_storage()
        if not isinstance(storage, S3Storage):
            raise ServiceUnavailable(f"the storage {self.alias!r} is not one of django-storages' S3Storage")
        seconds = client_timeout(self)
        limits = Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1})
        settings = {name: getattr(storage, name) for name in storage.get_default_settings() if hasattr(storage, name)}
        client_config = settings.get("client_config")
        settings["client_config"] = limits if client_config is None else client_config.merge(limits)
        return type(storage)(**settings)

    def check_status(self) -> None:
        if not self.read_only:
            super().check_status()
            return
        try:
            storage = self.get_storage()
            storage.connection.meta.client.list_objects_v2(Bucket=storage.bucket_name, MaxKeys=1)
        except HealthCheckException:
            raise
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            raise ServiceUnavailable(f"the bucket cannot be listed ({code or type(error).__name__})") from error
        except (BotoCoreError, OSError) as error:
            raise ServiceUnavailable(f"cannot reach the bucket ({type(error).__name__})") from error
