"""Start the demo of an installed wheel, ask what a visitor would, and stop it: ``python -I tests/support/smoke.py``."""

from __future__ import annotations

import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

SECONDS = 60.0


def main() -> None:
    """Try the demo.

    Raises:
        SystemExit: With what is wrong, if something is.
    """
    import health_check

    checkout = pathlib.Path(__file__).resolve().parents[2]
    installed = pathlib.Path(health_check.__file__)
    if installed.is_relative_to(checkout) and "site-packages" not in installed.parts:
        sys.exit(f"This is the checkout, and not an installed wheel: {installed}")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-I", "-u", "-m", "health_check.demo", "--port", "0"]
        demo = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            _ask(_address(demo))
        finally:
            demo.send_signal(signal.SIGTERM)
            demo.communicate(timeout=SECONDS)
    if demo.returncode:
        sys.exit(f"The demo ended with {demo.returncode}.")
    print(f"The demo of {health_check.__version__} answers: {installed.parent}")


def _address(demo: subprocess.Popen[str]) -> str:
    assert demo.stdout is not None
    for line in demo.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return found[0]
    sys.exit("The demo ended without an address.")


def _ask(site: str) -> None:
    for path, expected in (
        ("/", "<html"),
        ("/health/", "Database"),
        ("/health/live/", "<html"),
        ("/metrics", 'django_health_check_status{check="Database"} 1.0'),
    ):
        text = _text(f"{site}{path}")
        if expected not in text:
            sys.exit(f"{path} does not have {expected!r}:\n{text[:2000]}")
    statuses = json.loads(_text(f"{site}/health/?format=json"))
    if statuses["Database"] != "OK":
        sys.exit(f"The database of the demo: {statuses['Database']}")


def _text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:  # the page of a machine whose disk is full is a page, too
        return str(error.read().decode())


if __name__ == "__main__":
    main()
