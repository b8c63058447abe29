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
    tasks: list[asyncio.Task[None] | None] = []
    ready = threading.Event()

    def tell(address: str) -> None:
        addresses.append(address)
        tasks.append(asyncio.current_task())
        ready.set()

    def run() -> None:
        with suppress(asyncio.CancelledError):
            serve(explorer, ready=tell)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(60)
    yield addresses[0]

    # as Ctrl-C does: only the server's own task, which closes the connections of browsers
    task = tasks[0]
    assert task is not None
    task.get_loop().call_soon_threadsafe(task.cancel)
    thread.join(30)
    assert not thread.is_alive()
