"""Read ranges of bytes of remote files.

The latency of a request equals the time to transfer about one megabyte. A pass over a file
therefore requests large ranges, called windows, before they are needed, and scattered reads that
lie close together share one request.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.errors import FileError
from modalgap.remote import Remote, Stamp

WINDOW = 8 * 2**20  # bytes of one request
AHEAD = 3  # windows that are requested before they are needed
KEPT = 16  # windows that stay in memory, of all files together
REQUESTS = 8  # requests at the same time
GAP = 256 * 2**10  # bytes between scattered reads that share one request, at most

Range = tuple[int, int]  # [start, stop)


class _Windows:
    """The most recent windows of all files, and the threads that request them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[tuple[Remote, Stamp, int], Future[bytes]] = OrderedDict()
        self.pool = ThreadPoolExecutor(REQUESTS, thread_name_prefix="modalgap-ranges")

    def get(self, file: Remote, stamp: Stamp, number: int, end: int) -> Future[bytes]:
        """The window of this number, requested if it is not in memory; ``end`` is the file size."""
        key = (file, stamp, number)
        with self.lock:
            found = self.kept.get(key)
            if found is None or (found.done() and found.exception() is not None):
                span = (number * WINDOW, min((number + 1) * WINDOW, end))
                found = self.pool.submit(_fetch, file, stamp, span)
                self.kept[key] = found
            self.kept.move_to_end(key)
            while len(self.kept) > KEPT:
                self.kept.popitem(last=False)
        return found


def read(file: Remote, stamp: Stamp, span: Range, into: memoryview) -> None:
    """Read a range into memory, and request the windows after it.

    Raises:
        FileError: the file changed since its ``stamp``, or cannot be read.
    """
    start, stop = span
    size = stamp[0]
    first, last = start // WINDOW, (stop - 1) // WINDOW
    numbers = range(first, min(last + 1 + AHEAD, -(-size // WINDOW)))
    windows = [_windows.get(file, stamp, number, size) for number in numbers[: AHEAD + 1]]
    for number in range(first, last + 1):
        if number - first >= len(windows):
            windows.append(_windows.get(file, stamp, number, size))
        content = windows[number - first].result()
        begin = number * WINDOW
        a, b = max(start, begin), min(stop, begin + len(content))
        into[a - start : b - start] = content[a - begin : b - begin]


def array(file: Remote, kind: np.dtype[Any], offset: int, shape: tuple[int, ...]) -> NDArray[Any]:
    """The array at an offset in a file, in memory.

    Raises:
        FileError: it does not fit, or cannot be read.
    """
    flat = np.empty(math.prod(shape), kind)
    if flat.nbytes:
        read(file, file.stamp(), (offset, offset + flat.nbytes), flat.view(np.uint8).data)
    return flat.reshape(shape)


def scattered(file: Remote, stamp: Stamp, spans: Sequence[Range]) -> Iterator[bytes]:
    """The bytes of ranges, in ascending order; those that lie close are read together.

    Raises:
        FileError: the file changed since its ``stamp``, or cannot be read.
    """
    joined: list[list[Range]] = []
    for span in spans:
        near = joined and span[0] - joined[-1][-1][1] <= GAP
        if near and span[1] - joined[-1][0][0] <= WINDOW:
            joined[-1].append(span)
        else:
            joined.append([span])
    for at in range(0, len(joined), REQUESTS):
        some = joined[at : at + REQUESTS]
        asked = [
            _windows.pool.submit(_fetch, file, stamp, (each[0][0], each[-1][1])) for each in some
        ]
        for each, content in zip(some, asked, strict=True):
            whole, begin = content.result(), each[0][0]
            yield from (whole[start - begin : stop - begin] for start, stop in each)


def _fetch(file: Remote, stamp: Stamp, span: Range) -> bytes:
    try:
        with file.source() as source:
            if file.stamp_of(source) != stamp:
                raise FileError(f"{file}: must not change after it was opened; it was changed")
            start, stop = span
            found: bytes = file.ask(lambda *_: source.read_at(stop - start, start))
    except FileNotFoundError as error:
        raise FileError(f"{file}: must not change after it was opened; it was removed") from error
    if len(found) != stop - start:
        raise FileError(f"{file}: must not change while it is read; it has become shorter")
    return found


_windows = _Windows()


def _after_fork() -> None:
    """A child process has none of its parent's threads."""
    global _windows
    _windows = _Windows()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
