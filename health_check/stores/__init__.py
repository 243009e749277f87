"""Where records are kept."""

from health_check.stores.base import (
    LEASE_SECONDS,
    SETTLE_SECONDS,
    Entry,
    Key,
    Lease,
    Publication,
    Query,
    Store,
    StoreError,
    create_store,
)

__all__ = [
    "LEASE_SECONDS",
    "SETTLE_SECONDS",
    "Entry",
    "Key",
    "Lease",
    "Publication",
    "Query",
    "Store",
    "StoreError",
    "create_store",
]
