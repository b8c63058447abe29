"""Which models are evaluated on which data sets."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest

from modalgap.errors import FileError, InputError, OptionError
from modalgap.zoo.cells import Cell, by_model, cells, check, read_cells


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_model_on_every_data_set() -> None:
    found = cells(["a:1", "b:2"], ["x", "y"], limit=7)
    assert [(c.model, c.data) for c in found] == [
        ("a:1", "x"), ("a:1", "y"), ("b:2", "x"), ("b:2", "y"),
    ]  # fmt: skip
    assert {c.limit for c in found} == {7}
    assert list(by_model(found)) == ["a:1", "b:2"]
    assert len(cells(["a:1", "a:1"], "x")) == 1


def test_labels(tmp_path: Path) -> None:
    assert Cell(model="a:1", data="coco").label == "coco"
    assert Cell(model="a:1", data="coco", split="val").label == "coco val"
    assert Cell(model="a:1", data=str(tmp_path / "cats")).label == "cats"
    assert Cell(model="a:1", data="coco", name="mine").label == "mine"


def test_files_differ_by_cell_and_settings() -> None:
    one, other = Cell(model="a:1", data="x"), Cell(model="a:1", data="x", limit=5)
    names = {
        one.file({}),
        other.file({}),
        one.file({"seed": 1}),
        Cell(model="a:2", data="x").file({}),
    }
    assert len(names) == 4
    odd = Cell(model="hf:../../etc/é'<b>", data="in/a b;.csv").file({})
    assert not {"/", " "} & set(odd)
    assert odd.isascii()
    assert one.file({}) == Cell(model="a:1", data="x").file({})


def test_table(tmp_path: Path) -> None:
    path = table(tmp_path / "z.csv", "model,data,limit,split", "a:1,coco,5,", "b:2,coco,,val")
    assert read_cells(path) == [
        Cell(model="a:1", data="coco", limit=5),
        Cell(model="b:2", data="coco", split="val"),
    ]


def test_patterns_and_label_columns_in_a_table(tmp_path: Path) -> None:
    path = table(
        tmp_path / "z.csv", "model,data,name,label_column",
        "open_clip:ViT-B-32/commonpool_s_*,mit-states,states,attribute",
    )  # fmt: skip
    found = read_cells(path)
    assert len(found) == 6  # without a filter, basic, text, image, laion, clip
    assert {each.reading(0)["label_column"] for each in found} == {"attribute"}
    assert found[0].file({}) != Cell(model=found[0].model, data="mit-states", name="states").file(
        {}
    )


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["model,set", "a:1,x"], "columns must be of model, data"),
        (["model", "a:1"], "must have a column data; found model"),
        (["model,data", "a:1,"], "line 2 must have a data"),
        (["model,data", "a:1,x,y"], "line 2 has more cells"),
        (["model,model,data", "a:1,b:1,x"], "names of columns must differ; 'model'"),
        (["model,data", "a:1," + "x" * 200_000], "cannot be read .field larger"),
        (["model,data,limit", "a:1,x,many"], "line 2: limit must be an integer; got 'many'"),
        (["model,data"], "at least one cell"),
        ([""], "an empty file"),
    ],
)
def test_bad_tables(lines: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=said):
        read_cells(table(tmp_path / "z.csv", *lines))


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        read_cells(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="cannot be read"):
        read_cells(tmp_path / "b.csv")


def test_checks(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "a").mkdir(parents=True)
    with pytest.raises(InputError, match="has 'a' twice"):
        check(cells("a:1", [str(tmp_path / "a"), str(tmp_path / "b" / "a")]))
    with pytest.raises(OptionError, match="LIBRARY:MODEL; got 'ViT'"):
        check(cells("ViT", str(tmp_path / "a")))
    with pytest.raises(InputError, match="no such path or data set"):
        check(cells("a:1", str(tmp_path / "none")))
    with pytest.raises(OptionError, match="models must have at least 1"):
        cells([], "x")


def test_patterns() -> None:
    found = cells("open_clip:ViT-B-32/laion*", "x")
    assert {c.model for c in found} >= {"open_clip:ViT-B-32/laion2b_e16"}
    assert {c.model.partition("/")[0] for c in found} == {"open_clip:ViT-B-32"}
    assert len(cells("open_clip:*", "x")) == len(open_clip.list_pretrained())
    assert [c.model for c in cells("hf:a/*", "x")] == ["hf:a/*"]
    with pytest.raises(OptionError, match="a pattern must match a model"):
        cells("open_clip:none-*", "x")
