"""Run a function in a process of its own in which gevent has replaced all that waits."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable

from tests.support.servers import ROOT, clean_environment

SECONDS = 50.0
"""How long such a process may take."""


def run_patched(function: Callable[[], None]) -> None:
    """Run a function of a module there; what it raises fails the test."""
    command = [sys.executable, "-c", START, function.__module__, function.__name__]
    environment = {**clean_environment(), "DJANGO_SETTINGS_MODULE": "tests.settings"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr


START = f"""
from gevent import monkey
monkey.patch_all()
from {__name__} import call
call()
"""


def call() -> None:
    """Be that process."""
    module, name = sys.argv[1:]
    getattr(importlib.import_module(module), name)()
