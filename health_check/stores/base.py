"""What a store promises."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Mapping

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from health_check.conf import settings
from health_check.records import Record


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lease:
    """The right to run one check and to publish the outcome."""

    label: str
    """The check."""
    token: int
    """What tells this lease from the ones before and after it."""


class Store(abc.ABC):
    """Keep the newest record of each check, and the leases to run them."""

    shared: bool = False
    """Whether other processes see the records."""

    @abc.abstractmethod
    def read(self, labels: Iterable[str]) -> Mapping[str, Record]:
        """Return the records of those checks that have one, by label."""

    @abc.abstractmethod
    def acquire(self, label: str) -> Lease | None:
        """Return the lease of a check, or None while another holder has it."""

    @abc.abstractmethod
    def publish(self, lease: Lease, record: Record) -> bool:
        """Make a record the check's newest one.

        Returns:
            False, with nothing changed, if the lease is no longer the one in force or a newer record is there.
        """

    @abc.abstractmethod
    def release(self, lease: Lease) -> None:
        """Give the lease back, so that the check can be run again."""

    @abc.abstractmethod
    def forget(self, labels: Iterable[str]) -> None:
        """Drop the records of checks that are no more."""


def create_store() -> Store:
    """Return a new store as ``HEALTH_CHECK["STORE"]`` says.

    Raises:
        ImproperlyConfigured: If there is no such class, or it does not take these options.
    """
    path, options = settings.STORE["BACKEND"], settings.STORE["OPTIONS"]
    try:
        store = import_string(path)(**options)
    except (ImportError, TypeError) as error:
        raise ImproperlyConfigured(f"HEALTH_CHECK['STORE'] cannot be used: {path}: {error}.") from error
    if not isinstance(store, Store):
        raise ImproperlyConfigured(f"HEALTH_CHECK['STORE']['BACKEND'] is {path!r}: use a subclass of Store.")
    return store
