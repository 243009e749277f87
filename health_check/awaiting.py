"""Run an awaitable to its end from sync code."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Awaitable

from asgiref.sync import async_to_sync


def run_to_end(awaitable: Awaitable[None]) -> None:
    """Wait for an awaitable in sync code, whatever thread that is.

    ``async_to_sync`` brings thread-sensitive sync code of the awaitable (the ORM) back to this thread, so that
    it sees this thread's transaction. A thread whose event loop is running cannot wait, so another one does.
    """

    async def main() -> None:
        await awaitable

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        async_to_sync(main)()
        return
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(async_to_sync(main)).result()
