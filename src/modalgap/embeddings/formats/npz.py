"""``.npz``: arrays as npy members of a zip; metadata as JSON bytes under ``modalgap``.

Memory is allocated for a member only after its header, its declared size and the available memory
were compared. Large members that are stored, not deflated, stay in the file.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Collection, Iterator, Mapping
from typing import IO, Any

import numpy as np
import torch
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from modalgap import files
from modalgap.embeddings.formats import flat, keys
from modalgap.embeddings.formats.contents import Contents
from modalgap.embeddings.formats.layout import MATRIX, OTHER, STRINGS
from modalgap.embeddings.formats.npy import Header, check_header, parse_header, read_data
from modalgap.embeddings.formats.stream import arrays
from modalgap.embeddings.rows import FileRows, MemoryRows, Rows, torch_dtype
from modalgap.errors import FileError, InputError, quoted
from modalgap.files import check_expansion, parsing, regular_file
from modalgap.remote import Location, Remote

_PLAIN = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}  # all that numpy writes


def read(path: Location) -> Contents:
    """Read a file of modalgap, or of another program with common keys."""
    size = regular_file(path)
    with parsing(path, "npz"), _opened(path) as archive:
        return flat.decode(_Archive(path, size, archive), str(path))


def write(data: keys.Data, file: IO[bytes]) -> Iterator[int]:
    """Write ``data`` chunk by chunk; yield the number of rows written."""
    tensors = flat.encode(data)
    vectors = keys.sides_of(data)
    text = json.dumps(keys.describe(data)).encode()
    tensors[keys.FORMAT] = np.frombuffer(text, np.uint8)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for key, value in tensors.items():
            if value.dtype is torch.bfloat16:
                raise InputError(
                    "must hold float16, float32 or float64; got bfloat16, which .safetensors takes"
                )
            # ZipInfo without a time: the same data makes the same bytes
            with archive.open(zipfile.ZipInfo(f"{key}.npy"), "w", force_zip64=True) as member:
                for i, array in enumerate(arrays(value)):
                    if i == 0:
                        descr = npy_format.dtype_to_descr(array.dtype)
                        header = {"descr": descr, "fortran_order": False, "shape": value.shape}
                        npy_format.write_array_header_1_0(member, header)
                    member.write(array.tobytes())
                    yield len(array) if key in vectors else 0


def _opened(path: Location) -> zipfile.ZipFile:
    return zipfile.ZipFile(path.open("rb") if isinstance(path, Remote) else path)


class _Archive:
    """The named arrays of one zip."""

    def __init__(self, path: Location, size: int, archive: zipfile.ZipFile) -> None:
        self.path, self.size, self.archive = path, size, archive
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            if key in self.members:
                raise FileError(f"{path}: must hold each key once; found {quoted(key[:80])} twice")
            self.members[key] = info
        self.claimed = 0  # bytes of memory allocated for members so far

    @property
    def metadata(self) -> Mapping[str, str]:
        if keys.FORMAT not in self.members:
            return {}
        result = json.loads(self.array(keys.FORMAT).tobytes())
        if not isinstance(result, dict) or not all(isinstance(v, str) for v in result.values()):
            raise FileError(
                f"{self.path}: {quoted(keys.FORMAT)} must map strings to strings; it does not"
            )
        return result

    def names(self) -> Collection[str]:
        return self.members.keys()

    def kind(self, key: str) -> str:
        header = self._header(key)
        if header.kind.kind in "US":
            return STRINGS
        return MATRIX if len(header.shape) == 2 and not header.kind.hasobject else OTHER

    def rows(self, key: str) -> Rows:
        where, info, header = self._where(key), self.members[key], self._header(key)
        check_header(header, where, info.file_size)
        dtype = torch_dtype(header.kind)
        if dtype is None or len(header.shape) != 2:
            raise FileError(
                f"{where} must be float16, float32 or float64 of two dimensions;"
                f" found {header.kind} of shape {header.shape}"
            )
        if self._stays(info, header):
            if not header.fortran:
                begin = self._data_offset(info) + header.offset
                n, d = header.shape
                return FileRows(self.path, begin, header.kind, (n, d), dtype)
        elif info.file_size > files.SMALL and info.file_size > files.RATIO * info.compress_size:
            raise FileError(
                f"{where} must be vectors, which compress little; found {info.compress_size} bytes"
                f" that expand to {info.file_size}"
            )
        return MemoryRows(torch.from_numpy(self.array(key)))

    def array(self, key: str) -> NDArray[Any]:
        where, info, header = self._where(key), self.members[key], self._header(key)
        check_header(header, where, info.file_size)
        self.claimed += info.file_size
        check_expansion(self.path, self.size, self.claimed)
        with self.archive.open(info) as member:
            member.read(header.offset)
            result = read_data(member, header, where)
            member.read(1)  # the end of the member, where its checksum is compared
        return result

    def form(self, key: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
        header = self._header(key)
        check_header(header, self._where(key), self.members[key].file_size)
        return header.kind.newbyteorder("="), header.shape

    def vector(self, key: str) -> Rows:
        info, header = self.members[key], self._header(key)
        if not self._stays(info, header):
            return MemoryRows(torch.from_numpy(self.array(key)).view(-1, 1))
        begin = self._data_offset(info) + header.offset
        dtype = flat.DTYPES[header.kind.newbyteorder("=")]
        return FileRows(self.path, begin, header.kind, (header.shape[0], 1), dtype)

    def _stays(self, info: zipfile.ZipInfo, header: Header) -> bool:
        """Whether a member stays in the file: it is large, and stored rather than deflated."""
        return info.compress_type == zipfile.ZIP_STORED and header.nbytes > files.SMALL

    def _header(self, key: str) -> Header:
        info = self.members[key]
        if info.compress_type not in _PLAIN:
            raise FileError(f"{self._where(key)} must be stored or deflated; found another method")
        with self.archive.open(info) as member:
            return parse_header(member)

    def _where(self, key: str) -> str:
        return f"{self.path}: {quoted(key[:80])}"

    def _data_offset(self, info: zipfile.ZipInfo) -> int:
        """Where the bytes of a stored member begin: after its own copy of its name."""
        with self.path.open("rb") as file:
            file.seek(info.header_offset)
            local = file.read(30)
        begin = (
            info.header_offset
            + 30
            + sum(int.from_bytes(local[at : at + 2], "little") for at in (26, 28))
        )
        if begin + info.file_size > self.size:
            raise FileError(f"{self._where(info.filename)} must lie inside the file; it ends early")
        return begin
