"""Sources that need no code: what each layout says of images, captions and classes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from data.source_cases import captions, names
from layouts.drawing import draw, write

from modalgap import errors
from modalgap.data import Documents, Pixels, Source, read
from modalgap.data.classes import class_folders

# folders ------------------------------------------------------------------------------------------


def test_folders_of_classes(tmp_path: Path) -> None:
    for i, name in enumerate(("cat/a.jpg", "cat/b.PNG", "air_plane/deep/c.jpg", "cat/.hidden.jpg")):
        draw(tmp_path / name, i)
    write(tmp_path / "cat" / "notes.md", "no image")
    source = read(tmp_path)
    assert names(source) == ["air_plane/deep/c.jpg", "cat/a.jpg", "cat/b.PNG"]
    assert source.texts == ["air plane", "cat"]
    assert list(source.labels) == [0, 1, 1]  # type: ignore[arg-type]
    assert source.templates == ("a photo of a {}.",)


def test_a_folder_of_splits_asks_which(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for kind in ("cat", "dog"):
            draw(tmp_path / split / kind / "a.jpg")
    with pytest.raises(errors.OptionError, match="holds train, val; select one"):
        read(tmp_path)
    assert read(tmp_path, split="val").texts == ["cat", "dog"]
    with pytest.raises(errors.OptionError, match="did you mean 'val'"):
        read(tmp_path, split="vall")


def test_images_beside_captions(tmp_path: Path) -> None:
    for name in ("b", "a", "c", "d"):
        draw(tmp_path / f"{name}.jpg")
    write(tmp_path / "a.txt", "one\n\n two \n")
    write(tmp_path / "b.txt", "three")
    write(tmp_path / "c.txt", "  \n")
    write(tmp_path / "lost.txt", "nobody's")
    source = read(tmp_path)
    assert captions(source) == [("a.jpg", "one"), ("a.jpg", "two"), ("b.jpg", "three")]
    assert dict(source.missing) == {
        "c.jpg": "an empty caption",
        "d.jpg": "no caption beside it",
        "lost.txt": "a caption without a file",
    }


def test_images_alone(tmp_path: Path) -> None:
    draw(tmp_path / "x" / "a.jpg")
    draw(tmp_path / "b.jpg")
    source = read(tmp_path)
    assert names(source) == ["b.jpg", "x/a.jpg"]
    assert source.texts is None


def test_unfinished_runs_and_hidden_folders_are_no_classes(tmp_path: Path) -> None:
    for name in ("train/cat", "train/dog", "train/.git", "train/o.npz.parts", "val/cat"):
        draw(tmp_path / name / "a.jpg")
    for work in ("o.npz.parts", "train/o.npz.parts"):
        write(tmp_path / work / "plan.json", "{}")
    draw(tmp_path / ".hidden" / "x" / "a.jpg")
    assert read(tmp_path, split="train").texts == ["cat", "dog"]
    assert class_folders(tmp_path / "train").texts == ["cat", "dog"]


def test_a_folder_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(errors.FileError, match="found none"):
        read(tmp_path)
    draw(tmp_path / "a.jpg")
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    with pytest.raises(errors.FileError, match="images or sounds; found 1 and 1"):
        read(tmp_path)


# tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("open_clip.csv", "filepath\ttitle\nx/a.jpg\tone\nb.jpg\ttwo, three\nx/a.jpg\tfour\n"),
        ("img.csv", 'url,file_name,caption\nu,x/a.jpg,one\nu,b.jpg,"two, three"\nu,x/a.jpg,four\n'),
        ("t.tsv", "Image\tText\nx/a.jpg\tone\nb.jpg\ttwo, three\nx/a.jpg\tfour\n"),
        ("bom.csv", '\ufeffimage,caption\r\nx/a.jpg,one\r\nb.jpg,"two, three"\r\nx/a.jpg,four\r\n'),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path / name, text)
    source = read(tmp_path / name)
    assert captions(source) == [("x/a.jpg", "one"), ("x/a.jpg", "four"), ("b.jpg", "two, three")]
    with pytest.raises(errors.FileError, match=r"--root must be a folder; found no .*elsewhere"):
        read(tmp_path / name, root=tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    moved = read(tmp_path / name, root=tmp_path / "elsewhere")
    assert moved.media is not None
    with pytest.raises(errors.FileError, match=r"found no .*elsewhere/x/a\.jpg"):
        moved.media[0]


def test_tables_with_columns_of_other_names(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "wo,was\nx.jpg,ein Hund\n")
    with pytest.raises(errors.FileError, match="found wo, was: use --image-column"):
        read(tmp_path / "a.csv")
    source = read(tmp_path / "a.csv", image_column="wo", text_column="was")
    assert captions(source) == [("x.jpg", "ein Hund")]
    with pytest.raises(errors.FileError, match="has no column 'what'"):
        read(tmp_path / "a.csv", image_column="what")


def test_tables_of_one_side(tmp_path: Path) -> None:
    write(tmp_path / "texts.csv", "caption\none\ntwo\n")
    assert read(tmp_path / "texts.csv").texts == ["one", "two"]
    write(tmp_path / "images.csv", "path\na.jpg\n\nb.jpg\n")
    assert names(read(tmp_path / "images.csv")) == ["a.jpg", "b.jpg"]
    write(tmp_path / "lines.txt", "one\n\n  two\n")
    assert read(tmp_path / "lines.txt").texts == ["one", "two"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path,caption\na.jpg\n", "row 2 must have as many cells"),
        ("path,caption\na.jpg,x,y\n", "row 2 must have as many cells"),
        ("path,caption\n", "found none"),
        ("path,caption, Caption\na.jpg,x,y\n", "'caption' occurs twice"),
        ("", "found none"),
    ],
)
def test_tables_that_are_not_tables(tmp_path: Path, text: str, reason: str) -> None:
    write(tmp_path / "bad.csv", text)
    with pytest.raises(errors.FileError, match=reason):
        read(tmp_path / "bad.csv")


def test_an_open_quote_swallows_no_rows(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", 'path,caption\na.jpg,"one\nmore"\nb.jpg,"two\nc.jpg,three\n')
    with pytest.raises(
        errors.FileError, match=r"a\.csv: the row that begins in line 4: unexpected"
    ):
        read(tmp_path / "a.csv")
    write(tmp_path / "a.csv", 'path,caption\na.jpg,"one" two\n')
    with pytest.raises(errors.FileError, match=r"a\.csv: the row that begins in line 2: ','"):
        read(tmp_path / "a.csv")


def coco(folder: Path, images: list[object], annotations: list[object]) -> Path:
    path = folder / "annotations" / "captions_val2017.json"
    write(path, json.dumps({"images": images, "annotations": annotations}))
    (folder / "val2017").mkdir(exist_ok=True)
    return path


# COCO ---------------------------------------------------------------------------------------------


def test_coco(tmp_path: Path) -> None:
    path = coco(
        tmp_path,
        [{"id": 7, "file_name": "7.jpg"}, {"id": 3, "file_name": "3.jpg"},
         {"id": 9, "file_name": "9.jpg"}, {"id": 7, "file_name": "again.jpg"}],
        [{"id": 1, "image_id": 3, "caption": "c"}, {"id": 2, "image_id": 7, "caption": "a"},
         {"id": 3, "image_id": 3, "caption": "d"}, {"id": 4, "image_id": 99, "caption": "?"}],
    )  # fmt: skip
    draw(tmp_path / "val2017" / "7.jpg", 5)
    source = read(path)
    assert names(source) == ["7.jpg", "3.jpg", "9.jpg"]
    assert captions(source) == [("7.jpg", "a"), ("3.jpg", "c"), ("3.jpg", "d")]
    assert [name for name, _ in source.missing] == ["again.jpg", "caption 4"]
    assert source.media is not None
    assert source.media[0] == (tmp_path / "val2017" / "7.jpg").read_bytes()


def test_coco_captions_that_are_no_texts(tmp_path: Path) -> None:
    images = [{"id": i, "file_name": f"{i}.jpg"} for i in range(2)]
    notes = [{"id": i, "image_id": i, "caption": said} for i, said in enumerate((None, "b"))]
    source = read(coco(tmp_path, images, notes))
    assert captions(source) == [("1.jpg", "b")]
    assert source.missing == (("caption 0", "is not a text"),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is malformed"),
        ("[1]", "must be a COCO captions file"),
        ('{"images": [{}], "annotations": []}', "field 'file_name'"),
        ('{"images": [], "annotations": []}', "found none"),
    ],
)
def test_coco_that_is_not(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "images").mkdir()
    write(tmp_path / "captions_x.json", text)
    with pytest.raises(errors.InputError, match=reason):
        read(tmp_path / "captions_x.json")


# names, options, limits ---------------------------------------------------------------------------


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match=r"did you mean 'dtd'\? see: modalgap list data"):
        read("dtdd")
    with pytest.raises(errors.InputError, match="dtd: needs"):
        read("dtd", root=tmp_path)
    with pytest.raises(errors.FileError, match="match at least one"):
        read(f"{tmp_path}/*.tar")
    (tmp_path / "x.npy").write_bytes(b"1")
    with pytest.raises(errors.FileError, match="holds embeddings already"):
        read(tmp_path / "x.npy")
    os.mkfifo(tmp_path / "p.csv")
    with pytest.raises(errors.FileError):
        read(tmp_path / "p.csv")


def test_options_that_a_source_does_not_have(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg")
    with pytest.raises(errors.OptionError, match=r"--split: .* has none; got 'val'"):
        read(tmp_path, split="val")
    with pytest.raises(errors.OptionError, match="--image-column"):
        read(tmp_path, image_column="x")
    with pytest.raises(errors.OptionError, match="limit: must be an integer of at least 2; got 1"):
        read(tmp_path, limit=1)
    wrong = {"seed": -1, "root": 3, "split": 3, "image_column": 3, "text_column": b"x"}
    for option, value in [*wrong.items(), ("seed", None), ("seed", 0.5), ("seed", 2**63)]:
        with pytest.raises(errors.OptionError, match=f"^{option}:? must be"):
            read(tmp_path, **{option: value})  # type: ignore[arg-type]


def test_a_sample_keeps_what_matches() -> None:
    media = Documents([str(i) for i in range(50)], [f"d{i}" for i in range(50)])
    owner = np.repeat(np.arange(50), 3)
    texts = [f"{i} {j}" for i in range(50) for j in range(3)]
    factor = {"kind": list(range(50))}
    source = Source(name="s", media=media, texts=texts, text_to_image=owner, factors=factor)
    some = read(source, limit=7, seed=3)
    assert some.media is not None
    assert len(some.media) == 7
    for image, text in zip(some.text_to_image, some.texts or (), strict=True):  # type: ignore[arg-type]
        assert text.startswith(f"{some.media[int(image)]} ")
    assert [str(k) for k in some.factors["kind"]] == [some.media[i] for i in range(7)]
    assert names(some) == names(read(source, limit=7, seed=3))
    assert names(some) != names(read(source, limit=7, seed=4))
    assert read(source, limit=50) is source
    assert some.provenance["sample"] == "7 of 50, seed 3"


def test_a_sample_of_classes_and_of_texts() -> None:
    media = Pixels(np.zeros((20, 4, 4), np.uint8), [f"i{k}" for k in range(20)])
    source = Source(name="s", media=media, texts=["a", "b"], labels=np.arange(20) % 2)
    some = source.limited(5, 0)
    assert some.texts == ["a", "b"]
    assert [int(name[1:]) % 2 for name in names(some)] == list(some.labels)  # type: ignore[arg-type]
    texts = Source(name="t", texts=list("abcdef")).limited(3, 0)
    assert len(texts.texts or ()) == 3


def test_captions_lie_in_the_order_of_their_images() -> None:
    media = Documents(["x", "y"], ["x", "y"])
    source = Source(
        name="s",
        media=media,
        texts=["y1", "x1", "y2"],
        text_to_image=[1, 0, 1],
        text_factors={"n": [0, 1, 2]},
    )
    assert source.texts == ["x1", "y1", "y2"]
    assert source.text_factors["n"] == [1, 0, 2]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text_to_image": [0, 1, 2]}, "lie in 0 … 1; row 2 holds 2"),
        ({"text_to_image": [0, 1]}, "must be 3 integers"),
        ({"labels": [0, 3]}, "lie in 0 … 2; row 1 holds 3"),
        ({}, "row i matches row i; found 2 images and 3 texts"),
        ({"factors": {"f": [1]}, "labels": [0, 1]}, "factor 'f' must have 2 values"),
        ({"templates": ("no place",), "labels": [0, 1]}, "must hold {} once"),
        ({"texts": ["a", "b", 3], "labels": [0, 1]}, "texts must be a list of strings"),
        ({"texts": np.array(["a", "b"])}, "texts must be a list of strings; got ndarray"),
        ({"texts": (t for t in "ab")}, "texts must be a list of strings"),
        ({"texts": "ab"}, "texts must be a list of strings"),
        ({"name": Path("x")}, "name must be a string; got PosixPath"),
        ({"name": "a\udcff"}, "name: must be valid Unicode; got 'a.udcff'"),
        ({"provenance": {"year": 2020}}, "provenance 'year': must be a string; got int"),
        ({"provenance": ["x"]}, "provenance must be a mapping"),
        ({"factors": {"f": 3}}, "factor 'f' must be a list; got int"),
        ({"factors": [1, 2]}, "factors must be a mapping"),
        ({"factors": {3: [1, 2]}}, "factors must be a mapping"),
        ({"missing": ["a"]}, "missing must be"),
        ({"missing": 3}, "missing must be"),
        ({"templates": 3}, "templates must be"),
        ({"labels": [[0], [1, 2]]}, "labels: must be 2 integers"),
        ({"media": ["x", "y"]}, "media must have kind; got list"),
        ({"media": Documents(["x", "y"], ["x"])}, "media must have 2 names; got 1"),
    ],
)
def test_sources_that_do_not_fit_together(change: dict[str, object], reason: str) -> None:
    media = Documents(["x", "y"], ["x", "y"])
    with pytest.raises(errors.InputError, match=reason):
        Source(**({"name": "s", "media": media, "texts": ["a", "b", "c"]} | change))  # type: ignore[arg-type]


def test_documents_that_are_refused() -> None:
    with pytest.raises(errors.OptionError, match="names must be a list of strings"):
        Documents(["x", "y"], ["x", 3])  # type: ignore[list-item]
    with pytest.raises(errors.OptionError, match="must be one of image, audio, text"):
        Documents(["x"], ["x"], "picture")  # type: ignore[arg-type]
