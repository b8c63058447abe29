"""Tables of other programs: separators, encodings, JSON lines, lists in cells, splits, factors."""

from __future__ import annotations

from pathlib import Path

import pytest
from data.table_cases import captions, lines, names
from layouts.drawing import draw, write

from modalgap import errors
from modalgap.data import read
from modalgap.data.summary import summary
from modalgap.data.tables import read_table_file


def test_where_the_images_of_a_table_lie(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "path,caption\n0.png,a\n1.png,b\n")
    assert "none of the first files exists" in summary(read(tmp_path / "t.csv"))
    for i in range(2):
        draw(tmp_path / "flickr_images" / f"{i}.png", i)
    source = read(tmp_path / "t.csv")
    assert source.notes == ("their files are in flickr_images/",)
    assert source.media is not None
    assert source.media[1] == (tmp_path / "flickr_images" / "1.png").read_bytes()
    for i in range(2):
        draw(tmp_path / "other" / f"{i}.png", i + 5)
    with pytest.raises(errors.FileError, match="are in flickr_images and in other; use --root"):
        read(tmp_path / "t.csv")
    assert read(tmp_path / "t.csv", root=tmp_path / "other").notes == ()
    draw(tmp_path / "images" / "0.png")
    assert read(tmp_path / "t.csv").notes == ("their files are in images/",)
    draw(tmp_path / "1.png")
    assert read(tmp_path / "t.csv").notes == ()


def test_addresses_are_not_fetched(tmp_path: Path) -> None:
    write(tmp_path / "u.csv", "url,caption\nhttp://a.b/1.jpg,one\nhttp://a.b/2.jpg,two\n")
    source = read(tmp_path / "u.csv")
    assert source.texts == ["one", "two"]
    assert "column 'url' holds URLs of images, which are not downloaded" in source.notes
    assert read(tmp_path / "u.csv", image_column="none").notes == ()


def test_ids_without_an_ending(tmp_path: Path) -> None:
    """Tables of competitions name images by ids."""
    write(tmp_path / "labels.csv", "id,breed\na,pug\nb.c,boxer\nd,pug\ntwice,pug\n")
    for i, name in enumerate(("a.jpg", "b.c.png", "twice.jpg", "twice.png")):
        draw(tmp_path / "train" / name, i)
    write(tmp_path / "train" / "d.txt", "no image")
    with pytest.raises(errors.FileError, match="--label-column"):
        read(tmp_path / "labels.csv")
    source = read(tmp_path / "labels.csv", image_column="id", label_column="breed")
    assert source.notes == ("their files are in train/",)
    assert source.texts == ["boxer", "pug"]
    assert source.media is not None
    assert source.media[0] == (tmp_path / "train" / "a.jpg").read_bytes()
    assert source.media[1] == (tmp_path / "train" / "b.c.png").read_bytes()
    for lost in (2, 3):  # no image; two images of one name
        with pytest.raises(errors.FileError, match="found no"):
            source.media[lost]


def test_splits_of_a_table(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "path,caption,split\na.png,a,train\nb.png,b,val\nc.png,c,train\n")
    with pytest.raises(errors.OptionError, match=r"holds train, val; select one, or train\+val"):
        read(tmp_path / "t.csv")
    source = read(tmp_path / "t.csv", split="train")
    assert captions(source) == [("a.png", "a"), ("c.png", "c")]
    assert source.provenance == {"split": "train"}
    assert "split train: 2 of 3 rows" in source.notes
    assert len(names(read(tmp_path / "t.csv", split="all"))) == 3
    with pytest.raises(errors.OptionError, match=r"unknown split of .*; did you mean 'train'"):
        read(tmp_path / "t.csv", split="trian")
    write(tmp_path / "t.csv", "path,caption,split\na.png,a,left\nb.png,b,right\n")
    assert read(tmp_path / "t.csv").unused_columns == ("split",)


def test_classes_of_a_table(tmp_path: Path) -> None:
    text = "path,label,style\na.png,big_dog,x\nb.png,cat,y\nc.png,,x\nd.png,-1,x\na.png,big_dog,x\n"
    write(tmp_path / "t.csv", text)
    source = read(tmp_path / "t.csv", factors="style")
    assert source.texts == ["big dog", "cat"]
    assert names(source) == ["a.png", "b.png"]
    assert list(source.labels) == [0, 1]  # type: ignore[arg-type]
    assert source.factors == {"style": ["x", "y"]}
    assert source.missing == (("c.png", "no label"), ("d.png", "no label"))
    assert read(tmp_path / "t.csv", label_column="none").texts is None
    write(tmp_path / "none.csv", "path,label\na.png,-1\nb.png,\n")
    assert "column 'label' holds no class" in summary(read(tmp_path / "none.csv"))
    with pytest.raises(errors.FileError, match="must have a class for at least one file"):
        read(tmp_path / "none.csv", label_column="label")
    lines(tmp_path / "boxes.jsonl", [{"path": "a.png", "label": [1, 2]}])
    assert read(tmp_path / "boxes.jsonl").texts is None
    write(tmp_path / "t.csv", text + "b.png,big_dog,y\n")
    with pytest.raises(errors.FileError, match=r"b\.png has two classes, cat and big dog"):
        read(tmp_path / "t.csv")
    write(tmp_path / "t.csv", "path,label\na.png,0\nb.png,10\nc.png,2\n")
    alone = read(tmp_path / "t.csv")
    assert alone.texts is None
    assert "--label-column label" in summary(alone)
    assert read(tmp_path / "t.csv", label_column="label").texts == ["0", "10", "2"]
    write(tmp_path / "classnames.txt", "\n".join("abcdefghijk"))
    named = read(tmp_path / "t.csv")
    assert list(named.labels) == [0, 10, 2]  # type: ignore[arg-type]


def test_factors_of_images_and_of_captions(tmp_path: Path) -> None:
    write(
        tmp_path / "t.csv",
        "path,caption,style,writer,n\nb.png,b1,ink,ann,1\na.png,a1,oil,bob,2\nb.png,b2,ink,bob,3\n"
        "a.png,a2,oil,ann,4\n",
    )
    source = read(tmp_path / "t.csv", factors="auto")
    assert captions(source) == [("b.png", "b1"), ("b.png", "b2"), ("a.png", "a1"), ("a.png", "a2")]
    assert source.factors == {"style": ["ink", "oil"]}
    assert source.text_factors == {"writer": ["ann", "bob", "bob", "ann"]}
    assert source.unused_columns == ("n",)
    named = read(tmp_path / "t.csv", factors=["n", "style"])
    assert named.text_factors == {"n": ["1", "3", "2", "4"]}
    with pytest.raises(errors.FileError, match="--factors: has no column 'colour'; it has path"):
        read(tmp_path / "t.csv", factors="colour")
    with pytest.raises(errors.FileError, match="'writer' differs between rows of one image"):
        read(tmp_path / "t.csv", text_column="none", factors="writer")
    texts = read(tmp_path / "t.csv", image_column="none", factors="style")
    assert texts.text_factors == {"style": ["ink", "oil", "ink", "oil"]}


def test_rows_keep_their_numbers(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", "path,title\n\na.png,one\n\nb.png,two\n")
    assert read_table_file(tmp_path / "t.csv").rows == ["row 3", "row 5"]
