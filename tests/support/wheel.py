"""The wheel: built, and installed into an environment of its own."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence

from tests.support.servers import ROOT, clean_environment


def build_wheel(folder: pathlib.Path) -> pathlib.Path:
    """Build the wheel into a folder, and return it."""
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)], ROOT)
    (found,) = folder.glob("*.whl")
    return found


def python_with(wheel: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Return the Python of a new environment with the wheel; what it depends on comes from this environment."""
    run([sys.executable, "-m", "venv", "--without-pip", str(folder)], folder.parent)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    run([sys.executable, "-m", "pip", "--python", str(python), *install, str(wheel)], folder)
    purelib = run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder).strip()
    # A .pth file adds the path alone: the .pth file there, by which this project is installed, is not read.
    pathlib.Path(purelib, "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


def run(
    command: Sequence[str], folder: pathlib.Path, *, environment: Mapping[str, str] | None = None, code: int = 0
) -> str:
    """Run a command that has to end with this exit code, and return its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment_of_a_user(), **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def environment_of_a_user() -> dict[str, str]:
    """Return an environment in which this checkout is not found."""
    found = clean_environment()
    del found["PYTHONPATH"]
    return found
