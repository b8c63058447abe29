"""Folders as people and programs leave them: links, files beside images, metadata, leftovers."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.folder_cases import captions, classes, names, three
from layouts.drawing import draw, write

from modalgap import errors
from modalgap.data import plugins, read
from modalgap.data.summary import facts, summary

# classes ------------------------------------------------------------------------------------------


def test_cls_files(tmp_path: Path) -> None:
    for i in range(4):
        draw(tmp_path / "test" / f"{i}.png", i)
        write(tmp_path / "test" / f"{i}.cls", str((0, 2, 2, -1)[i]))
    write(tmp_path / "classnames.txt", "cat\nsmall dog\nowl\n")
    source = read(tmp_path / "test")
    assert source.texts == ["cat", "small dog", "owl"]
    assert classes(source) == [("0.png", "cat"), ("1.png", "owl"), ("2.png", "owl")]
    assert source.missing == (("3.png", "no label"),)
    assert source.templates == ("a photo of a {}.",)
    write(tmp_path / "test" / "0.cls", "7")
    with pytest.raises(errors.FileError, match="holds label 7; there are 3 class names"):
        read(tmp_path / "test")
    (tmp_path / "classnames.txt").unlink()
    alone = read(tmp_path / "test")
    assert alone.texts is None
    assert "--label-column cls" in summary(alone)
    assert read(tmp_path / "test", label_column="cls").texts == ["2", "7"]
    for i in range(4):
        write(tmp_path / "test" / f"{i}.cls", ("cat", "owl")[i % 2])
    assert read(tmp_path / "test").texts == ["cat", "owl"]


def test_captions_and_classes_are_not_both(tmp_path: Path) -> None:
    three(tmp_path)
    for i in range(3):
        write(tmp_path / f"{i}.txt", f"said {i}")
        write(tmp_path / f"{i}.cls", ("cat", "owl", "cat")[i])
    source = read(tmp_path)
    assert source.texts == ["said 0", "said 1", "said 2"]
    assert source.unused_columns == ("cls",)
    assert read(tmp_path, factors="cls").factors == {"cls": ["cat", "owl", "cat"]}
    labelled = read(tmp_path, label_column="cls")
    assert labelled.texts == ["cat", "owl"]
    assert {name for name, _ in labelled.unused} == {"0.txt", "1.txt", "2.txt"}
    with pytest.raises(errors.OptionError, match="captions or classes"):
        read(tmp_path, label_column="cls", text_column="txt")


def test_why_folders_are_no_classes(tmp_path: Path) -> None:
    for name in ("cat/0.png", "dog/1.png"):
        draw(tmp_path / name)
    (tmp_path / "empty").mkdir()
    source = read(tmp_path)
    assert source.texts == ["cat", "dog"]
    assert source.unused == (("empty", "a folder without images"),)
    assert read(tmp_path, label_column="none").texts is None
    draw(tmp_path / "beside.png")
    assert "folders are not read as classes: 1 files lie beside them" in summary(read(tmp_path))


def metadata(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        write(path, "".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        write(path, "\n".join(lines) + "\n")


# metadata -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("column", ["file_name", "image_file_name", "left_file_name"])
def test_metadata_beside_images(tmp_path: Path, ending: str, column: str) -> None:
    for i in range(4):
        draw(tmp_path / f"sub/{i}.png", i)
    rows = [{column: f"sub/{i}.png", "text": f"said {i}", "style": "ab"[i % 2]} for i in range(3)]
    rows.append({column: "sub/9.png", "text": "not there", "style": "a"})
    metadata(tmp_path / f"metadata.{ending}", rows)
    source = read(tmp_path, factors="style")
    assert captions(source) == [(f"sub/{i}.png", f"said {i}") for i in range(3)]
    assert source.factors == {"style": ["a", "b", "a"]}
    assert dict(source.missing) == {
        "sub/3.png": "no caption beside it",
        f"metadata.{ending}, sub/9.png": "names a file that does not exist",
    }
    assert source.unused == ()


def test_metadata_in_folders_of_classes(tmp_path: Path) -> None:
    for name in ("cat/0.png", "cat/1.png", "dog/0.png"):
        draw(tmp_path / name)
    metadata(tmp_path / "cat" / "metadata.csv", [{"file_name": "0.png", "style": "ink"}])
    metadata(tmp_path / "dog" / "metadata.csv", [{"file_name": "0.png", "style": "oil"}])
    source = read(tmp_path, factors="style")
    assert classes(source) == [("cat/0.png", "cat"), ("cat/1.png", "cat"), ("dog/0.png", "dog")]
    assert source.factors == {"style": ["ink", "", "oil"]}


def test_metadata_that_contradict(tmp_path: Path) -> None:
    three(tmp_path)
    rows: list[dict[str, object]] = [
        {"file_name": f"{i}.png", "text": f"said {i}"} for i in range(3)
    ]
    metadata(tmp_path / "metadata.csv", rows)
    metadata(tmp_path / "metadata.jsonl", rows)
    assert read(tmp_path).texts == ["said 0", "said 1", "said 2"]
    rows[1]["text"] = "something else"
    metadata(tmp_path / "metadata.jsonl", rows)
    with pytest.raises(
        errors.FileError,
        match=r"metadata\.csv and metadata\.jsonl contradict each other about 1\.png",
    ):
        read(tmp_path)
    (tmp_path / "metadata.jsonl").unlink()
    write(tmp_path / "2.txt", "another")
    with pytest.raises(errors.FileError, match=r"metadata\.csv and a file beside 2\.png hold"):
        read(tmp_path)
    assert read(tmp_path, text_column="txt").texts == ["another"]
    assert read(tmp_path, text_column="text").texts == ["said 0", "said 1", "said 2"]


def test_metadata_of_classes_and_of_splits(tmp_path: Path) -> None:
    three(tmp_path)
    rows: list[dict[str, object]] = [
        {
            "file_name": f"{i}.png",
            "label": ("cat", "owl", "cat")[i],
            "split": ("train", "test")[i > 1],
        }
        for i in range(3)
    ]
    metadata(tmp_path / "metadata.csv", rows)
    with pytest.raises(errors.OptionError, match="holds train, test; select one"):
        read(tmp_path)
    assert classes(read(tmp_path, split="train")) == [("0.png", "cat"), ("1.png", "owl")]
    both = read(tmp_path, split="train+test")
    assert classes(both) == [("0.png", "cat"), ("1.png", "owl"), ("2.png", "cat")]
    assert read(tmp_path, split="test").missing == ()


def test_several_columns_of_files_are_asked_for(tmp_path: Path) -> None:
    three(tmp_path)
    metadata(
        tmp_path / "metadata.csv",
        [{"left_file_name": "0.png", "right_file_name": "1.png", "text": "a pair"}],
    )
    with pytest.raises(errors.OptionError, match="--image-column: must be one of left_file_name"):
        read(tmp_path)
    assert captions(read(tmp_path, image_column="right_file_name")) == [("1.png", "a pair")]


# splits -------------------------------------------------------------------------------------------


def test_splits_are_never_mixed(tmp_path: Path) -> None:
    for name in ("data/train/cat/0.png", "data/train/dog/1.png", "data/val/cat/2.png", "logo.png"):
        draw(tmp_path / name)
    draw(tmp_path / "data" / "extra" / "3.png")
    with pytest.raises(errors.OptionError, match=r"holds train, val in data/; select one"):
        read(tmp_path)
    source = read(tmp_path, split="train")
    assert classes(source) == [("data/train/cat/0.png", "cat"), ("data/train/dog/1.png", "dog")]
    assert dict(source.unused)["data/extra/3.png"] == "beside the folders of splits"
    assert source.provenance["split"] == "train"
    with pytest.raises(errors.OptionError, match="unknown split"):
        read(tmp_path, split="trian")


def test_metadata_above_the_folders_of_splits(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = []
    for i, split in enumerate(("train", "train", "val")):
        draw(tmp_path / split / f"{i}.png", i)
        rows.append({"file_name": f"{split}/{i}.png", "text": f"said {i}"})
    metadata(tmp_path / "metadata.csv", rows)
    source = read(tmp_path, split="train")
    assert captions(source) == [("train/0.png", "said 0"), ("train/1.png", "said 1")]
    assert source.missing == source.unused == ()


# what is not read ---------------------------------------------------------------------------------


def test_every_other_file_is_listed(tmp_path: Path) -> None:
    three(tmp_path)
    for i in range(3):
        write(tmp_path / f"{i}.txt", f"said {i}")
    others = {
        "paper.pdf": "not an image, a sound or a caption (.pdf)",
        "LICENSE": "not an image, a sound or a caption (no extension)",
        ".DS_Store": "hidden",
        "info.json": "a .json without a file of the same name",
        "results.csv": "a table or archive; to read it: modalgap encode",
        "sub/captions.txt": "a table or archive; to read it: modalgap encode",
        "classnames.txt": "names of classes without .cls files",
        "metadata.csv": "metadata without a column of file names",
    }
    for name in others:
        write(tmp_path / name, "image,caption\nx.png,one\n" if "captions" in name else "a,b\n1,2\n")
    (tmp_path / "o.npz.parts").mkdir()
    write(tmp_path / "o.npz.parts" / "plan.json", "{}")
    source = read(tmp_path)
    found = dict(source.unused)
    assert found.pop("o.npz.parts") == "an unfinished run"
    assert found.keys() == others.keys()
    for name, reason in others.items():
        assert found[name].startswith(reason), name
    assert source.missing == ()
    assert facts(source)["not_used"][0].keys() == {"name", "reason"}
    line = summary(source)
    assert "\n" not in line
    assert "read 3 images, 3 texts" in line


def test_formats_that_need_a_plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "_ready", lambda _: False)
    three(tmp_path)
    for i in range(2):
        (tmp_path / f"phone{i}.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    source = read(tmp_path)
    assert names(source) == ["0.png", "1.png", "2.png"]
    assert "left out 2: .heic needs pip install pillow-heif (phone0.HEIC" in summary(source)
    write(tmp_path / "t.csv", "path,caption\n0.png,a\nphone0.HEIC,b\nx.jxl,c\n")
    table = read(tmp_path / "t.csv")
    assert captions(table) == [("0.png", "a")]
    assert dict(table.missing) == {
        "phone0.HEIC": ".heic needs pip install pillow-heif",
        "x.jxl": ".jxl needs pip install pillow-jxl-plugin",
    }
    monkeypatch.setattr(plugins, "_ready", lambda _: True)
    assert len(names(read(tmp_path))) == 5
