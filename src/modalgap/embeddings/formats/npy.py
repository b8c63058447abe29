"""``.npy``: (2, n, d) images and texts, or (n, d) of one modality.

The header is checked against the size of the file before anything is allocated, and pickled
objects are refused by their dtype and never loaded.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from modalgap import files
from modalgap.embeddings.formats.contents import Contents, Side
from modalgap.embeddings.mapped import mapped
from modalgap.embeddings.rows import FileRows, MemoryRows, Rows, torch_dtype
from modalgap.errors import FileError
from modalgap.files import check_memory, parsing, regular_file
from modalgap.remote import Location

_LONGEST_HEADER = 16384  # numpy itself refuses to evaluate more than 10,000 characters


@dataclass(frozen=True)
class Header:
    """What an npy header declares.

    Attributes:
        kind: numpy dtype with its byte order.
        shape: of the array.
        fortran: whether columns come first.
        offset: bytes before the data.
    """

    kind: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def nbytes(self) -> int:
        """Bytes of data declared."""
        return math.prod(self.shape) * self.kind.itemsize


def read(path: Location) -> Contents:
    """Read a file of shape (2, n, d) or (n, d)."""
    size = regular_file(path)
    with parsing(path, "npy"), path.open("rb") as file:
        header = parse_header(file)
        check_header(header, str(path), size)
    kind, shape = header.kind, header.shape
    if torch_dtype(kind) is None:
        raise FileError(f"{path}: must hold float16, float32 or float64; found {kind}")
    if len(shape) == 3 and shape[0] == 2:
        image, text = _rows(path, header)
        sides = {"image": Side(image, named=False), "text": Side(text, named=False)}
        return Contents(str(path), sides)
    if shape == (0,):  # no rows: numpy's array of an empty list
        return Contents(str(path), {"image": Side(MemoryRows(torch.empty(0, 0)), named=False)})
    if len(shape) == 2:
        return Contents(str(path), {"image": Side(_rows(path, header)[0], named=False)})
    raise FileError(
        f"{path}: must have shape (2, n, d), images then texts, or (n, d), one modality;"
        f" found {shape}"
    )


def read_array(path: Location) -> NDArray[Any]:
    """Read any array of numbers; if it is large, its values are read when they are used."""
    size = regular_file(path)
    with parsing(path, "npy"), path.open("rb") as file:
        header = parse_header(file)
        check_header(header, str(path), size)
        large = header.nbytes > max(files.SMALL, 0)
        if large and not header.fortran and isinstance(path, Path):
            return mapped(path, header.kind, header.offset, header.shape)
        check_memory(path, size)
        file.seek(header.offset)
        return read_data(file, header, str(path))


def parse_header(file: IO[bytes]) -> Header:
    """Parse the header at the start of ``file``, at most 16 KiB."""
    start = io.BytesIO(file.read(_LONGEST_HEADER))
    version = npy_format.read_magic(start)
    if version == (1, 0):
        shape, fortran, kind = npy_format.read_array_header_1_0(start)
    elif version == (2, 0):
        shape, fortran, kind = npy_format.read_array_header_2_0(start)
    else:  # (3, 0) is for field names, which no array of numbers has
        raise ValueError(f"npy version {version}")
    return Header(kind, shape, fortran, start.tell())


def check_header(header: Header, where: str, size: int) -> None:
    """Refuse Python objects, and a shape that does not fill ``size`` bytes exactly."""
    if header.kind.hasobject:
        raise FileError(f"{where}: must hold numbers; found Python objects, which are never loaded")
    if any(type(length) is not int or length < 0 for length in header.shape):
        raise FileError(f"{where}: must have a shape of whole numbers; found {header.shape}")
    found = size - header.offset
    if found != header.nbytes:
        raise FileError(
            f"{where}: must hold {_short(header.nbytes)} bytes of data for its shape"
            f" {_short(header.shape)}; found {found} (cut short, or more than one array)"
        )


def read_data(file: IO[bytes], header: Header, where: str) -> NDArray[Any]:
    """Read the array that follows ``header`` into memory, in native byte order."""
    flat = np.empty(math.prod(header.shape), header.kind)
    if header.nbytes:
        view = flat.view(np.uint8).data
        filled = 0
        while filled < len(view):
            got = file.readinto(view[filled:])  # type: ignore[attr-defined]
            if not got:
                raise FileError(f"{where}: ends early; must hold {len(view)} bytes, found {filled}")
            filled += got
    array = flat.reshape(header.shape, order="F" if header.fortran else "C")
    return np.ascontiguousarray(array.astype(header.kind.newbyteorder("="), copy=False))


def _rows(path: Location, header: Header) -> list[Rows]:
    """Each matrix in the file as rows; left in the file if it is stored row by row."""
    n, d = header.shape[-2:]
    dtype = torch_dtype(header.kind) or torch.float32
    sides = len(header.shape) - 1
    if header.fortran and header.nbytes:
        array = read_array(path).reshape(sides, n, d)
        return [MemoryRows(torch.from_numpy(matrix)) for matrix in array]
    step = n * d * header.kind.itemsize
    return [
        FileRows(path, header.offset + side * step, header.kind, (n, d), dtype)
        for side in range(sides)
    ]


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]} …"
