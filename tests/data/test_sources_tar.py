"""Tar shards: webdataset's rules for names, captions, classes, and the files beside them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from layouts.shards import captions, labels, names, picture, tar

from modalgap import errors
from modalgap.data import read
from modalgap.data.summary import facts, summary


def sample(key: str, seed: int, *rest: tuple[str, bytes | str]) -> list[tuple[str, bytes | str]]:
    return [(f"{key}.png", picture(seed)), *((f"{key}.{end}", data) for end, data in rest)]


# names ----------------------------------------------------------------------------------------


def test_a_key_ends_at_the_first_dot_of_the_last_name(tmp_path: Path) -> None:
    members = [
        ("a.b/x.png", picture(0)), ("a.b/x.txt", "in a folder with a dot"),
        ("./y.PNG", picture(1)), ("./y.TXT", "capitals"),
        ("z.left.png", picture(2)), ("z.caption.txt", "two parts"),
        ("ümläut/日本.png", picture(3)), ("ümläut/日本.txt", "not ASCII"),
    ]  # fmt: skip
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        tar(tmp_path / "a.tar", members, form)
        source = read(tmp_path / "a.tar")
        assert captions(source) == [
            ("a.tar/a.b/x.png", "in a folder with a dot"),
            ("a.tar/y.png", "capitals"),
            ("a.tar/z.left.png", "two parts"),
            ("a.tar/ümläut/日本.png", "not ASCII"),
        ]
        assert source.missing == ()
        assert source.unused == ()
        assert source.media is not None
        assert [source.media[i] for i in range(4)] == [picture(i) for i in range(4)]


def test_a_name_of_many_folders_in_pax_headers(tmp_path: Path) -> None:
    long = "/".join(["folder" * 10] * 4) + "/x"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        tar(tmp_path / "a.tar", sample(long, 0, ("txt", "far down")), form)
        assert captions(read(tmp_path / "a.tar")) == [(f"a.tar/{long}.png", "far down")]


def test_an_image_of_one_part_wins_over_two_parts(tmp_path: Path) -> None:
    members = [m for i in range(3) for m in sample(f"{i}", i, ("seg.png", b"s"), ("txt", f"t{i}"))]
    tar(tmp_path / "a.tar", members)
    source = read(tmp_path / "a.tar")
    assert names(source) == ["a.tar/0.png", "a.tar/1.png", "a.tar/2.png"]
    assert source.unused == ((".seg.png", "3 members of this extension"),)
    chosen = read(tmp_path / "a.tar", image_column="seg.png")
    assert chosen.media is not None
    assert chosen.media[0] == b"s"


def test_several_images_of_one_key_are_reported_and_can_be_chosen(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [("0.left.png", picture(0)), ("0.right.png", picture(1)),
                             ("0.left.txt", "from the left"), ("0.right.txt", "from the right"),
                             *sample("1", 2, ("txt", "one"))])  # fmt: skip
    source = read(tmp_path / "a.tar")
    assert captions(source) == [("a.tar/1.png", "one")]
    assert [name for name, _ in source.missing] == ["a.tar/0.left.png", "a.tar/0.right.png"]
    assert "--image-column" in source.missing[0][1]
    assert source.unused == (
        (".left.txt", "1 member of this extension"),
        (".right.txt", "1 member of this extension"),
    )
    right = read(tmp_path / "a.tar", image_column="right.png")
    assert captions(right) == [("a.tar/0.right.png", "from the right")]
    assert [name for name, _ in right.missing] == ["a.tar/1"]
    with pytest.raises(errors.OptionError, match=r"no sample has a member \.up\.png"):
        read(tmp_path / "a.tar", image_column="up.png")


def test_dates_in_names_share_a_key(tmp_path: Path) -> None:
    days = ("01.01", "01.02")
    members = [(f"2020.{day}.{end}", picture(0)) for day in days for end in ("png",)]
    tar(tmp_path / "a.tar", [*members, *sample("x", 1)])
    source = read(tmp_path / "a.tar")
    assert names(source) == ["a.tar/x.png"]
    assert [name for name, _ in source.missing] == ["a.tar/2020.01.01.png", "a.tar/2020.01.02.png"]


def test_every_member_is_read_or_reported(tmp_path: Path) -> None:
    members: list[tuple[str, bytes | str]] = [
        *sample("0", 0, ("txt", "zero"), ("npy", b"1"), ("json", "{}")),
        ("README", "no extension"), ("d/._0.png", b"of macOS"), ("1.json", "{}"), ("2.txt", "two"),
        ("3.npy", b"1"),
    ]  # fmt: skip
    tar(tmp_path / "a.tar", members)
    source = read(tmp_path / "a.tar")
    assert captions(source) == [("a.tar/0.png", "zero")]
    assert dict(source.unused) == {
        "a.tar/README": "a member without an extension",
        "a.tar/d/._0.png": "a hidden member",
        ".npy": "1 member of this extension",
    }
    assert dict(source.missing) == {
        "a.tar/1": "a sample without an image",
        "a.tar/2": "a caption without an image",
        "a.tar/3": "a sample without an image",
    }


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as archive:
        info = tarfile.TarInfo(b"caf\xe9.png".decode("utf-8", "surrogateescape"))
        info.size = len(picture(0))
        archive.addfile(info, io.BytesIO(picture(0)))
    assert names(read(tmp_path / "a.tar")) == ["a.tar/caf\\xe9.png"]


# captions -------------------------------------------------------------------------------------


def test_lines_are_captions_where_the_data_set_says_retrieval(tmp_path: Path) -> None:
    said = "first\nsecond\u2028still second\r\nthird"
    lines = ["first", "second\u2028still second", "third"]
    for place in ("dataset_type.txt", "test/dataset_type.txt"):
        root = tmp_path / place.replace("/", "_")
        tar(root / "test" / "0.tar", sample("0", 0, ("txt", said)))
        plain = read(root)
        assert plain.texts == [said]
        assert "--captions several" in "; ".join(plain.notes)
        assert read(root, captions="several").texts == lines
        (root / place).write_text("retrieval\n")
        for what in (root, root / "test", root / "test" / "0.tar", f"{root}/test/*.tar"):
            source = read(what)
            assert list(source.texts or ()) == lines
            assert "dataset_type.txt says retrieval" in "; ".join(source.notes)
        assert read(root, captions="one").texts == [said]


def test_lists_of_captions_in_json(tmp_path: Path) -> None:
    contents = (
        {"caption": ["a", "b"]},
        {"sentences": [{"raw": "c", "tokens": ["c"]}, {"raw": "d"}]},
        {"captions": "['e', \"f\"]"},
    )
    for i, content in enumerate(contents):
        tar(tmp_path / f"{i}.tar", sample("0", i, ("json", json.dumps(content))))
        source = read(tmp_path / f"{i}.tar")
        assert list(source.texts or ()) == [["a", "b"], ["c", "d"], ["e", "f"]][i]
        assert source.notes
    assert read(tmp_path / "2.tar", captions="one").texts == ["['e', \"f\"]"]


def test_lists_in_some_cells_only_are_refused(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [*sample("0", 0, ("txt", '["a", "b"]')), *sample("1", 1, ("txt", "c"))])
    with pytest.raises(errors.FileError, match="--captions: must be one or several"):
        read(tmp_path / "a.tar")
    assert read(tmp_path / "a.tar", captions="one").texts == ['["a", "b"]', "c"]
    assert read(tmp_path / "a.tar", captions="several").texts == ["a", "b", "c"]


def test_a_caption_by_its_extension_or_field(tmp_path: Path) -> None:
    content = json.dumps({"caption": "short", "long": "a longer one", "style": "x"})
    tar(tmp_path / "a.tar", sample("0", 0, ("txt", "text"), ("alt.txt", "alt"), ("json", content)))
    assert read(tmp_path / "a.tar").texts == ["text"]
    assert read(tmp_path / "a.tar", text_column="alt.txt").texts == ["alt"]
    assert read(tmp_path / "a.tar", text_column="long").texts == ["a longer one"]
    assert read(tmp_path / "a.tar", text_column="none").texts is None
    assert read(tmp_path / "a.tar", image_column="none").media is None


# classes --------------------------------------------------------------------------------------


def classes(root: Path, count: int = 6) -> None:
    members = [m for i in range(count) for m in sample(f"s{i}", i, ("cls", f"{i % 3}\n"))]
    tar(root / "test" / "0.tar", members[: 2 * (count // 2)])
    tar(root / "test" / "1.tar", members[2 * (count // 2) :])
    (root / "classnames.txt").write_bytes("red things\r\nb\u2028c\r\nblue\r\n".encode())
    (root / "zeroshot_classification_templates.txt").write_text("a photo of {c}.\n{c}!\n")
    (root / "test" / "nshards.txt").write_text("2")


def test_classes_with_the_files_of_clip_benchmark(tmp_path: Path) -> None:
    classes(tmp_path)
    for what in (tmp_path, tmp_path / "test", f"{tmp_path}/test/{{0..1}}.tar"):
        source = read(what)
        assert source.texts == ["red things", "b\u2028c", "blue"]
        assert np.asarray(source.labels).tolist() == [0, 1, 2, 0, 1, 2]
        assert source.templates == ("a photo of {}.", "{}!")
        assert source.unused == ()
    assert read(tmp_path, label_column="none").texts is None
    assert "split test is the only one" in read(tmp_path).notes
    assert facts(read(tmp_path))["read"]["labels"] == 6


def test_splits_of_tar_shards_are_never_mixed(tmp_path: Path) -> None:
    classes(tmp_path)
    tar(tmp_path / "train" / "0.tar", sample("t0", 9, ("cls", "1")))
    with pytest.raises(errors.OptionError, match=r"--split: .* holds test, train"):
        read(tmp_path)
    assert len(names(read(tmp_path, split="test"))) == 6
    assert labels(read(tmp_path, split="train")) == [("0.tar/t0.png", "b\u2028c")]
    assert len(names(read(tmp_path, split="test+train"))) == 7


def test_another_number_of_shards_than_announced(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "test" / "1.tar").unlink()
    with pytest.raises(errors.FileError, match=r"test: nshards\.txt says 2 shards; found 1"):
        read(tmp_path)
    assert len(names(read(tmp_path / "test" / "0.tar"))) == 3
    (tmp_path / "test" / "nshards.txt").write_text("two")
    with pytest.raises(errors.FileError, match=r"nshards\.txt: must hold the number of shards"):
        read(tmp_path)


def test_labels_without_a_class(tmp_path: Path) -> None:
    classes(tmp_path)
    tar(tmp_path / "test" / "1.tar", [*sample("x", 1, ("cls", "-1")), *sample("y", 2, ("cls", ""))])
    source = read(tmp_path)
    assert len(names(source)) == 3
    assert dict(source.missing) == {"1.tar/x.png": "no label: it is -1", "1.tar/y.png": "no label"}
    tar(tmp_path / "test" / "1.tar", sample("x", 1, ("cls", "3")))
    with pytest.raises(errors.FileError, match="label 3; there are 3 class names"):
        read(tmp_path)


def test_numbers_without_names_are_no_classes(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [*sample("0", 0, ("cls", "1")), *sample("1", 1, ("cls", "0"))])
    source = read(tmp_path / "a.tar")
    assert source.texts is None
    assert "there is no classnames.txt" in summary(source)
    assert source.unused_columns == ("cls",)
    assert read(tmp_path / "a.tar", factors="cls").factors == {"cls": [1, 0]}


def test_names_in_cls_are_classes(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [*sample("0", 0, ("cls", "owl")), *sample("1", 1, ("cls", "ant"))])
    assert labels(read(tmp_path / "a.tar")) == [("a.tar/0.png", "owl"), ("a.tar/1.png", "ant")]


def test_classes_of_one_name_are_one_class(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "classnames.txt").write_text("sun\nmoon\nsun\n")
    source = read(tmp_path)
    assert source.texts == ["sun", "moon"]
    assert np.asarray(source.labels).tolist() == [0, 1, 0, 0, 1, 0]
    assert "classes of the same name were merged ('sun')" in "; ".join(source.notes)


def test_class_names_that_are_numbers(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "classnames.txt").write_text("1\n2\n0\n")
    assert [name for _, name in labels(read(tmp_path))] == ["1", "2", "0"] * 2


def test_captions_win_over_classes_unless_the_data_say_classification(tmp_path: Path) -> None:
    members = [m for i in range(3) for m in sample(f"{i}", i, ("cls", str(i)), ("txt", f"t{i}"))]
    tar(tmp_path / "0.tar", members)
    (tmp_path / "classnames.txt").write_text("x\ny\nz\n")
    source = read(tmp_path)
    assert source.texts == ["t0", "t1", "t2"]
    assert source.unused_columns == ("cls",)
    assert "--label-column cls" in "; ".join(source.notes)
    assert read(tmp_path, label_column="cls").texts == ["x", "y", "z"]
    (tmp_path / "dataset_type.txt").write_text("classification")
    assert read(tmp_path).texts == ["x", "y", "z"]
    with pytest.raises(errors.OptionError, match="--label-column and --text-column"):
        read(tmp_path, label_column="cls", text_column="txt")


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("classnames.txt", "a\n\nb\n", r"classnames\.txt: line 2 must name a class"),
        ("zeroshot_classification_templates.txt", "a photo\n", r"must have \{c\} in each line"),
        ("zeroshot_classification_templates.txt", "{c} {c}\n", "must hold {} once"),
    ],
)
def test_files_beside_that_are_wrong(tmp_path: Path, name: str, text: str, reason: str) -> None:
    classes(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(errors.InputError, match=reason):
        read(tmp_path)


# fields ---------------------------------------------------------------------------------------


def test_fields_of_json_become_factors(tmp_path: Path) -> None:
    members = []
    for i in range(6):
        content = {"style": "xy"[i % 2], "id": i, "tags": ["a"], "caption": "c"}
        if i == 5:
            content.pop("style")
        members += sample(f"{i}", i, ("txt", f"t{i}"), ("json", json.dumps(content)))
    tar(tmp_path / "a.tar", members)
    plain = read(tmp_path / "a.tar")
    assert plain.factors == {}
    assert plain.unused_columns == ("style", "id", "caption")
    assert read(tmp_path / "a.tar", factors=["style", "id"]).factors == {
        "style": ["x", "y", "x", "y", "x", ""],
        "id": [0, 1, 2, 3, 4, 5],
    }
    auto = read(tmp_path / "a.tar", factors="auto")
    assert set(auto.factors) == {"style"}
    assert auto.unused_columns == ("id", "caption")
    with pytest.raises(errors.FileError, match="has no column 'size'"):
        read(tmp_path / "a.tar", factors="size")


def test_a_field_as_the_class(tmp_path: Path) -> None:
    members = []
    for i, kind in enumerate(("owl", "ant", None)):
        members += sample(f"{i}", i, ("txt", "t"), ("json", json.dumps({"species": kind})))
    tar(tmp_path / "a.tar", members)
    source = read(tmp_path / "a.tar", label_column="species")
    assert labels(source) == [("a.tar/0.png", "owl"), ("a.tar/1.png", "ant")]
    assert source.missing == (("a.tar/2.png", "no label"),)
    with pytest.raises(errors.OptionError, match=r"no sample has \.cls or a field 'genus'"):
        read(tmp_path / "a.tar", label_column="genus")


# shards ---------------------------------------------------------------------------------------


def test_order_and_gaps_of_numbers(tmp_path: Path) -> None:
    for number in (0, 1, 2, 9, 10):
        tar(tmp_path / f"{number}.tar", sample(f"k{number}", number))
    source = read(tmp_path)
    assert names(source) == [f"{n}.tar/k{n}.png" for n in (0, 1, 2, 9, 10)]
    assert "there are 6 numbers without a shard (3, 4, 5, ...)" in source.notes
    for path in tmp_path.iterdir():
        path.unlink()
    for number in (0, 2):
        tar(tmp_path / f"{number:05d}.tar", sample("k", number))
    assert "there is 1 number without a shard (00001)" in read(tmp_path).notes
    tar(tmp_path / "2.tar", sample("other", 3))
    assert "two shards have the same number (00002, 2)" in read(tmp_path).notes
    assert len(names(read(tmp_path))) == 3


def test_shards_that_are_not_whole(tmp_path: Path) -> None:
    tar(tmp_path / "0.tar", sample("a", 0))
    (tmp_path / "1.tar").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(errors.FileError, match=r"1\.tar: is a Git LFS pointer"):
        read(tmp_path)
    (tmp_path / "1.tar").write_bytes(b"")
    with pytest.raises(errors.FileError, match=r"1\.tar: is empty"):
        read(tmp_path)
    (tmp_path / "1.tar").unlink()
    (tmp_path / "1.tar.part").write_bytes(b"x")
    (tmp_path / "0.idx").write_bytes(b"x")
    assert dict(read(tmp_path).unused) == {
        "0.idx": "not a shard",
        "1.tar.part": "an unfinished file, by its name",
    }
