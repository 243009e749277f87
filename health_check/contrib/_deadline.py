"""A deadline for all that an HTTP client does: its own timeouts begin again with every byte that a server sends."""

from __future__ import annotations

import time
from typing import Any

import httpcore
import httpx

LEAST_SECONDS = 0.001
"""What a step past the deadline may still take: enough for what is there already."""


def bound(client: httpx.Client, seconds: float) -> None:
    """Let no connection of a client's, also by way of a proxy, wait for longer than this, all in all."""
    end = time.monotonic() + seconds
    for transport in (client._transport, *client._mounts.values()):  # noqa: SLF001 - it offers no other place
        pool: Any = getattr(transport, "_pool", None)  # a host that is to be reached without proxy has none
        if pool is not None:
            pool._network_backend = _Backend(pool._network_backend, end)  # noqa: SLF001


class _Backend(httpcore.NetworkBackend):
    """Connects before the deadline."""

    def __init__(self, backend: httpcore.NetworkBackend, end: float) -> None:
        self._backend = backend
        self._end = end

    def connect_tcp(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        options["timeout"] = _left(self._end)
        return _Stream(self._backend.connect_tcp(*arguments, **options), self._end)


class _Stream(httpcore.NetworkStream):
    """A connection that reads and writes before the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, end: float) -> None:
        self._stream = stream
        self._end = end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._end))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._end))

    def start_tls(self, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        options["timeout"] = _left(self._end)
        return _Stream(self._stream.start_tls(*arguments, **options), self._end)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        self._stream.close()


def _left(end: float) -> float:
    return max(LEAST_SECONDS, end - time.monotonic())
