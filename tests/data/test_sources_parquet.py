"""Parquet: which columns are images, captions, classes and factors, and shards that differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.parquet_cases import images
from layouts.shards import (
    captions,
    names,
    notes,
    parquet,
    picture,
)

from modalgap import errors
from modalgap.data import read
from modalgap.data.sources import parquet as source_of_parquet

# captions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "caption",
        "captions",
        "text",
        "TEXT",
        "txt",
        "sentences",
        "sentence",
        "sentences_raw",
        "raw",
        "title",
        "re_caption",
        "answer",
        "alt_text",
        "description",
        "prompt",
    ],
)
def test_names_of_captions(tmp_path: Path, name: str) -> None:
    parquet(tmp_path / "a.parquet", {"jpg": images(2), "n": [1, 2], name: ["one", "two"]})
    source = read(tmp_path / "a.parquet")
    assert captions(source) == [("row 0", "one"), ("row 1", "two")]
    assert f"column 'jpg' with {name!r}" in source.rule
    assert source.unused_columns == ("n",)


@pytest.mark.parametrize(
    "name", ["jpg", "jpg;png", "webp", "image", "img", "image_bytes", "photo", "whatever"]
)
def test_names_of_images(tmp_path: Path, name: str) -> None:
    parquet(tmp_path / "a.parquet", {"caption": ["one", "two"], name: images(2)})
    source = read(tmp_path / "a.parquet")
    assert source.media is not None
    assert [source.media[i] for i in range(2)] == images(2)
    assert source.texts == ["one", "two"]


def test_sounds_are_sounds(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"audio": [b"a", b"b"], "caption": ["one", "two"]})
    source = read(tmp_path / "a.parquet")
    assert source.modality == "audio"
    assert source.media is not None
    assert source.media.kind == "audio"


LISTS: list[tuple[str, Any]] = [
    ("list", pa.array([["a", "b"], ["c"]])),
    ("large list", pa.array([["a", "b"], ["c"]], pa.large_list(pa.string()))),
    ("structs", pa.array([[{"raw": "a", "sentid": 1}, {"raw": "b", "sentid": 2}],
                          [{"raw": "c", "sentid": 3}]])),
    ("struct of lists", pa.array([{"raw": ["a", "b"], "sentid": [1, 2]},
                                  {"raw": ["c"], "sentid": [3]}])),
    ("JSON", pa.array(['["a", "b"]', '["c"]'])),
    ("Python", pa.array(["['a', \"b\"]", "['c']"])),
    ("NumPy", pa.array(["['a' 'b']", "['c']"])),
    ("objects", pa.array(['{"raw": ["a", "b"], "ids": [1, 2]}', '{"raw": ["c"], "ids": [3]}'])),
    ("nested", pa.array(['{"sentences": [{"raw": "a"}, {"raw": "b"}]}',
                         '{"sentences": [{"raw": "c"}]}'])),
]  # fmt: skip


@pytest.mark.parametrize("cells", [cells for _, cells in LISTS], ids=[name for name, _ in LISTS])
def test_several_captions_in_a_cell(tmp_path: Path, cells: pa.Array) -> None:
    parquet(tmp_path / "a.parquet", {"image": images(2), "sentences": cells})
    source = read(tmp_path / "a.parquet")
    assert captions(source) == [("row 0", "a"), ("row 0", "b"), ("row 1", "c")]
    assert "column 'sentences'" in "; ".join(source.notes)


def test_one_caption_in_an_object(tmp_path: Path) -> None:
    cells = pa.array([{"raw": "a", "sentid": 1}, {"raw": "b", "sentid": 2}])
    parquet(tmp_path / "a.parquet", {"image": images(2), "sentences": cells})
    assert read(tmp_path / "a.parquet").texts == ["a", "b"]


def test_objects_without_a_known_key(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"image": images(2), "caption": ['{"x": "a"}', '{"y": "b"}']})
    with pytest.raises(errors.FileError, match="known key of captions; found x"):
        read(tmp_path / "a.parquet")
    parquet(tmp_path / "a.parquet", {"image": images(2), "caption": ['{"raw": "a"}', "{b}"]})
    with pytest.raises(errors.FileError, match="row 0 holds an object and row 1 does not"):
        read(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", captions="one").texts == ['{"raw": "a"}', "{b}"]


def test_numbered_columns_are_several_captions(tmp_path: Path) -> None:
    said = {f"caption_{j}": [f"{i} {j}" for i in range(2)] for j in (10, 0, 2)}
    parquet(tmp_path / "a.parquet", {"image": images(2), **said, "caption_1_model": ["m", "m"]})
    source = read(tmp_path / "a.parquet")
    assert source.texts == ["0 0", "0 2", "0 10", "1 0", "1 2", "1 10"]
    assert "'caption_0' to 'caption_10'" in source.rule
    assert source.unused_columns == ("caption_1_model",)
    assert read(tmp_path / "a.parquet", text_column="caption_2").texts == ["0 2", "1 2"]


def test_numbered_images_with_captions_of_their_own_are_not_guessed(tmp_path: Path) -> None:
    both = {f"image_{j}": images(2) for j in range(2)} | {
        f"caption_{j}": [f"{i} {j}" for i in range(2)] for j in range(2)
    }
    parquet(tmp_path / "a.parquet", both)
    with pytest.raises(errors.OptionError, match="--image-column: must name one of 'image_0', "):
        read(tmp_path / "a.parquet")
    source = read(tmp_path / "a.parquet", image_column="image_1", text_column="caption_1")
    assert source.texts == ["0 1", "1 1"]
    assert source.unused == (("column image_0", "another column of bytes"),)


def test_null_captions_are_listed(tmp_path: Path) -> None:
    cells = pa.array([["a", None], [], None, ["b"]])
    parquet(tmp_path / "a.parquet", {"key": list("wxyz"), "image": images(4), "caption": cells})
    source = read(tmp_path / "a.parquet")
    assert captions(source) == [("w (row 0)", "a"), ("z (row 3)", "b")]
    assert [name for name, _ in source.missing] == [
        "w (row 0), caption", "x (row 1), caption", "y (row 2), caption",
    ]  # fmt: skip
    parquet(tmp_path / "b.parquet", {"image": images(2), "caption": pa.nulls(2, pa.string())})
    assert read(tmp_path / "b.parquet").texts is None
    assert "images are read without captions" in notes(tmp_path / "b.parquet")


def test_addresses_of_images_are_said(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"URL": ["http://x.invalid"] * 2, "TEXT": ["one", "two"]})
    source = read(tmp_path / "a.parquet")
    assert (source.media, source.texts) == (None, ["one", "two"])
    assert "column 'URL' holds URLs of images, which are not downloaded" in source.notes


# shards that differ -------------------------------------------------------------------------------


def test_shards_agree_only_in_the_columns_that_are_read(tmp_path: Path) -> None:
    first = {
        "jpg": images(2),
        "caption": ["a", "b"],
        "w": [1, 2],
        "error": pa.nulls(2),
        "x": [1, 2],
    }
    second = {"caption": pa.array(["c", None]).dictionary_encode(), "w": [1.0, None],
              "error": ["e", None], "jpg": pa.array(images(2), pa.large_binary())}  # fmt: skip
    parquet(tmp_path / "0.parquet", first)
    parquet(tmp_path / "1.parquet", second)
    parquet(tmp_path / "2.parquet", {"jpg": pa.nulls(0), "caption": pa.nulls(0)})
    parquet(tmp_path / "3.parquet", {"jpg": images(1), "caption": pa.nulls(1)})
    source = read(tmp_path)
    assert source.texts == ["a", "b", "c"]
    assert len(names(source)) == 5
    parquet(tmp_path / "1.parquet", {**second, "caption": [1, 2]})
    with pytest.raises(errors.FileError, match=r"1\.parquet: column 'caption' must hold captions"):
        read(tmp_path)
    parquet(tmp_path / "1.parquet", {"jpg": images(2)})
    with pytest.raises(errors.FileError, match=r"1\.parquet: must have the column 'caption'"):
        read(tmp_path)
    assert len(names(read(tmp_path, text_column="none"))) == 5
    with pytest.raises(errors.FileError, match=r"1\.parquet: must have the column 'w'"):
        read(tmp_path, text_column="none", factors="w")


def test_empty_shards(tmp_path: Path) -> None:
    parquet(tmp_path / "0.parquet", {"a": pa.nulls(0)})
    with pytest.raises(errors.FileError, match="must have at least one row; found none"):
        read(tmp_path)
    parquet(tmp_path / "1.parquet", {"image": images(1), "caption": ["one"]})
    assert read(tmp_path).texts == ["one"]


def test_half_written_shards_are_named(tmp_path: Path) -> None:
    parquet(tmp_path / "0.parquet", {"image": images(1), "caption": ["one"]})
    whole = (tmp_path / "0.parquet").read_bytes()
    for name, content, why in (
        ("1.tmp.parquet", whole, "the name of an unfinished file"),
        ("1.parquet", whole[:300], "must be a complete Parquet file"),
        ("1.parquet", b"", "is empty"),
        ("1.parquet", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(errors.FileError, match=rf"{name}: .*{why}"):
            read(tmp_path)
        (tmp_path / name).unlink()


def test_files_of_the_writer_are_said(tmp_path: Path) -> None:
    parquet(tmp_path / "part-00000.snappy.parquet", {"image": images(1), "caption": ["one"]})
    for name in ("_SUCCESS", ".part-00000.snappy.parquet.crc", "0.parquet.part", "log.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert dict(read(tmp_path).unused) == {
        "_SUCCESS": "a marker of the program that wrote the shards",
        ".part-00000.snappy.parquet.crc": "hidden",
        "0.parquet.part": "an unfinished file, by its name",
        "log.txt": "not a shard",
    }


def test_rows_that_failed_to_download(tmp_path: Path) -> None:
    status = ["success", "failed_to_download", "failed_to_resize", "success"]
    table = {"key": list("wxyz"), "status": status, "error_message": [None, "404", None, None],
             "caption": list("abcd"), "jpg": [picture(0), None, None, picture(3)]}  # fmt: skip
    parquet(tmp_path / "00000.parquet", table)
    source = read(tmp_path)
    assert captions(source) == [("w (row 0)", "a"), ("z (row 3)", "d")]
    assert source.missing == (
        ("x (row 1)", "failed_to_download: 404"), ("y (row 2)", "failed_to_resize"),
    )  # fmt: skip
    assert source.media is not None
    assert source.media[1] == picture(3)
    parquet(tmp_path / "00000.parquet", table | {"status": ["new", "old", "old", "new"]})
    assert len(names(read(tmp_path))) == 4


def test_images_by_the_path_in_their_cell(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(picture(5))
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    cells = [{"bytes": None, "path": "x.png"}, {"bytes": None, "path": None}, None]
    parquet(tmp_path / "a.parquet", {"image": pa.array(cells, kind), "caption": list("abc")})
    media = read(tmp_path / "a.parquet").media
    assert media is not None
    assert media[0] == picture(5)
    for i in (1, 2):
        with pytest.raises(errors.FileError, match="the cell holds no bytes"):
            media[i]


def test_paths_in_place_of_bytes(tmp_path: Path) -> None:
    for i in range(2):
        (tmp_path / "pictures").mkdir(exist_ok=True)
        (tmp_path / "pictures" / f"{i}.png").write_bytes(picture(i))
    table = {"file_name": ["0.png", "1.png", "0.png"], "text": list("abc"), "kind": list("xyx")}
    parquet(tmp_path / "list.parquet", table)
    for what, root in ((tmp_path / "list.parquet", None), (tmp_path / "list.parquet", "pictures")):
        source = read(what, root=None if root is None else tmp_path / root, factors="kind")
        assert source.media is not None
        assert [source.media[i] for i in range(2)] == [picture(0), picture(1)]
        assert captions(source) == [("0.png", "a"), ("0.png", "c"), ("1.png", "b")]
        assert source.factors == {"kind": ["x", "y"]}
    parquet(tmp_path / "b.parquet", {"image": images(1), "caption": ["one"]})
    with pytest.raises(errors.OptionError, match="--root"):
        read(tmp_path / "b.parquet", root=tmp_path)


def test_items_of_a_large_group_in_any_order(tmp_path: Path) -> None:
    cells = [f"{i}".encode() for i in range(300)]
    parquet(tmp_path / "a" / "0.parquet", {"jpg": cells[:200]}, row_group_size=150)
    parquet(tmp_path / "a" / "1.parquet", {"jpg": cells[200:]})
    media = read(tmp_path / "a").media
    assert media is not None
    order = [*range(0, 300, 7), 299, 0, 149, 150, 63, 64, 62, 199, 200]
    assert [media[i] for i in order] == [cells[i] for i in order]


def test_bytes_are_not_read_to_list_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"image": images(4), "caption": list("abcd"), "label": list("xyxy"), "n": [1, 2, 1, 2]}
    parquet(tmp_path / "a.parquet", table)
    read_columns: list[str] = []
    whole = pq.ParquetFile.read

    def spy(self: Any, columns: Any = None, **options: Any) -> Any:
        read_columns.extend(columns)
        return whole(self, columns=columns, **options)

    monkeypatch.setattr(pq.ParquetFile, "read", spy)
    read(tmp_path / "a.parquet", factors="auto")
    assert "image" not in read_columns
    assert {"caption", "n"} <= set(read_columns)


def test_the_table_in_json(tmp_path: Path) -> None:
    cells = [json.dumps(["a", "b"]), json.dumps(["c"])]
    parquet(tmp_path / "a.parquet", {"image": images(2), "raw": cells})
    assert len(read(tmp_path / "a.parquet").texts or ()) == 3
    assert read(tmp_path / "a.parquet", captions="one").texts == cells


# rows in any order --------------------------------------------------------------------------------


def test_a_small_column_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same items from memory as from the files, also across shards; damage as from files."""
    rows = images(10)
    for i, part in enumerate((rows[:6], rows[6:])):
        table = pa.table({"image": part, "caption": [f"{i} {j}" for j in range(len(part))]})
        pq.write_table(table, tmp_path / f"{i}.parquet", row_group_size=2)
    order = np.random.default_rng(0).permutation(10).tolist()
    monkeypatch.setattr(source_of_parquet, "SMALL", 10)
    large = read(tmp_path).media
    assert large is not None
    assert [large[i] for i in order] == [rows[i] for i in order]
    monkeypatch.undo()
    small = read(tmp_path).media
    assert small is not None
    with monkeypatch.context() as patch:
        patch.setattr(source_of_parquet, "_group", None)  # not from a row group
        assert [small[i] for i in order] == [rows[i] for i in order]
    path = tmp_path / "1.parquet"
    content = bytearray(path.read_bytes())
    content[4:60] = b"\xff" * 56  # the first page of the second file
    path.write_bytes(content)
    damaged = read(tmp_path).media
    assert damaged is not None
    assert damaged[0] == rows[0]
    with pytest.raises(errors.FileError, match="cannot be read"):
        damaged[6]
