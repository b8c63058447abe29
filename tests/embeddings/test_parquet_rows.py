"""Rows that stay in a Parquet file: those of a whole read, each group decoded once, all checked."""

from __future__ import annotations

import gc
import os
import pickle
import re
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import modalgap as mg
from modalgap import errors, files
from modalgap.embeddings import Embeddings
from modalgap.embeddings.formats import parquet, parquet_rows
from modalgap.embeddings.formats.parquet_rows import ParquetRows
from modalgap.embeddings.rows import Rows

N, D = 103, 3
RANDOM = np.random.default_rng(0)
VALUES = RANDOM.normal(size=(N, D)).astype(np.float32)


def column(kind: pa.DataType, nulls: int = 0, values: np.ndarray[Any, Any] = VALUES) -> pa.Array:
    return pa.array([*values.tolist(), *[None] * nulls], kind)


def write(path: Path, array: pa.Array, **options: Any) -> Path:
    pq.write_table(pa.table({"image": array}), path, **({"row_group_size": 20} | options))
    return path


def rows_in(path: Path) -> Rows:
    return parquet.read(path).sides["image"].rows


LIST = pa.list_(pa.float32())
FILES: dict[str, Callable[[Path], Path]] = {
    "lists": lambda path: write(path, column(LIST)),
    "large lists": lambda path: write(path, column(pa.large_list(pa.float32()))),
    "lists of fixed size": lambda path: write(path, column(pa.list_(pa.float32(), D))),
    "no nulls inside": lambda path: write(
        path, column(pa.list_(pa.field("element", pa.float32(), nullable=False)))
    ),
    "one row group": lambda path: write(path, column(LIST), row_group_size=1000),
    "row groups of one": lambda path: write(path, column(LIST), row_group_size=1),
    "nulls in one group": lambda path: write(path, column(LIST, 9)),
    "nulls in many groups": lambda path: write(path, column(LIST, 99)),
    "fixed size and nulls": lambda path: write(path, column(pa.list_(pa.float32(), D), 99)),
    "no statistics": lambda path: write(path, column(LIST), write_statistics=False),
    "nulls, no statistics": lambda path: write(path, column(LIST, 99), write_statistics=False),
    "second version of pages": lambda path: write(path, column(LIST), data_page_version="2.0"),
    "compressed": lambda path: write(path, column(LIST), compression="zstd"),
    "dictionary": lambda path: write(path, column(LIST), use_dictionary=True),
    "split bytes": lambda path: write(
        path, column(LIST), use_dictionary=False, use_byte_stream_split=True
    ),
    "ours": lambda path: mg.save(Embeddings(VALUES), path),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of seven rows, which end inside of row groups and run over their borders."""
    monkeypatch.setattr(parquet_rows, "BLOCK", 7 * D * 4)
    monkeypatch.setattr(parquet_rows, "WHOLE", 0)


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("way", ["by block", "buffered", "plain pages"])
def test_every_kind_of_file(
    kind: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffered = way == "buffered"
    if way == "plain pages":
        monkeypatch.setattr(parquet_rows, "WHOLE", 10**6)
    if buffered:
        monkeypatch.setattr(parquet_rows, "LARGE", 0)
        monkeypatch.setattr(parquet_rows, "BUFFER", 64)
    rows = rows_in(FILES[kind](tmp_path / "a.parquet"))
    assert isinstance(rows, ParquetRows)
    assert (rows.shape, rows.dtype, rows.in_memory) == ((N, D), torch.float32, False)
    assert rows.buffer == (64 if buffered else 0)
    whole = torch.from_numpy(VALUES)
    for start, stop in [(0, N), (0, 1), (19, 21), (100, N), (3, 3), (50, 90), (6, 7), (0, 7)]:
        assert torch.equal(rows.read(start, stop), whole[start:stop])
    random = np.random.default_rng(0)
    indices = [[], [0], [N - 1, 0, N - 1], *(random.integers(0, N, 30).tolist() for _ in range(5))]
    for index in indices:
        at = torch.tensor(index, dtype=torch.int64)
        assert torch.equal(rows.take(at), whole[at])


@pytest.mark.parametrize("kind", FILES)
def test_which_pages_are_plain(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All without a dictionary, which pyarrow writes unless it is told not to."""
    monkeypatch.setattr(parquet_rows, "WHOLE", 10**6)
    path = FILES[kind](tmp_path / "a.parquet")
    plain = decoded(monkeypatch)
    rows_in(path).read(0, 15)
    assert plain == ([0] if kind == "ours" else [0, 7, 14])
    split, second = kind.startswith("split"), kind.startswith("second")
    pq.write_table(
        pq.read_table(path), path, use_dictionary=False, use_byte_stream_split=split,
        data_page_version="2.0" if second else "1.0", compression="zstd",
    )  # fmt: skip
    plain.clear()
    rows_in(path).read(0, 15)
    assert plain == ([0, 7, 14] if split or second or kind.find("null") in (0, 15) else [0])


def test_pages_that_end_inside_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = RANDOM.normal(size=(2000, 37)).astype(np.float16)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), 37)
    path = write(
        tmp_path / "a.parquet", flat, row_group_size=700, data_page_size=1000, use_dictionary=False
    )
    monkeypatch.setattr(parquet_rows, "WHOLE", 10**6)
    found = decoded(monkeypatch)
    assert torch.equal(rows_in(path).read(0, 2000), torch.from_numpy(values))
    assert found == [0, 700, 1400]


