"""Runs checks, each on a thread or an event loop of its own room, under a deadline."""
