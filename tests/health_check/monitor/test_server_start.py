"""When the server of a process was started, as its workers find out."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time

import pytest

from tests.support.repetitions import long
from tests.support.servers import ROOT, clean_environment

SERVER = """
import json, os, pathlib, signal, sys, time
folder, preload, changed = pathlib.Path(sys.argv[1]), sys.argv[2] == "preload", sys.argv[3]
sys.path += [sys.argv[1], sys.argv[4]]

def now():
    return time.clock_gettime(time.CLOCK_BOOTTIME)

def load():
    import django, own
    from django.conf import settings
    settings.configure(SECRET_KEY="x", INSTALLED_APPS=["health_check"], BASE_DIR=str(folder))
    django.setup()

def start_of_worker(ends=False):
    told, tell = os.pipe()
    if (process_id := os.fork()) == 0:
        preload or load()
        from health_check.monitor.server_start import server_age
        age = server_age()
        os.write(tell, str(now() - age).encode())
        ends or time.sleep(600)
        os._exit(0)
    started = float(os.read(told, 99))
    if ends:
        os.waitpid(process_id, 0)
    else:
        waiting.append(process_id)
    return started

waiting = []
preload and load()
found = {"loaded": now(), "first": start_of_worker()}
time.sleep(0.3)
if changed:
    (folder / changed).write_text("changed = True")
    os.utime(folder / changed, (1, 1))  # as where a deploy keeps the times of files
time.sleep(0.3)
found["changed"] = now()
found |= {"second": start_of_worker(), "third": start_of_worker(ends=True), "fourth": start_of_worker()}
for process_id in waiting:
    os.kill(process_id, signal.SIGKILL)
print(json.dumps(found))
"""
"""A server whose workers load the site, or are forked after it has, and say when it was started."""


NEAR = 0.2
"""How exactly the system tells when a process was started, in seconds, and more."""


def starts(folder: pathlib.Path, *arguments: str) -> dict[str, float]:
    """Run that server, and return what was said, in seconds since the machine was started."""
    (folder / "own.py").write_text("changed = False")
    (folder / "server.py").write_text(SERVER)
    time.sleep(NEAR)  # what is changed just before the master starts may seem to be changed after it
    command = [sys.executable, str(folder / "server.py"), str(folder), *arguments, str(ROOT)]
    done = subprocess.run(
        command, env=clean_environment(), cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("load", "changed"), [("lazy", "own.py"), long("lazy", ".env"), long("lazy", ""), ("preload", "own.py")]
)
def test_server_age(tmp_path: pathlib.Path, load: str, changed: str) -> None:
    """Workers go by their master, whenever they were started, or, if it has loaded the site, by when that was.

    Those that load what was changed go by the first of them, also those that take the place of others.
    """
    found = starts(tmp_path, load, changed)
    assert found["first"] < found["loaded"]
    is_reloaded = load == "lazy" and bool(changed)
    assert (found["second"] > found["changed"] - NEAR) is is_reloaded
    start = found["second" if is_reloaded else "first"]
    assert [found[name] for name in ("second", "third", "fourth")] == pytest.approx([start] * 3, abs=NEAR)
