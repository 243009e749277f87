"""Where records are kept."""

from health_check.stores.base import (
    LEASE_SECONDS,
    Key,
    Lease,
    Publication,
    Query,
    Store,
    Stored,
    StoreEntry,
    StoreError,
    create_store,
)

__all__ = [
    "LEASE_SECONDS",
    "Key",
    "Lease",
    "Publication",
    "Query",
    "Store",
    "StoreEntry",
    "StoreError",
    "Stored",
    "create_store",
]
