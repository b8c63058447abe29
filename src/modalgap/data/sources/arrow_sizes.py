"""Check Arrow files of ``datasets`` before the library maps them into memory.

The library trusts offsets in a file, and decompresses all of it at once. A string is stored once
for all rows that repeat it, and a column of nulls has any number of rows in a few bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from modalgap.data.reading import load_json
from modalgap.embeddings.formats.parquet_sizes import VALUE, string_bytes
from modalgap.errors import FileError, quoted
from modalgap.files import check_expansion

_UNUSUAL = (  # views of the same values may overlap
    pa.types.is_run_end_encoded,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
    pa.types.is_string_view,
    pa.types.is_binary_view,
)
_DICTIONARY, _BATCH = 2, 3  # kinds of messages of Message.fbs


def check_arrow(path: Path) -> None:
    """Check the record batches of an Arrow file, in the streaming format or the file format.

    Raises:
        FileError: compressed batches, which ``datasets`` does not write; damaged offsets; or more
            content than a file of this size may have.
    """
    size, wanted = path.stat().st_size, 0
    with pa.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            return  # datasets refuses it
        source.seek(0)
        for message in _messages(source):
            if _is_compressed(message.metadata.to_pybytes()):
                raise FileError(f"{path}: must not be compressed inside; its batches are")
        source.seek(0)
        batches = pa.ipc.open_stream(source)
        for field in batches.schema:
            if not _is_plain(field.type):
                raise FileError(f"{path}: {quoted(field.name[:80])} has an unusual type")
        for batch in batches:
            wanted += VALUE * batch.num_rows * max(1, batch.num_columns)
            check_expansion(path, size, wanted)
            batch.validate(full=True)
            wanted += sum(string_bytes(column) for column in batch.columns)
            check_expansion(path, size, wanted)


def check_saved(folder: Path) -> None:
    """Check the Arrow files of a saved data set, or of one per split.

    Raises:
        FileError: as ``check_arrow``.
    """
    for state in sorted([*folder.glob("state.json"), *folder.glob("*/state.json")]):
        for each in load_json(state)["_data_files"]:
            check_arrow(state.parent / each["filename"])


def _is_plain(kind: pa.DataType) -> bool:
    """Whether the values of a type are stored one after the other, or in a dictionary."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if any(test(kind) for test in _UNUSUAL):
        return False
    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    return all(_is_plain(kind.field(i).type) for i in range(kind.num_fields))


def _messages(source: pa.NativeFile) -> Iterator[pa.Message]:
    reader = pa.ipc.MessageReader.open_stream(source)
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


def _is_compressed(message: bytes) -> bool:
    """Whether a message is a batch with compressed buffers: tables of flatbuffers.

    A table begins with the distance to its vtable, which holds the place of each field.
    """

    def field(table: int, number: int) -> int:
        """The place of a field, or 0 if the table lacks it."""
        vtable = table - struct.unpack_from("<i", message, table)[0]
        at = 4 + 2 * number
        if at >= struct.unpack_from("<H", message, vtable)[0]:
            return 0
        place: int = struct.unpack_from("<H", message, vtable + at)[0]
        return place and table + place

    def follow(at: int) -> int:
        return at + int(struct.unpack_from("<I", message, at)[0])

    root = follow(0)
    kind_at, header_at = field(root, 1), field(root, 2)
    kind = message[kind_at] if kind_at else 0
    if kind not in (_DICTIONARY, _BATCH) or not header_at:
        return False
    header = follow(header_at)
    if kind == _DICTIONARY:
        inner = field(header, 1)
        if not inner:
            return False
        header = follow(inner)
    return bool(field(header, 3))
