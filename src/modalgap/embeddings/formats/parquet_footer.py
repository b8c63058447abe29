"""Opens a Parquet file, and checks its metadata before pyarrow interprets it.

pyarrow parses the metadata of a file when it opens it, and interprets that of a column when it is
asked for it. If that is damaged, C++ code throws an exception that pyarrow does not catch, which
ends the process. The conditions are those of Apache Arrow's ``metadata.cc`` and
``size_statistics.cc``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from modalgap.embeddings.formats.parquet_pages import Fields, struct_of
from modalgap.remote import Location, Remote

# numbers of parquet.thrift
_TYPES = (
    "BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY",
)  # fmt: skip
_CODECS = range(8)
_MAGIC, _TAIL = b"PAR1", 8  # at both ends; bytes after the metadata
_AT_ONCE = 2**16  # bytes at the end of a file, which usually hold its metadata


def opened(path: Location, **options: Any) -> pq.ParquetFile:
    """A Parquet file, local or remote; ``options`` are those of pyarrow.

    Raises:
        pyarrow.ArrowInvalid: not a Parquet file, or damaged metadata.
        OSError: it cannot be read.
    """
    if isinstance(path, Remote):
        source = path.source()
        return pq.ParquetFile(source, metadata=_metadata(source), **options)
    with pa.OSFile(str(path)) as file:
        metadata = _metadata(file)
    return pq.ParquetFile(path, metadata=metadata, **options)


def _metadata(file: pa.NativeFile) -> pq.FileMetaData:
    """The metadata at the end of a file."""
    size = file.size()
    end = file.read_at(min(size, _AT_ONCE), max(0, size - _AT_ONCE))
    if end[-len(_MAGIC) :] != _MAGIC or size < 2 * len(_MAGIC) + _TAIL:
        raise pa.ArrowInvalid("no Parquet metadata at the end")
    length = int.from_bytes(end[-_TAIL : -len(_MAGIC)], "little") + _TAIL
    if length > size - len(_MAGIC):
        raise pa.ArrowInvalid("metadata that is larger than the file")
    if length > len(end):
        end = file.read_at(length, size - length)
    metadata = pq.read_metadata(pa.BufferReader(_MAGIC + end[-length:]))
    wrong = next(_wrong(metadata, memoryview(end)[-length:-_TAIL]), "")
    if wrong:
        raise pa.ArrowInvalid(f"damaged metadata: {wrong}")
    return metadata


def _wrong(metadata: pq.FileMetaData, footer: memoryview) -> Iterator[str]:
    """What pyarrow would not survive."""
    leaves = [metadata.schema.column(i) for i in range(metadata.num_columns)]
    try:
        about, _ = struct_of(footer)
        groups = about.get(4, [])
        rows = [group[3] for group in groups]
        if min(rows, default=0) < 0 or sum(rows) != about[3]:
            yield f"{about[3]} rows, but row groups of {sum(rows)}"
        for group in groups:
            if len(group[1]) != len(leaves):
                yield f"{len(group[1])} columns instead of {len(leaves)}"
            for leaf, chunk in zip(leaves, group[1], strict=True):
                yield from _wrong_column(leaf, chunk)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        yield f"{type(error).__name__}: {error}"


def _wrong_column(leaf: Any, chunk: Fields) -> Iterator[str]:
    if 8 in chunk or 9 in chunk:
        yield f"column {leaf.path!r} is encrypted"
    about = chunk[3]
    if not 0 <= about[1] < len(_TYPES) or _TYPES[about[1]] != leaf.physical_type:
        yield f"column {leaf.path!r} has another type than in the schema"
    if about[4] not in _CODECS:
        yield f"column {leaf.path!r} has an unknown codec"
    if min(about[field] for field in (5, 6, 7, 9)) < 0:
        yield f"column {leaf.path!r} has a negative size or position"
    sizes = about.get(16, {})
    if 1 in sizes and leaf.physical_type != "BYTE_ARRAY":
        yield f"column {leaf.path!r} has sizes of strings"
    for field, highest in ((2, leaf.max_repetition_level), (3, leaf.max_definition_level)):
        if sizes.get(field) and len(sizes[field]) != highest + 1:
            yield f"column {leaf.path!r} has a histogram of {len(sizes[field])} levels"
