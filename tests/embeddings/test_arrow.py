"""Embeddings as tables: the same memory, and the same values in every library."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import duckdb
import numpy as np
import pandas
import polars
import pyarrow as pa
import pytest
import torch

import modalgap as mg
from modalgap.embeddings import arrow

N, D = 70, 8
ROWS = np.random.default_rng(0).normal(size=(N, D))
NAMES = [f"näme {i}" for i in range(N)]
FACTORS = {"object": np.arange(N) % 3, "colour": np.array(["red", "blue"] * (N // 2))}
DTYPES = {torch.float16: pa.float16(), torch.float32: pa.float32(), torch.float64: pa.float64()}


def address(column: pa.ChunkedArray) -> int:
    """Where the first number of a column of lists is."""
    (chunk,) = column.chunks
    found: int = chunk.flatten().buffers()[1].address
    return found + chunk.offset * D * chunk.flatten().type.bit_width // 8


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_is_copied(dtype: torch.dtype) -> None:
    rows = torch.from_numpy(ROWS).to(dtype)
    side = mg.Embeddings(rows, "text", NAMES, FACTORS)
    table = pa.table(side)
    assert table.schema.names == ["name", "object", "colour", "vector"]
    assert table.schema.field("vector").type == pa.list_(DTYPES[dtype], D)
    assert address(table["vector"]) == rows.data_ptr()
    frame = polars.DataFrame(side)
    same = frame["vector"].to_numpy()
    assert same.__array_interface__["data"][0] == rows.data_ptr()  # through Polars and back
    np.testing.assert_array_equal(same, rows.numpy())
    rows[3, 2] = 5.0  # the memory of the caller
    assert table["vector"].chunk(0)[3].as_py()[2] == 5.0


def test_the_memory_lives_as_long_as_the_table() -> None:
    rows = np.array(ROWS)
    held = weakref.ref(rows)
    table = pa.table(mg.Embeddings(rows, "text"))
    del rows
    gc.collect()
    assert held() is not None
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), ROWS)
    del table
    gc.collect()
    assert held() is None


@pytest.mark.parametrize("form", ["transposed", "columns", "bfloat16"])
def test_other_layouts_are_copied_right(form: str) -> None:
    single = torch.from_numpy(ROWS).float()
    rows = {
        "transposed": single.T.contiguous().T,
        "columns": torch.cat([single, single], 1)[:, :D],
        "bfloat16": single.bfloat16(),
    }[form]
    table = pa.table(mg.Embeddings(rows, "text"))
    assert table.schema.field("vector").type.value_type == pa.float32()
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), rows.float().numpy())


def test_each_library_reads_the_same() -> None:
    texts = mg.Embeddings(ROWS.astype(np.float32), "text", NAMES, FACTORS)
    wanted = [
        (name, int(kind), str(colour), list(row))
        for name, kind, colour, row in zip(
            NAMES, FACTORS["object"], FACTORS["colour"], ROWS.astype(np.float32), strict=True
        )
    ]
    assert [(*each[:3], list(each[3])) for each in duckdb.sql("from texts").fetchall()] == wanted
    assert [(*each[:3], list(each[3])) for each in polars.DataFrame(texts).rows()] == wanted
    frame = pandas.DataFrame.from_arrow(texts)
    assert [(*each[:3], list(each[3])) for each in frame.itertuples(index=False)] == wanted
    mean = duckdb.sql(
        "select colour, avg(vector[1]) from texts group by all order by all"
    ).fetchall()
    for colour, value in mean:
        own = ROWS.astype(np.float32)[FACTORS["colour"] == colour, 0]
        assert value == pytest.approx(own.mean(), rel=1e-5)


def test_columns_of_one_name() -> None:
    factors = {"vector": np.arange(N), "name": np.arange(N), "name_": np.arange(N)}
    assert pa.table(mg.Embeddings(ROWS, "text", NAMES, factors)).schema.names == [
        "name", "vector_", "name_", "name__", "vector",
    ]  # fmt: skip
    assert pa.table(mg.Embeddings(ROWS, "text")).schema.names == ["vector"]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".parquet"])
def test_files_are_read_in_batches(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modalgap.files.SMALL", 0)
    monkeypatch.setattr(arrow, "BATCH", 16)
    path = tmp_path / f"a{suffix}"
    mg.save(mg.Embeddings(ROWS, "text", NAMES, FACTORS), path)
    side = mg.load_embeddings(path)
    assert not side.rows.in_memory
    table = pa.table(side)
    assert [len(chunk) for chunk in table["vector"].chunks] == [16, 16, 16, 16, 6]
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), ROWS)
    assert table["name"].to_pylist() == NAMES
    assert table["object"].to_pylist() == FACTORS["object"].tolist()
    assert table["colour"].to_pylist() == FACTORS["colour"].tolist()


def test_a_wrong_row_of_a_file_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ROWS.copy()
    rows[40] = 0
    np.save(tmp_path / "a.npy", rows)
    from modalgap.embeddings.rows import FileRows

    head = (tmp_path / "a.npy").stat().st_size - rows.nbytes
    file = FileRows(tmp_path / "a.npy", head, rows.dtype, rows.shape, torch.float64)
    side = mg.Embeddings(file, "text", source="a.npy")
    for read in (pa.table, polars.DataFrame):
        with pytest.raises(Exception, match="every row must be finite and not zero; row 40"):
            read(side)
    with pytest.raises(duckdb.Error, match="row 40 holds only zeros"):
        duckdb.sql("select count(vector) from side").fetchall()


def test_a_schema_that_is_asked_for() -> None:
    side = mg.Embeddings(ROWS.astype(np.float32), "text")
    wanted = pa.schema([("vector", pa.list_(pa.float64(), D))])
    table = pa.table(side, schema=wanted)
    assert table.schema == wanted
    np.testing.assert_array_equal(np.stack(table["vector"].to_numpy()), ROWS.astype(np.float32))