def test_changed_bytes_of_plain_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any changed byte gives what pyarrow alone gives, or the rows as they were written."""
    values = VALUES[:6]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), D)
    path = write(tmp_path / "a.parquet", flat, use_dictionary=False, compression="none")
    good = path.read_bytes()
    end = 4 + pq.ParquetFile(path).metadata.row_group(0).column(0).total_compressed_size

    def outcome(limit: int) -> object:
        monkeypatch.setattr(parquet_rows, "WHOLE", limit)
        parquet_rows._OPEN.idle.clear()
        try:
            return rows_in(path).read(0, 6).numpy().tobytes()
        except errors.FileError as error:
            return str(error)

    for at in range(4, end):
        for bit in (1, 8, 128):
            bad = bytearray(good)
            bad[at] ^= bit
            path.write_bytes(bad)
            assert outcome(10**6) in (outcome(0), values.tobytes()), at


@pytest.mark.parametrize("width", [1, 2])
def test_narrow_rows(width: int, tmp_path: Path) -> None:
    values = VALUES[:, :width]
    for nulls in (0, 30):
        rows = rows_in(write(tmp_path / "a.parquet", column(LIST, nulls, values)))
        assert rows.shape == (N, width)
        assert torch.equal(rows.read(0, N), torch.from_numpy(values))


@pytest.mark.parametrize("kind", [pa.float16(), pa.float64()])
def test_other_floats(kind: pa.DataType, tmp_path: Path) -> None:
    values = VALUES.astype(kind.to_pandas_dtype())
    flat = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), D)
    rows = rows_in(write(tmp_path / "a.parquet", flat))
    assert torch.equal(rows.read(0, N), torch.from_numpy(values))


def test_no_rows_at_all(tmp_path: Path) -> None:
    for array in (column(LIST, 0, VALUES[:0]), column(LIST, 50, VALUES[:0])):
        assert rows_in(write(tmp_path / "a.parquet", array)).shape[0] == 0


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The first row of every block that is decoded from now on."""
    found: list[int] = []
    plain = parquet_rows._Column.advance

    def watched(self: parquet_rows._Column) -> None:
        plain(self)
        found.append(self.start)

    monkeypatch.setattr(parquet_rows._Column, "advance", watched)
    return found


def test_a_pass_decodes_each_block_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_in(FILES["lists"](tmp_path / "a.parquet"))
    found = decoded(monkeypatch)
    for start in range(0, N, 11):
        rows.read(start, min(N, start + 11))
    assert found == list(range(0, N, 7))
    found.clear()
    rows.read(101, N)  # of the last block
    assert found == []


def test_a_read_starts_at_its_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_in(FILES["lists"](tmp_path / "a.parquet"))
    found = decoded(monkeypatch)
    rows.take(torch.tensor([81, 82]))
    assert found == [80]
    rows.read(41, 42)
    assert found == [80, 40]


def test_threads_that_read_in_turn_keep_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_in(FILES["lists"](tmp_path / "a.parquet"))
    found = decoded(monkeypatch)
    parts: dict[int, list[torch.Tensor]] = {0: [], 60: []}
    turn = threading.Barrier(2)

    def read(first: int) -> None:
        for start in range(first, first + 40, 5):
            turn.wait(10)
            parts[first].append(rows.read(start, start + 5))

    threads = [threading.Thread(target=read, args=(first,)) for first in parts]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for first, read_ in parts.items():
        assert torch.equal(torch.cat(read_), torch.from_numpy(VALUES[first : first + 40]))
    assert len(found) == len(set(found)) == 12


def test_few_columns_stay_open(tmp_path: Path) -> None:
    for i in range(20):
        rows_in(FILES["lists"](tmp_path / f"{i}.parquet")).read(0, 5)
    assert len(parquet_rows._OPEN.idle) == parquet_rows.IDLE


def test_a_column_that_is_closed_is_freed_at_once(tmp_path: Path) -> None:
    rows_in(FILES["lists"](tmp_path / "a.parquet")).read(0, 5)
    last = weakref.ref(parquet_rows._OPEN.idle[-1])
    gc.disable()  # a cycle of references would keep its memory until the next collection
    try:
        parquet_rows._OPEN.idle.clear()
        assert last() is None
    finally:
        gc.enable()


