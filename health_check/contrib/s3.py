"""The check of an object storage with the interface of S3, through django-storages."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from typing import Any

from health_check.checks.clients import ServiceCheck, needs
from health_check.checks.storage import Storage
from health_check.exceptions import HealthCheckException, ServiceUnavailable

with needs("django-storages", extra="s3", what="health_check.contrib.s3"):
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        NoCredentialsError,
        ReadTimeoutError,
    )
    from botocore.handlers import add_expect_header
    from storages.backends.s3 import S3Storage

MOST_CHARACTERS = 50
"""How much of an error code to show."""


@dataclasses.dataclass(repr=False)
class S3(ServiceCheck, Storage):
    """Check that a bucket keeps and returns an object.

    Verifies that an object of a few bytes can be written, found, read back unchanged and deleted; with
    ``read_only``, just that the bucket is there and may be listed. That costs the service these requests a run, by
    default once a minute, on connections of that run alone.

    Args:
        alias: The storage, as in ``STORAGES``; default ``"default"``. Its backend is django-storages' ``S3Storage``.
        read_only: Whether nothing is to be written; default False.
    """

    read_only: bool = dataclasses.field(default=False, repr=False)
    _own: Any = dataclasses.field(default=None, init=False, repr=False, compare=False)

    def get_storage(self) -> Any:
        """Return a storage of the run's own, whose client gives up in time."""
        storage = super().get_storage()
        if not isinstance(storage, S3Storage):
            raise ServiceUnavailable(f"the storage {self.alias!r} is not one of django-storages' S3Storage")
        self._own = _limited(storage, self.client_timeout() / 2)  # as much again is for deleting what a failure left
        return self._own

    def check_status(self) -> None:
        try:
            if self.read_only:
                self._list()
            else:
                super().check_status()
        except HealthCheckException as error:
            if isinstance(error.__cause__, BotoCoreError | ClientError):
                raise ServiceUnavailable(_words(error.__cause__)) from error.__cause__
            raise
        finally:
            if self._own is not None:
                with contextlib.suppress(Exception):  # there may be no client, where it cannot be configured
                    self._own.connection.meta.client.close()

    def _list(self) -> None:
        storage = self.get_storage()
        try:
            storage.connection.meta.client.list_objects_v2(Bucket=storage.bucket_name, MaxKeys=1)
        except Exception as error:  # the same as a storage may raise
            raise ServiceUnavailable(f"the bucket cannot be listed ({type(error).__name__})") from error


def _limited(storage: S3Storage, seconds: float) -> S3Storage:
    """Return a copy of a storage, with connections of its own, no threads, and little patience."""
    limits = Config(connect_timeout=seconds, read_timeout=seconds, retries={"total_max_attempts": 1})
    own = copy.copy(storage)
    own.client_config = storage.client_config.merge(limits)
    own.transfer_config = copy.copy(storage.transfer_config)
    own.transfer_config.use_threads = False
    with contextlib.suppress(Exception):  # a client that cannot be configured raises where it is used
        # botocore would wait a second for "100 Continue" before any body, regardless of the timeouts
        own.connection.meta.client.meta.events.unregister("before-call.s3", add_expect_header)
    return own


def _words(error: BotoCoreError | ClientError) -> str:
    """Return the step that failed, and what kind of error it was: its text has hosts and keys in it."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = "".join(filter(str.isalnum, str(error.response.get("Error", {}).get("Code", ""))))
        return f"the object storage refused {error.operation_name} (HTTP {status}, {code[:MOST_CHARACTERS]})"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return "the object storage did not answer in time"
    if isinstance(error, NoCredentialsError):
        return "there are no credentials for the object storage"
    return f"cannot reach the object storage ({type(error).__name__})"
