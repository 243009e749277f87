"""Database routers that have ideas of their own."""

from __future__ import annotations

from django.db.models import Model


class Elsewhere:
    """Send everybody to the default database, and let nobody do anything."""

    def db_for_read(self, model: type[Model], **hints: object) -> str:
        return "default"

    def db_for_write(self, model: type[Model], **hints: object) -> str:
        return "default"

    def allow_relation(self, one: Model, other: Model, **hints: object) -> bool:
        return False

    def allow_migrate(self, db: str, app_label: str, **hints: object) -> bool:
        return False


class Raising:
    """Raise, whatever is asked."""

    def db_for_read(self, model: type[Model], **hints: object) -> str:
        raise LookupError("a router that raises")

    def db_for_write(self, model: type[Model], **hints: object) -> str:
        raise LookupError("a router that raises")
