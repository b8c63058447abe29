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
_MAGIC, _TAIL = 4, 8  # bytes before and after the metadata


def opened(path: Location, **options: Any) -> pq.ParquetFile:
    """A Parquet file, local or remote; ``options`` are those of pyarrow.

    Raises:
        pyarrow.ArrowInvalid: damaged metadata.
        OSError: not a Parquet file, or it cannot be read.
    """
    file = pq.ParquetFile(path.source() if isinstance(path, Remote) else path, **options)
    try:
        _check(file.metadata)
    except Exception:
        file.close(force=True)
        raise
    return file


def _check(metadata: pq.FileMetaData) -> None:
    sink = pa.BufferOutputStream()
    metadata.write_metadata_file(sink)
    wrong = next(_wrong(metadata, memoryview(sink.getvalue().to_pybytes())[_MAGIC:-_TAIL]), "")
    if wrong:
        raise pa.ArrowInvalid(f"damaged metadata: {wrong}")


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
