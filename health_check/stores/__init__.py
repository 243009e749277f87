"""Where records are kept."""

from health_check.stores.base import Lease, Store, create_store

__all__ = ["Lease", "Store", "create_store"]
