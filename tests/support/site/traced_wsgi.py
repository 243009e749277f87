"""The WSGI application of a site that sets up an SDK where it is loaded: in gunicorn's master, if that preloads it.

The module that does so is the one of the documentation, which a test writes to the server's working directory.
"""

import importlib

importlib.import_module("telemetry").set_up()

from tests.support.plain.wsgi import application  # noqa: E402 - the SDK is there before the site

__all__ = ["application"]
