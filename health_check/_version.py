"""The version of the distribution, for all packages in it."""

__version__ = "0.1.0"
