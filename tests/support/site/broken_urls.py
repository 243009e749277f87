"""URLs that cannot be imported."""

raise ZeroDivisionError("a text that nobody meant for readers")
