"""A relay that makes a server seem far away: what passes through arrives later."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """Yield the port of 127.0.0.1 where a server can be reached with half a round trip's delay each way.

    Args:
        port: The server's port.
        seconds: How long a round trip takes.
    """
    relay_port: concurrent.futures.Future[int] = concurrent.futures.Future()
    stop: concurrent.futures.Future[None] = concurrent.futures.Future()

    async def serve() -> None:
        server = await asyncio.start_server(
            lambda reader, writer: _relay(reader, writer, port, seconds), "127.0.0.1", 0
        )
        async with server:
            relay_port.set_result(server.sockets[0].getsockname()[1])
            await asyncio.wrap_future(stop)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield relay_port.result()
    finally:
        stop.set_result(None)
        thread.join()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, seconds: float) -> None:
    with contextlib.suppress(OSError), contextlib.closing(writer):
        await asyncio.sleep(seconds)  # the handshake of a connection is a round trip, too
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.closing(far_writer):
            await asyncio.gather(_pump(reader, far_writer, seconds / 2), _pump(far_reader, writer, seconds / 2))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    while data := await reader.read(65536):
        asyncio.get_running_loop().call_later(seconds, writer.write, data)
    await asyncio.sleep(seconds)
    writer.close()
