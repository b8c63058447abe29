"""Small files whose content is huge: each is refused before it is decoded."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import modalgap as mg
from modalgap import errors, files
from modalgap.embeddings.formats import parquet_sizes
from modalgap.embeddings.store import load_all, load_any

REFUSED = r"must expand at most 200 times, or to 4 MiB; its [\d,]+ bytes expand to [\d,]+ or more"
N = 200  # rows
LONG = "a" * 2**17  # N of them are 25 MiB
VECTORS = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(N * 2, np.float32)), 2)
OURS = {
    "modalgap.format": "modalgap",
    "modalgap.version": "3",
    "modalgap.modalities": '["image", "text"]',
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the tests need little memory themselves."""
    monkeypatch.setattr(files, "EXPANDED", 2**22)
    monkeypatch.setattr(parquet_sizes, "BATCH", 2**20)


def repeated(value: str | bytes, n: int = N) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value]))


def written(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    table = pa.table({"image": VECTORS, "text": VECTORS, **columns})
    options = {"compression": "zstd", **options}
    pq.write_table(table.replace_schema_metadata(OURS), path, **options)
    assert path.stat().st_size < 20_000
    return path


@pytest.mark.parametrize("plain", [False, True])
def test_a_string_that_all_rows_of_parquet_share(tmp_path: Path, *, plain: bool) -> None:
    """Whether the schema says that the column is a dictionary, or only its pages are."""
    column: Any = repeated(LONG)
    if plain:
        column = pa.chunked_array([[LONG] * N])
    path = written(tmp_path / "a.parquet", {"factors.image.x": column, "names.image": column})
    with pytest.raises(errors.FileError, match=rf"a\.parquet: {REFUSED}"):
        load_any(path)
    names = written(tmp_path / "names.parquet", {"names.image": column})
    with pytest.raises(errors.FileError, match=REFUSED):
        list(mg.load(names).image.names or ())


def test_strings_that_differ_little_from_the_one_before(tmp_path: Path) -> None:
    column = pa.array([LONG + str(i) for i in range(N)])
    coded: Any = {"use_dictionary": False, "column_encoding": {"names.image": "DELTA_BYTE_ARRAY"}}
    path = written(tmp_path / "a.parquet", {"names.image": column}, **coded)
    with pytest.raises(errors.FileError, match=REFUSED):
        list(mg.load(path).image.names or ())


def test_lists_of_matches_and_rows_that_are_too_wide(tmp_path: Path) -> None:
    width = 2_000
    ends = pa.array(np.arange(N + 1, dtype=np.int32) * width)
    matches = pa.ListArray.from_arrays(ends, pa.array(np.zeros(N * width, np.int64)))
    path = written(tmp_path / "a.parquet", {"matches.text.image": matches})
    with pytest.raises(errors.FileError, match=REFUSED):
        load_any(path)
    del matches
    wide = pa.ListArray.from_arrays(
        pa.array([0, 2**22, 2**22 + 1], pa.int32()), pa.array(np.ones(2**22 + 1, np.float32))
    )
    pq.write_table(pa.table({"image": wide, "text": wide}), path, compression="zstd")
    with pytest.raises(errors.FileError, match=REFUSED):
        load_any(path)


def test_sizes_come_from_the_pages(tmp_path: Path) -> None:
    """The metadata of a file may say less than its pages hold."""
    path = written(tmp_path / "a.parquet", {"names.image": pa.array([LONG] + [""] * (N - 1))})
    with pq.ParquetFile(path) as file:
        stored = file.metadata.row_group(0).column(chunk_number(file, "names.image"))
        names = ["num_values", "data_page_offset", "dictionary_page_offset"]
        names += ["total_compressed_size"]
        wrong: Any = SimpleNamespace(total_uncompressed_size=1)
        for name in names:
            setattr(wrong, name, getattr(stored, name))
        values, size, largest = parquet_sizes._pages(path, wrong)
        assert values == N
        assert size >= largest >= 2**17
        # which counts the headers of the pages too
        assert 0 <= stored.total_uncompressed_size - size < 1000
        wrong.data_page_offset = wrong.dictionary_page_offset = 1
        with pytest.raises(errors.FileError, match="must be a whole parquet file; found damaged"):
            parquet_sizes._pages(path, wrong)


def chunk_number(file: pq.ParquetFile, name: str) -> int:
    count = file.metadata.num_columns
    return [file.metadata.schema.column(i).path for i in range(count)].index(name)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "zstd", "snappy", "gzip"])
def test_honest_columns_are_read(tmp_path: Path, version: str, compression: str) -> None:
    """Sizes of pages of both versions, of several pages and row groups."""
    rng = np.random.default_rng(0)
    words = [f"{i} " * int(rng.integers(1, 50)) for i in range(N)]
    table = pa.table({"a": words, "b": [[word, word] for word in words], "c": np.arange(N)})
    path = tmp_path / "a.parquet"
    pq.write_table(
        table, path, data_page_version=version, compression=compression, row_group_size=50
    )
    with pq.ParquetFile(path) as file:
        found = parquet_sizes.read_columns(path, file, ["c", "a", "b"])
        assert found.equals(table.select(["c", "a", "b"]))
        for chunk in parquet_sizes._chunks(path, file, ["a"], None):
            assert sum(chunk.repeated(path)) in (0, sum(map(len, words[: chunk.values])))
        part = parquet_sizes.read_columns(path, file, ["a"], 3)
        assert part["a"].to_pylist() == words[150:]


def head(shape: tuple[int, ...], descr: str) -> bytes:
    file = io.BytesIO()
    header: Any = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue()


def claiming(path: Path, members: dict[str, tuple[bytes, int]]) -> Path:
    """A zip whose members declare more bytes than are there: a header, and zeros."""
    np.savez(path, image=np.ones((4, 3), np.float32), text=np.ones((4, 3), np.float32))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, (begin, count) in members.items():
            archive.writestr(f"{name}.npy", begin + bytes(1000))
            archive.infolist()[-1].file_size = len(begin) + count  # in the directory at the end
    return path


@pytest.mark.parametrize(
    "members",
    [
        {"modalgap": (head((2**30,), "|u1"), 2**30)},
        {"image_names": (head((4,), "<U100000000"), 4 * 400_000_000)},
        {"text_to_image": (head((2**27,), "<i8"), 2**30)},
    ],
    ids=["metadata", "names", "matches"],
)
def test_members_of_an_npz_other_than_vectors(
    members: dict[str, tuple[bytes, int]], tmp_path: Path
) -> None:
    path = claiming(tmp_path / "a.npz", members)
    with pytest.raises(errors.FileError, match=REFUSED):
        load_all([str(path)])


def test_a_real_member_that_expands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about = json.dumps({"format": "modalgap", "version": "1", "note": " " * 2**21}).encode()
    np.savez_compressed(
        tmp_path / "a.npz",
        image=np.ones((4, 3)),
        text=np.ones((4, 3)),
        modalgap=np.frombuffer(about, np.uint8),
    )
    load_any(tmp_path / "a.npz")
    monkeypatch.setattr(files, "EXPANDED", 2**20)
    with pytest.raises(errors.FileError, match="must expand at most"):
        load_any(tmp_path / "a.npz")
