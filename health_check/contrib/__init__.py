"""Checks that need a package or a service beyond Django, one module each."""
