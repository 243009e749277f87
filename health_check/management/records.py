"""What commands say of the place where the records are."""

from __future__ import annotations

from health_check import process


def where_records_are() -> str:
    """Return a sentence that names the store, and why it cannot be used if that is so."""
    process.survey(())  # opens it
    keeper = process.current().monitor.keeper
    trouble = keeper.trouble
    if trouble:
        return f"Records: {keeper.describe()}, cannot be used ({trouble}); this process goes on from memory."
    return f"Records: {keeper.describe()}"
