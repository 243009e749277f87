"""The check of a file storage."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import uuid
from collections.abc import Iterator

from django.core.files.base import ContentFile
from django.core.files.storage import InvalidStorageError, storages
from django.core.files.storage import Storage as DjangoStorage

from health_check.backends import ConciseRepr, HealthCheck
from health_check.exceptions import HealthCheckException, ServiceUnavailable


@dataclasses.dataclass(repr=False)
class Storage(ConciseRepr, HealthCheck):
    """Check that a file storage keeps and returns a file.

    Verifies that a file of a few bytes can be saved, found, read back unchanged and deleted. That costs the
    storage these operations a run, by default once a minute. Override ``get_file_name`` or
    ``get_file_content`` where another place or content is needed, ``check_save`` or ``check_delete`` where other
    steps are.

    Args:
        alias: The storage, as in ``STORAGES``; default ``"default"``.
    """

    max_age = 60

    alias: str = "default"

    _left = None

    def get_storage(self) -> DjangoStorage:
        """Return the storage.

        Raises:
            ServiceUnavailable: If there is none of this alias, or its backend cannot be loaded.
        """
        try:
            return storages[self.alias]
        except InvalidStorageError as error:
            raise ServiceUnavailable(
                f"the storage {self.alias!r} is not in STORAGES, or its backend cannot be loaded"
            ) from error
        except Exception as error:  # its backend may refuse its options
            raise ServiceUnavailable(f"the storage {self.alias!r} cannot be used ({type(error).__name__})") from error

    def get_file_name(self) -> str:
        """Return the name of the file, another one for each run."""
        return f"health_check_storage_test-{uuid.uuid4().hex}.txt"

    def get_file_content(self) -> bytes:
        """Return what is written to the file."""
        return f"written by health_check.Storage: {uuid.uuid4().hex}".encode()

    @property
    def storage(self) -> DjangoStorage:
        """The storage; a subclass may override this, as in django-health-check 4.x, or ``get_storage``."""
        return self.get_storage()

    def check_save(self, file_name: str, file_content: bytes) -> str:
        """Save a file, verify that it is there unchanged, and return the name that the storage gave it."""
        storage = self._used()
        with _step("save a file"):
            saved = self._left = storage.save(file_name, ContentFile(file_content))
        with _step("look for the file"):
            if not storage.exists(saved):
                raise ServiceUnavailable("the file is not there after saving it")
        with _step("read the file"), storage.open(saved) as file:
            if file.read() != file_content:
                raise ServiceUnavailable("the file does not hold what was saved")
        return saved

    def check_delete(self, file_name: str) -> None:
        """Delete a file, and verify that it is gone."""
        storage = self._used()
        with _step("delete the file"):
            storage.delete(file_name)
        self._left = None
        with _step("look whether the file is gone"):
            if storage.exists(file_name):
                raise ServiceUnavailable("the file is still there after deleting it")

    def check_status(self) -> None:
        storage = self._used()
        content = self.get_file_content()
        name = self.get_file_name()
        # what a failing save leaves is ours to delete only under a name that nobody else uses
        self._left = name if type(self).get_file_name is Storage.get_file_name else None
        try:
            with _step("save a file"):
                self._left = saved = self.check_save(name, content)
            with _step("delete the file"):
                self.check_delete(saved)
        finally:
            if self._left is not None:
                with contextlib.suppress(Exception):
                    storage.delete(self._left)

    def _used(self) -> DjangoStorage:
        """Return the storage, also where a class for 3.x has the path of a backend as ``storage``."""
        found = self.storage
        return found if hasattr(found, "save") else self.get_storage()


@contextlib.contextmanager
def _step(step: str) -> Iterator[None]:
    """Name the step that failed."""
    try:
        yield
    except HealthCheckException:
        raise
    except Exception as error:  # each storage has exceptions of its own
        raise ServiceUnavailable(f"cannot {step} ({_kind(error)})") from error


def _kind(error: Exception) -> str:
    """Return what kind of error it is: never its text, which may name paths and hosts."""
    if type(error) is OSError and error.errno is not None:  # the class of a full or read-only disk says nothing
        return f"OSError: {os.strerror(error.errno)}"
    return type(error).__name__
