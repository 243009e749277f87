"""The servers that tests need but cannot install themselves."""

from __future__ import annotations

import os
import pathlib
import shutil
from collections.abc import Iterable

import pytest


def require(command: str, *, package: str, folders: Iterable[pathlib.Path] = ()) -> str:
    """Return the path of a server's program.

    Without it the test is skipped, or fails where ``REQUIRE_SERVICES=1`` says that it has to be there.

    Args:
        command: The program.
        package: The Debian package that brings it.
        folders: Where to look for it, too, as it may not be on the PATH; the first ones first.
    """
    found = shutil.which(command) or shutil.which(command, path=os.pathsep.join(map(str, folders)))
    if found is not None:
        return found
    reason = f"{command} is not installed: apt-get install {package}"
    if os.environ.get("REQUIRE_SERVICES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
