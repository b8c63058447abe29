"""A server in a thread, for tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from modalgap.explore import Explorer, serve


@contextmanager
def serving(explorer: Explorer) -> Iterator[str]:
    """The address of a running server, which is stopped at the end."""
    addresses: list[str] = []
    loops: list[asyncio.AbstractEventLoop] = []
    ready = threading.Event()

    def tell(address: str) -> None:
        addresses.append(address)
        loops.append(asyncio.get_running_loop())
        ready.set()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            serve(explorer, ready=tell)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    yield addresses[0]

    def stop() -> None:
        for task in asyncio.all_tasks(loops[0]):
            task.cancel()

    loops[0].call_soon_threadsafe(stop)
    thread.join(30)
    assert not thread.is_alive()
