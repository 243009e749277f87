"""The second host of the demo: a process that plays ``web-2``, with the same code, data and store.

It is started and killed by the main thread, at the start and the end, and by threads that hold the lock of the levers.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import threading

from health_check.demo.settings import FOLDER

_process: subprocess.Popen[bytes] | None = None


def address_file() -> pathlib.Path:
    """Return the file that web-2 writes its ``host:port`` to when it listens."""
    return FOLDER / "web-2.address"


def start() -> None:
    """Start web-2; it ends with this process."""
    global _process
    address_file().unlink(missing_ok=True)
    _process = subprocess.Popen(
        [sys.executable, "-m", "health_check.demo", "--second-host"],
        env={**os.environ, "HEALTH_CHECK_DEMO_HOST": "web-2"},
        stdin=subprocess.PIPE,  # it ends when this is closed, however this process ends
    )


def kill() -> None:
    """Kill web-2, as a power cut would."""
    global _process
    if _process is not None:
        _process.kill()
        _process.communicate()
        _process = None


def end_with_parent() -> None:
    """End this process when the one that started it is gone; in web-2."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=wait, name="demo-parent", daemon=True).start()
