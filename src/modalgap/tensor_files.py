"""Safetensors files of equal content have equal bytes."""

from __future__ import annotations

import json
from typing import IO


def sort_metadata(file: IO[bytes]) -> None:
    """Sort the metadata of a safetensors file by name, in place.

    The library writes them in an order that differs from process to process.

    Args:
        file: open for reading and writing, complete.
    """
    file.seek(0)
    size = int.from_bytes(file.read(8), "little")
    header = json.loads(file.read(size))
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode().ljust(size)
    if len(text) == size:  # always, unless the library escapes a character in another way
        file.seek(8)
        file.write(text)
