"""Checks that ask the server of their own process: they wait for an answer that waits for them."""

from __future__ import annotations

import contextlib

from health_check.concurrency import threads
from health_check.runner.run import Run


def look_for(runs: list[Run]) -> None:
    """Note for runs that take long whether this process was connected to its own server meanwhile.

    Whose connection that is cannot be known. Waits for nothing: a thread of its own looks for it, as there may be many
    connections.
    """
    with contextlib.suppress(RuntimeError):  # there is no thread
        threads.start(lambda: _note(runs), "own-server")


def _note(runs: list[Run]) -> None:
    if address := _connected_to():
        for run in runs:
            run.hint = (
                f"meanwhile this process was connected to its own server at {address}: "
                "a check that asks a health endpoint of its own site waits for itself"
            )


def _connected_to() -> str:
    """Return where this process is connected to a server that it, or another process of the same server, is."""
    import psutil  # here, as it takes its time

    try:
        connections = psutil.Process().net_connections("tcp")
    except (psutil.Error, OSError):
        return ""
    ports = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    for local, remote in ((each.laddr, each.raddr) for each in connections if len(each.raddr)):
        if remote.ip == local.ip and remote.port in ports:
            return f"[{remote.ip}]:{remote.port}" if ":" in remote.ip else f"{remote.ip}:{remote.port}"
    return ""
