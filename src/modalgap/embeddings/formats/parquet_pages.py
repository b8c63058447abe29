"""Plain pages of a Parquet column of lists, read without decoding two levels for each number.

Parquet stores with every number a repetition level (0 where a list begins) and a definition level
(which says what is null). To decode them takes several times as long as to read the numbers. Where
no list is null and all have one length, the levels of a page are known in advance: they are
compared with what they must be, and the numbers are taken as they are. Any other page (another
encoding, other lengths, a null, a wrong checksum) is left to pyarrow, which decodes it or raises an
error.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

_PHYSICAL = {"<f2": "FIXED_LEN_BYTE_ARRAY", "<f4": "FLOAT", "<f8": "DOUBLE"}
_DATA_PAGE, _PLAIN, _RLE = 0, 0, 3  # numbers of parquet.thrift
# kinds of values in Thrift's compact protocol
_FLAGS, _BYTE, _INTEGERS, _DOUBLE, _BYTES, _LISTS, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, (9, 10), 12
_DEPTH = 16  # structs and lists in each other
Fields = dict[int, Any]


def plain_rows(
    source: pa.NativeFile, metadata: pq.FileMetaData, group: int, leaf: int, width: int, kind: str
) -> NDArray[Any] | None:
    """(n, width) numbers of a row group; None if one of its pages is not of this kind.

    Args:
        source: the file.
        metadata: metadata of the file.
        group: number of the row group.
        leaf: number of the column of numbers.
        width: length of every list.
        kind: "<f2", "<f4" or "<f8".
    """
    column, schema = metadata.row_group(group).column(leaf), metadata.schema.column(leaf)
    n = metadata.row_group(group).num_rows
    if (
        column.num_values != n * width
        or column.physical_type != _PHYSICAL[kind]
        or schema.max_repetition_level != 1
        or column.has_dictionary_page
        or not set(column.encodings) <= {"PLAIN", "RLE", "BIT_PACKED"}
    ):
        return None
    try:
        # not column.compression: pyarrow ends the process at a number that is no codec
        packed = column.total_compressed_size != column.total_uncompressed_size
        chunk = source.read_at(column.total_compressed_size, column.data_page_offset)
        level, values, found = schema.max_definition_level, 0, []
        for count, body in _pages(memoryview(chunk), packed, n * width * np.dtype(kind).itemsize):
            repeated, rest = _levels(body)
            defined, rest = _levels(rest)
            found.append(np.frombuffer(rest, kind))
            regular = len(found[-1]) == count and defined == _run(count, level)
            if not (regular and _regular(repeated, count, width, values % width)):
                return None
            values += count
    except Exception:  # damaged bytes can raise anything; the error of pyarrow is clearer
        return None
    return np.concatenate(found).reshape(n, width) if values == n * width else None


def _pages(chunk: memoryview, packed: bool, size: int) -> Iterator[tuple[int, memoryview]]:
    """Number of values, levels included, and content of each page.

    Raises:
        ValueError: a page of another kind, of another codec, or with a wrong checksum.
    """
    at = 0
    while at < len(chunk):
        header, at = _struct(chunk, at, 0)
        body = chunk[at : at + header[3]]
        at += header[3]
        about = header[5]
        if header[1] != _DATA_PAGE or [about[i] for i in (2, 3, 4)] != [_PLAIN, _RLE, _RLE]:
            raise ValueError("not plain")
        if len(body) != header[3] or (4 in header and zlib.crc32(body) != header[4] % 2**32):
            raise ValueError("damaged")
        if header[2] > 2 * size + 1024:  # more than the numbers and their levels
            raise ValueError("too large")
        if packed:
            body = memoryview(_codec(body, header[2]).decompress(body, header[2]))
        elif header[2] != header[3]:
            raise ValueError("compressed")
        yield about[1], body


def struct_of(data: memoryview) -> tuple[Fields, int]:
    """A struct of Thrift's compact protocol at the start of ``data``, and its length.

    It is a dict of its numbers, structs, and lists of them, by number of the field. Other fields
    are left out.

    Raises:
        IndexError: it does not end in ``data``.
        ValueError: it is damaged.
    """
    return _struct(data, 0, 0)


def _codec(body: memoryview, size: int) -> pa.Codec:
    """The codec of a page, by its first bytes; Snappy begins with the size of the content."""
    for start, name in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"\x1f\x8b", "gzip")):
        if body[: len(start)] == start:
            return pa.Codec(name)
    if _varint(body, 0)[0] != size:
        raise ValueError("another codec")
    return pa.Codec("snappy")


def _levels(body: memoryview) -> tuple[bytes, memoryview]:
    """The levels at the start of a page or of its rest, and what follows."""
    end = 4 + int.from_bytes(body[:4], "little")
    return bytes(body[4:end]), body[end:]


def _run(count: int, level: int) -> bytes:
    """One level, ``count`` times, as one run."""
    return _encoded(count << 1) + bytes([level])


@lru_cache(64)
def _regular(levels: bytes, count: int, width: int, first: int) -> bool:
    """Whether repetition levels begin a list every ``width`` values, the first after the others.

    Pages of one size have the same levels, byte for byte.
    """
    found = np.zeros(count, bool)
    at = done = 0
    while done < count:
        head, at = _varint(levels, at)
        if head & 1:  # groups of eight levels, one bit each
            size = head >> 1
            bits = np.unpackbits(np.frombuffer(levels[at : at + size], np.uint8), bitorder="little")
            some = bits[: count - done]
            found[done : done + len(some)] = some
            at += size
            length = len(bits)
        else:  # one level, many times
            length = head >> 1
            found[done : done + length] = levels[at]
            at += 1
        if not length:
            return False
        done += length
    return bool((found == ((np.arange(count) + first) % width != 0)).all())


def _encoded(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _varint(data: memoryview | bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
        if shift > 63:
            raise ValueError("a long number")


def _struct(data: memoryview, at: int, depth: int) -> tuple[Fields, int]:
    """The fields of a struct, and where it ends.

    Raises:
        ValueError: a kind of field that Parquet does not use.
    """
    found: Fields = {}
    number = 0
    while True:
        head = data[at]
        at += 1
        if head == 0:
            return found, at
        kind, step = head & 15, head >> 4
        number += step
        if not step:
            number, at = _integer(data, at)
        if kind in _FLAGS:  # the value is the kind
            continue
        value, at = _value(data, at, kind, depth)
        if value is not None:
            found[number] = value


def _integer(data: memoryview, at: int) -> tuple[int, int]:
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _value(data: memoryview, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """A field or an element of a list; None if it is left out."""
    if kind in _INTEGERS:
        return _integer(data, at)
    if kind in (*_FLAGS, _BYTE):
        return None, at + 1
    if kind == _DOUBLE:
        return None, at + 8
    if kind == _BYTES:
        size, at = _varint(data, at)
        return None, at + size
    if depth == _DEPTH:
        raise ValueError("many structs in each other")
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    if kind not in _LISTS:
        raise ValueError(f"a field of kind {kind}")
    head, at = data[at], at + 1
    size, kind = head >> 4, head & 15
    if size == 15:
        size, at = _varint(data, at)
    values = []
    for _ in range(size):
        value, at = _value(data, at, kind, depth + 1)
        values.append(value)
    return values, at
