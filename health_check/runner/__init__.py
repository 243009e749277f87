"""Runs checks, each on a thread or on the event loop of this package, under a deadline."""
