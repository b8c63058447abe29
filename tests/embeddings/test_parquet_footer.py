"""Damaged metadata of Parquet files is refused; without the check pyarrow ends the process."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from patience import in_full

import modalgap as mg
from modalgap import errors
from modalgap.embeddings.formats.parquet_footer import opened
from modalgap.embeddings.formats.parquet_pages import struct_of


@pytest.fixture
def whole(tmp_path: Path) -> bytes:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2, 6, 3)).astype(np.float32)
    image = mg.Embeddings(rows[0], "image", list("abcdef"), {"kind": np.arange(6) % 2})
    mg.save(mg.Pair(image, rows[1]), tmp_path / "whole.parquet")
    return (tmp_path / "whole.parquet").read_bytes()


def bits(data: bytes) -> Iterator[tuple[int, int]]:
    """Each bit of the metadata: byte and number."""
    size = int.from_bytes(data[-8:-4], "little")
    return ((i, bit) for i in range(len(data) - 8 - size, len(data) - 8) for bit in range(8))


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=in_full)])
def test_bits(whole: bytes, tmp_path: Path, step: int) -> None:
    path, refused, tried = tmp_path / "damaged.parquet", 0, [*bits(whole)][::step]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for at, bit in tried:
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                mg.load(path)
            except errors.ModalgapError as error:
                assert "\n" not in str(error)
                refused += 1
    assert len(tried) / 3 < refused < len(tried)


def changed(data: bytes, old: bytes, new: bytes, nth: int = 0) -> bytes:
    """The data with one occurrence of a part replaced."""
    assert data.count(old) > nth
    parts = data.split(old)
    return old.join(parts[: nth + 1]) + new + old.join(parts[nth + 1 :])


LIST = b"\x05image\x15\x02\x15\x06"  # a column of the schema: its name, one child, a list
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "histogram of": lambda data: changed(data, b"\x02\x18" + LIST, b"\x00\x18" + LIST),
    "another type": lambda data: changed(data, b"\x15\x08%\x00\x18\x07element",
                                         b"\x15\x0a%\x00\x18\x07element"),
    "unknown codec": lambda data: changed(data, b"\x07element\x15\x02\x16$",
                                          b"\x07element\x15\x40\x16$"),
    "rows": lambda data: changed(data, b"\x16\x0c\x19\x1c", b"\x16\x0b\x19\x1c"),
    "negative size": lambda data: changed(data, b"\x07element\x15\x02\x16$",
                                          b"\x07element\x15\x02\x16#"),
}  # fmt: skip


@pytest.mark.parametrize("reason", CHANGES)
def test_what_pyarrow_does_not_survive(whole: bytes, tmp_path: Path, reason: str) -> None:
    path = tmp_path / "damaged.parquet"
    path.write_bytes(CHANGES[reason](whole))
    with pytest.raises(errors.FileError, match=rf"must be a whole parquet file; .*{reason}"):
        mg.load(path)
    with pytest.raises(pa.ArrowInvalid, match=reason):
        opened(path)


def test_files_of_others(tmp_path: Path) -> None:
    """Kinds of columns, codecs and empty files that are whole."""
    table = pa.table(
        {
            "list": [[1.0], [], None],
            "struct": [{"a": 1, "b": ["x"]}, None, {"a": 2, "b": []}],
            "text": ["a", None, "c"],
            "flag": [True, None, False],
            "fixed": pa.array([b"ab", b"cd", None], pa.binary(2)),
            "none": pa.nulls(3),
        }
    )
    options: list[dict[str, Any]] = [
        {"compression": each} for each in ("none", "snappy", "gzip", "brotli", "zstd", "lz4")
    ]
    options += [{"version": "1.0"}, {"data_page_version": "2.0"}, {"write_statistics": False},
                {"row_group_size": 1}, {"store_schema": False}]  # fmt: skip
    for number, each in enumerate(options):
        for rows in (table, table[:0]):
            path = tmp_path / f"{number}-{len(rows)}.parquet"
            pq.write_table(rows, path, **each)
            with opened(path) as file:
                assert file.read().equals(rows.cast(file.schema_arrow))


@pytest.mark.parametrize(
    "data",
    [b"", b"PAR1", b"PAR1PAR1", b"PAR1\0\0\0\0PAR1", b"PAR1" + b"\0" * 9 + b"PAR1",
     b"PAR1\xff\xff\xff\xffPAR1", b"x" * 100],
)  # fmt: skip
def test_no_metadata(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(data)
    with pytest.raises((pa.ArrowInvalid, OSError)):
        opened(path)
    with pytest.raises(errors.FileError):
        mg.load(path)


def test_signed_or_long_metadata(tmp_path: Path) -> None:
    """Metadata that names an encryption algorithm, and metadata that one request does not hold."""
    plain, signed = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(pa.table({f"column {i}": [i] for i in range(800)}), plain)
    data = plain.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    assert size > 2**16
    with opened(plain) as file:
        assert file.read()["column 3"].to_pylist() == [3]
    footer = data[-8 - size : -9] + b"\x0c\x10\x1c\x00\x00\x00"  # AES_GCM_V1 without anything
    signed.write_bytes(data[: -8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    with opened(signed) as file:
        assert file.metadata.num_columns == 800


def test_structs_in_each_other_end() -> None:
    for bad in (b"\x1c" * 5000, b"\x19\x19" * 5000):
        with pytest.raises(ValueError, match="in each other"):
            struct_of(memoryview(bad))
