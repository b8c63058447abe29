"""Plain data and arrays from pickles, the format of several data sets.

A pickle is a program that can call any function. Here a child process with limits (``_unpickle``)
runs it with an unpickler that imports nothing, and returns JSON and buffers. On systems other
than Linux the process may have no limit of memory: a hostile pickle can fill it, but run no code.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from modalgap.data.reading import reading
from modalgap.errors import FileError, quoted

PROGRAM = Path(__file__).with_name("_unpickle.py")
PATIENCE = 300.0  # seconds; the child process has 5 seconds of CPU time, and more by size

MOST_ALIKE = 100  # values with one hash in a set or among keys; each is compared with all others

Encoding = Literal["latin1", "bytes"]


def load_plain(data: bytes, *, encoding: Encoding = "latin1") -> Any:
    """Return the value of a pickle of plain data and NumPy arrays.

    Plain data are None, booleans, numbers, strings and bytes in lists, tuples, dicts and sets.
    Arrays hold numbers, strings, or plain data. Protocols 0 to 5 are read.

    Args:
        data: the whole pickle.
        encoding: what the strings of Python 2 become: text with one character per byte, or bytes.

    Raises:
        FileError: the pickle holds anything else, is cut short, or needs too much memory or time.
    """
    if encoding not in ("latin1", "bytes"):
        raise ValueError(f"encoding must be 'latin1' or 'bytes'; got {quoted(encoding)}")
    command = [sys.executable, "-I", "-S", str(PROGRAM), str(len(data)), encoding]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with reading("pickle"):
        try:
            child = subprocess.run(command, input=data, timeout=PATIENCE, check=False, **pipes)  # noqa: S603
        except subprocess.TimeoutExpired as error:
            raise FileError(f"must be read within {PATIENCE:g} seconds; was not") from error
        if child.returncode:
            raise FileError(f"needs too much memory or time (exit status {child.returncode})")
        return build(io.BytesIO(child.stdout))


def build(output: io.BytesIO) -> Any:
    """Return the value that the child process wrote.

    Raises:
        FileError: the child process refused the pickle.
    """

    def refuse(reason: str) -> None:
        raise FileError(reason)

    def objects(content: list[Any]) -> np.ndarray[Any, Any]:
        values, shape, order = content
        flat = np.empty(len(values), object)
        for i, value in enumerate(values):
            flat[i] = value
        return flat.reshape(tuple(shape), order=order)

    makers: dict[str, Callable[[Any], Any]] = {
        "refused": refuse,
        "bytes": output.read,
        "bytearray": lambda size: bytearray(output.read(size)),
        "npy": lambda _: np.lib.format.read_array(output, allow_pickle=False),
        "scalar": lambda array: array[()],
        "objects": objects,
        "transposed": lambda content: content[0].transpose(content[1]),
        "tuple": tuple,
        "set": lambda values: set(_spread(values)),
        "frozenset": lambda values: frozenset(_spread(values)),
        "dict": lambda values: dict(zip(_spread(values[::2]), values[1::2], strict=True)),
    }

    def make(item: dict[str, Any]) -> Any:
        ((tag, content),) = item.items()
        return makers[tag](content)

    return json.loads(output.readline(), object_hook=make)


def _spread(values: list[Any]) -> list[Any]:
    """The values, if few have the same hash: a set of n that all do takes time n².

    The child process, whose time is limited, does not build every set.

    Raises:
        FileError: too many have the same hash.
    """
    if len(values) > MOST_ALIKE and max(Counter(map(hash, values)).values()) > MOST_ALIKE:
        raise FileError(f"at most {MOST_ALIKE} values in a set or dict may have the same hash")
    return values