def test_pickled_rows_hold_no_open_file(tmp_path: Path) -> None:
    rows = rows_in(FILES["lists"](tmp_path / "a.parquet"))
    rows.read(0, 10)
    text = pickle.dumps(rows)
    assert len(text) < 1000
    again: ParquetRows = pickle.loads(text)  # noqa: S301 - our own
    assert torch.equal(again.read(5, N), rows.read(5, N))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_opens_its_own_files(tmp_path: Path) -> None:
    rows = rows_in(FILES["lists"](tmp_path / "a.parquet"))
    rows.read(0, 5)
    with parquet_rows._OPEN.lock:  # as another thread may at any time
        child = os.fork()
        if not child:
            good = torch.equal(rows.read(5, 50), torch.from_numpy(VALUES[5:50]))
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_same_as_from_other_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SMALL", -1)
    pair = mg.Pair(VALUES, VALUES[: N // 2] + 1, np.arange(N // 2))
    for suffix in ("parquet", "safetensors"):
        mg.save(pair, tmp_path / f"a.{suffix}")
    one, other = (mg.load(tmp_path / f"a.{suffix}") for suffix in ("parquet", "safetensors"))
    assert one.fingerprint == other.fingerprint == pair.fingerprint
    assert torch.equal(one.text.take([50, 3]), pair.text.take([50, 3]))


# what is refused -----------------------------------------------------------------------------

WRONG: dict[str, tuple[Sequence[Any], str]] = {
    "other length": ([[1.0, 2.0]], "lists of one length; found lengths 3 and 2"),
    "longer": ([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0]], "lists of one length; found lengths 3 and 4"),
    "empty": ([[]], "lists of one length; found lengths 3 and 0|empty rows at the end"),
    "null": ([None], "must have its empty rows at the end; found some before"),
    "null inside": ([[1.0, None, 2.0]], "must be numbers in every list; found nulls"),
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("place", [0, 1, 50, 98])
@pytest.mark.parametrize("nulls", [0, 50])
@pytest.mark.parametrize("statistics", [True, False])
def test_a_wrong_row_is_found(
    case: str, place: int, nulls: int, statistics: bool, tmp_path: Path
) -> None:
    inside, message = WRONG[case]
    values = VALUES.tolist()
    values[place : place + len(inside)] = inside
    if place == 0 and "lengths" in message:  # then the others differ from the first
        message = f"lists of one length; found lengths {len(inside[0])} and [23]|{message}"
    array = pa.array([*values, *[None] * nulls], LIST)
    path = write(tmp_path / "a.parquet", array, write_statistics=statistics)
    with pytest.raises(errors.FileError) as caught:
        rows_in(path).read(0, N)
    assert str(caught.value).startswith(f"{path}: 'image' must")
    assert re.search(message, str(caught.value))


def test_a_file_that_changes(tmp_path: Path) -> None:
    rows = rows_in(FILES["lists"](tmp_path / "a.parquet"))
    rows.read(0, 5)
    write(tmp_path / "a.parquet", column(LIST, 0, VALUES * 2), compression="gzip")
    works: list[Callable[[], object]] = [
        lambda: rows.read(5, 10),
        lambda: rows.take(torch.tensor([3])),
    ]
    for work in works:
        with pytest.raises(errors.FileError, match=r"a\.parquet: must not change after it was"):
            work()
    (tmp_path / "a.parquet").unlink()
    with pytest.raises(errors.FileError, match=r"a\.parquet: cannot be read \(No such file"):
        rows.read(5, 10)


def test_damaged_bytes_are_found_when_they_are_read(tmp_path: Path) -> None:
    path = mg.save(Embeddings(VALUES), tmp_path / "a.parquet")
    content = bytearray(path.read_bytes())
    content[content.index(VALUES[50].tobytes())] ^= 1
    path.write_bytes(content)
    rows = rows_in(path)
    with pytest.raises(errors.FileError, match=r"a whole parquet file; found.*CRC"):
        rows.read(0, N)


def test_rows_too_wide_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_in(write(tmp_path / "a.parquet", column(LIST, 0, np.ones((2, 10_000)))))
    monkeypatch.setattr(files, "available_memory", lambda: 100_000)
    with pytest.raises(errors.FileError, match=r"a\.parquet: must fit in the available memory"):
        rows.read(0, 2)


def test_damaged_metadata_does_not_end_the_process(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(40)), 4)
    pq.write_table(pa.table({"image": rows, "text": rows}), path)
    whole = bytearray(path.read_bytes())
    size = int.from_bytes(whole[-8:-4], "little")
    refused = 0
    for at in range(len(whole) - 8 - size, len(whole) - 8):
        if whole[at] == 10 and whole[at - 1] == 0x15:  # the type of a column: DOUBLE, in Thrift
            damaged = whole.copy()
            damaged[at] = 90
            path.write_bytes(damaged)
            try:
                mg.load(path)
            except errors.FileError:
                refused += 1
    assert refused
