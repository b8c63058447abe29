"""Parts: the results of an unfinished run, in files that are replaced atomically.

A part is a safetensors file. Its header holds ``run``, a hash of the settings in ``plan.json``;
``name``, the name of the file; and ``about``, JSON from the caller. A part that does not belong to
the run is reported as damaged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import xxhash
from numpy.typing import NDArray
from safetensors import safe_open

from modalgap.atomic import replacing
from modalgap.errors import FileError
from modalgap.files import parsing
from modalgap.work.folder import PLAN

Span = tuple[int, int]  # items a … b - 1


@dataclass(frozen=True, eq=False)
class Part:
    """The content of a part.

    Attributes:
        arrays: the arrays, by name.
        about: other stored values, of plain JSON types.
    """

    arrays: Mapping[str, NDArray[Any]]
    about: Any = None


class Parts:
    """Parts of items 0 … n - 1; each holds a span of items.

    Args:
        folder: the folder from ``work_folder``.
        kind: kind of items, a prefix of the file names, so that one folder can hold several kinds.
    """

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind

    def path(self, span: Span) -> Path:
        """The file of a span."""
        return self.folder / f"{self.kind}-{span[0]:09d}-{span[1]:09d}.safetensors"

    def spans(self) -> list[Span]:
        """The spans that are stored, ascending."""
        name = re.compile(rf"{self.kind}-([0-9]+)-([0-9]+)\.safetensors")
        found = [name.fullmatch(path.name) for path in self.folder.iterdir()]
        return sorted((int(match[1]), int(match[2])) for match in found if match)

    def missing(self, n: int, size: int) -> list[Span]:
        """The spans of n items that are not stored, each of at most ``size`` items."""
        left = []
        position = 0
        for a, b in [*self.spans(), (n, n)]:
            left += [(i, min(i + size, a)) for i in range(position, a, size)]
            position = max(position, b)
        return left

    def write(self, span: Span, arrays: Mapping[str, NDArray[Any]], about: Any = None) -> Path:
        """Write the part of a span.

        Raises:
            OutputError: it cannot be written.
        """
        return write_part(self.path(span), arrays, about)

    def read(self, span: Span, only: Collection[str] | None = None) -> Part:
        """Read the part of a span; all arrays, or only the named ones.

        Raises:
            FileError: it is damaged, or belongs to another run.
        """
        return read_part(self.path(span), only)


def write_part(path: Path, arrays: Mapping[str, NDArray[Any]], about: Any = None) -> Path:
    """Write a part into the folder of a run.

    Raises:
        OutputError: it cannot be written.
    """
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    header = {"run": _run_of(path.parent), "name": path.name, "about": json.dumps(about)}
    with replacing(path, overwrite=True) as file:
        file.write(safetensors.numpy.save(whole, header))
    return path


def read_part(path: Path, only: Collection[str] | None = None) -> Part:
    """Read the part that ``write_part`` wrote; all arrays, or only the named ones.

    Raises:
        FileError: it is damaged, or belongs to another run.
    """
    try:
        with parsing(path, "safetensors"), safe_open(path, framework="np") as file:
            header = file.metadata() or {}
            names = file.keys() if only is None else only
            arrays = {name: file.get_tensor(name) for name in names}
            about = json.loads(header["about"])
    except FileError as error:
        raise damaged(path) from error
    if header.get("run") != _run_of(path.parent) or header.get("name") != path.name:
        raise damaged(path)
    return Part(arrays, about)


def damaged(path: Path) -> FileError:
    """The error for a part that cannot be used."""
    return FileError(f"{path}: is damaged; remove {path.parent} to start over")


def _run_of(folder: Path) -> str:
    """A hash of the settings of the run."""
    try:
        return xxhash.xxh3_128_hexdigest((folder / PLAN).read_bytes())
    except OSError as error:
        raise FileError(f"{folder / PLAN}: cannot be read ({error.strerror})") from error
