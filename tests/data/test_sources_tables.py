"""Tables of other programs: separators, encodings, JSON lines, lists in cells, splits, factors."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from data.table_cases import captions, lines, names
from hypothesis import given
from hypothesis import strategies as st
from layouts.drawing import draw, write

from modalgap import errors
from modalgap.data import read
from modalgap.data.cells import list_of, read_cells
from modalgap.data.summary import summary
from modalgap.data.tables import _separated

# separators and encodings -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("bars.csv", "image_name| comment_number| comment\na.png| 0| Two , red .\na.png| 1| One\n",
         [("a.png", "Two , red ."), ("a.png", "One")]),
        ("excel.csv", "\ufeffimage;caption\r\na.png;ein Muster, rot\r\nb.png;\"mit ; darin\"\r\n",
         [("a.png", "ein Muster, rot"), ("b.png", "mit ; darin")]),
        ("tab.csv", "path\ttitle\na.png\tone, two; three | four\n",
         [("a.png", "one, two; three | four")]),
        ("quotes.tsv", 'path\ttitle\na.png\t"two" of them\nb.png\t"open\nc.png\tlast"\n',
         [("a.png", '"two" of them'), ("b.png", '"open'), ("c.png", 'last"')]),
        ("lines.csv", 'path,title\na.png,"one\ntwo"\n', [("a.png", "one\ntwo")]),
        ("odd.csv", "path,title\na.png,a\u2028b\x85c\x1cd\x0ce\n",
         [("a.png", "a\u2028b\x85c\x1cd\x0ce")]),
        ("mac.csv", "path,title\ra.png,one\rb.png,two\r", [("a.png", "one"), ("b.png", "two")]),
        ("sep.csv", "sep=;\r\npath;title\r\na.png;x,y\r\n", [("a.png", "x,y")]),
        ("token.txt", "a.png#0\tone\na.png#1\ttwo, 2\n", [("a.png", "one"), ("a.png", "two, 2")]),
        ("five.csv", "path,caption_1,caption_2\na.png,one,two\nb.png,three,\n",
         [("a.png", "one"), ("a.png", "two"), ("b.png", "three")]),
        ("captions.txt", "image,caption\na.png,one\n", [("a.png", "one")]),
        ("index.csv", ",path,title\n0,a.png,one\n1,b.png,two\n",
         [("a.png", "one"), ("b.png", "two")]),
    ],
)  # fmt: skip
def test_separators(tmp_path: Path, name: str, text: str, expected: object) -> None:
    with (tmp_path / name).open("w", encoding="utf-8", newline="") as file:
        file.write(text)
    assert captions(read(tmp_path / name)) == expected


def test_wide_encodings(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("path;title\na.png;grün\n".encode("utf-16"))
    assert captions(read(tmp_path / "t.csv")) == [("a.png", "grün")]


def test_a_separator_that_is_given(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "path^title\na.png^one,two\n")
    with pytest.raises(errors.FileError, match=r"row 2 must have as many cells as the first row"):
        read(tmp_path / "t.csv")
    assert captions(read(tmp_path / "t.csv", separator="^")) == [("a.png", "one,two")]
    write(tmp_path / "t.csv", "path|title\na.png|one\n")
    for separator in ("|", "bar"):
        assert captions(read(tmp_path / "t.csv", separator=separator)) == [("a.png", "one")]
    for separator in ("", "x", "||", '"', "\n"):
        with pytest.raises(
            errors.OptionError, match="--separator: must be one character, or comma"
        ):
            read(tmp_path / "t.csv", separator=separator)
    draw(tmp_path / "images" / "a.png")
    with pytest.raises(errors.OptionError, match=r"--separator: .* has none"):
        read(tmp_path / "images", separator=",")


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ("path,title\na.png,caf\xe9\n".encode("latin-1"), r"line 2 must be UTF-8 .*iconv"),
        (b"path,title\na.png,one\nb.png,t\0wo\n", "line 3 must be text; it holds a NUL"),
        (b"path,title\na.png,one,two\n", r"row 2 must have as many cells .* 2 between commas; it"),
        (b"path,title\n", "found none"),
        (b"path,path\na,b\n", "'path' occurs twice"),
        (b"path,title\nhttp://x/a.png,one\n", "column 'path' must hold paths of files; it holds"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, held: bytes, reason: str) -> None:
    (tmp_path / "t.csv").write_bytes(held)
    with pytest.raises(errors.FileError, match=reason) as caught:
        read(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)
    assert "t.csv" in str(caught.value)


def test_a_row_in_a_hundred_may_not_fit(tmp_path: Path) -> None:
    rows = [f"{i}.png| {i}| said {i}" for i in range(150)]
    rows[70] = "70.png| 70   said 70"  # as in Kaggle's table of Flickr30k
    write(tmp_path / "t.csv", "\n".join(["image_name| comment_number| comment", *rows]))
    source = read(tmp_path / "t.csv")
    assert len(names(source)) == 149
    assert source.missing == (("row 72", "has 2 cells, not 3"),)


@given(
    st.sampled_from([",", "\t", "|", ";"]),
    st.lists(
        st.tuples(
            st.text("abc,;|\"' \u2028", min_size=1, max_size=8).filter(str.strip),
            st.integers(0, 9),
        ),
        min_size=1,
        max_size=5,
    ),
)
def test_what_csv_writes_is_read(separator: str, rows: list[tuple[str, int]]) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("path", "caption", "n"), *(("x.png", *row) for row in rows)])
    table = _separated(file.getvalue(), None, tab_first=False)
    assert table.columns["caption"] == [text for text, _ in rows]
    assert table.columns["n"] == [str(n) for _, n in rows]


# JSON ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["jsonl", "ndjson", "json"])
def test_records(tmp_path: Path, ending: str) -> None:
    rows: list[object] = [
        {"file_name": "a.png", "captions": ["one", "two"], "style": "ink"},
        {"file_name": "b.png", "captions": ["three"]},
        {"file_name": "a.png", "captions": "four\u2028five"},
        {"file_name": None, "captions": ["lost"]},
        {"file_name": "c.png", "captions": None},
        {"file_name": "d.png", "captions": ["six", None, 7]},
    ]
    path = tmp_path / f"t.{ending}"
    if ending == "json":
        write(path, json.dumps(rows))
    else:
        lines(path, rows)
    source = read(path)
    assert captions(source) == [
        ("a.png", "one"),
        ("a.png", "two"),
        ("a.png", "four\u2028five"),
        ("b.png", "three"),
        ("d.png", "six"),
    ]
    assert sorted(reason for _, reason in source.missing) == [
        "its caption is not a text",
        "no caption",
        "no caption",
        "no path",
    ]
    assert source.unused_columns == ("style",)


def test_names_and_captions_in_one_object(tmp_path: Path) -> None:
    write(tmp_path / "t.json", json.dumps({"a.png": ["one", "two"], "b.png": ["three"]}))
    source = read(tmp_path / "t.json")
    assert captions(source) == [("a.png", "one"), ("a.png", "two"), ("b.png", "three")]
    write(tmp_path / "t.json", json.dumps({"info": 1, "rows": [{"path": "a.png", "text": "one"}]}))
    assert captions(read(tmp_path / "t.json")) == [("a.png", "one")]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("t.jsonl", '{"path": "a", "text": "b"}\n{"path"\n', "line 2 must be JSON"),
        ("t.jsonl", "[1]\n", "line 1 must be an object with fields; it is list"),
        ("t.jsonl", "\n", "found none"),
        ("t.jsonl", "[" * 100_000, "line 1 must be JSON .nested too deeply"),
        ("t.json", "[1]", "must be a COCO captions file, .* Karpathy's, or a list of records"),
        ("t.json", "{}", "must be a COCO captions file"),
    ],
)
def test_json_that_is_no_table(tmp_path: Path, name: str, text: str, reason: str) -> None:
    write(tmp_path / name, text)
    with pytest.raises(errors.FileError, match=reason):
        read(tmp_path / name)


def karpathy(path: Path) -> None:
    splits = ("train", "restval", "val", "test")
    images = [
        {"filename": f"{i}.png", "filepath": "val2014", "imgid": i, "split": split, "cocoid": i,
         "sentids": [2 * i, 2 * i + 1],
         "sentences": [{"raw": f"{i} said {j}", "imgid": i} for j in range(2)]}
        for i, split in enumerate(splits)
    ]  # fmt: skip
    write(path, json.dumps({"images": images, "dataset": "coco"}))


def test_karpathys_file(tmp_path: Path) -> None:
    karpathy(tmp_path / "dataset_coco.json")
    for i in range(4):
        draw(tmp_path / "images" / "val2014" / f"{i}.png", i)
    with pytest.raises(errors.OptionError, match="holds train, restval, val, test; select one"):
        read(tmp_path / "dataset_coco.json")
    source = read(tmp_path / "dataset_coco.json", split="train+restval")
    assert captions(source) == [
        (f"val2014/{i}.png", f"{i} said {j}") for i in range(2) for j in range(2)
    ]
    assert source.media is not None
    assert source.media[1] == (tmp_path / "images" / "val2014" / "1.png").read_bytes()
    assert "their files are in images/" in source.notes
    assert len(names(read(tmp_path / "dataset_coco.json", split="all"))) == 4


def test_ids_of_coco_as_numbers_and_text(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.png"} for i in (7, 8, 9)]
    notes = [
        {"id": 1, "image_id": "7", "caption": "a"},
        {"id": 2, "image_id": 8.0, "caption": "b"},
        {"id": 3, "image_id": "000009", "caption": "c"},
        {"id": 4, "image_id": "10", "caption": "?"},
        {"id": 5, "image_id": None, "caption": "?"},
    ]
    (tmp_path / "images").mkdir()
    write(tmp_path / "c.json", json.dumps({"images": images, "annotations": notes}))
    source = read(tmp_path / "c.json")
    assert captions(source) == [("7.png", "a"), ("8.png", "b"), ("9.png", "c")]
    assert [name for name, _ in source.missing] == ["caption 4", "caption 5"]
    images = [{"id": i, "file_name": f"{i}.png"} for i in ("7", "07")]  # two different ids
    write(tmp_path / "c.json", json.dumps({"images": images, "annotations": notes[:1]}))
    assert captions(read(tmp_path / "c.json")) == [("7.png", "a")]


# lists in cells -----------------------------------------------------------------------------------


@pytest.mark.parametrize("write_list", [json.dumps, repr, lambda said: str(np.array(said))])
def test_lists_in_cells(tmp_path: Path, write_list: object) -> None:
    said = [[f"squares {i}, said {j}" for j in range(5)] for i in range(3)]
    said[1] = ['it\'s "quoted"', "and (more)"]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["raw", "split", "filename"])
        table.writerows([write_list(each), "test", f"{i}.png"] for i, each in enumerate(said))  # type: ignore[operator]
    source = read(tmp_path / "t.csv")
    assert captions(source) == [(f"{i}.png", each) for i in range(3) for each in said[i]]
    assert "cells hold lists of captions" in summary(source)
    assert "all rows belong to split 'test'" in summary(source)
    one = read(tmp_path / "t.csv", captions="one")
    assert one.texts == [write_list(each) for each in said]  # type: ignore[operator]


def test_some_cells_that_hold_lists_are_asked_about(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "path\tcaption\na.png\t['one', 'two']\nb.png\tthree\nc.png\t\n")
    with pytest.raises(errors.FileError, match="row 2 holds a list and row 3 does not"):
        read(tmp_path / "t.csv")
    several = read(tmp_path / "t.csv", captions="several")
    assert several.texts == ["one", "two", "three"]
    assert several.missing == (("row 4", "no caption"),)
    assert read(tmp_path / "t.csv", captions="one").texts == ["['one', 'two']", "three"]


@pytest.mark.parametrize(
    "text",
    ["[laughs]", "(a dog)", "[1, 2]", "['a' 'b', 'c']", "['a', b]", "['open", "[[]]", "[", "()x"],
)
def test_text_that_only_looks_like_a_list(text: str) -> None:
    assert list_of(text) is None
    assert read_cells([text, text], None).texts == [[text], [text]]


@given(st.lists(st.text(max_size=6), max_size=4))
def test_any_list_that_python_or_json_writes(said: list[str]) -> None:
    assert list_of(json.dumps(said)) == said
    assert list_of(repr(said)) == said
    if said:
        assert list_of(repr(tuple(said))) == said
