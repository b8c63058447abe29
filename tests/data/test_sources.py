"""Sources that need no code: what each layout says of images, captions and classes."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts.drawing import draw, write
from PIL import Image

from modalgap import errors
from modalgap.data import Documents, Pixels, Source, read
from modalgap.data.classes import class_folders
from modalgap.data.find import expand


def names(source: Source) -> list[str]:
    assert source.media is not None
    return list(source.media.names)


def captions(source: Source) -> list[tuple[str, str]]:
    """(image, caption) of every caption."""
    assert source.texts is not None
    owner = range(len(source.texts)) if source.text_to_image is None else source.text_to_image
    return [(names(source)[int(i)], text) for i, text in zip(owner, source.texts, strict=True)]


def picture(seed: int, form: str = "JPEG") -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (9, 11, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, form)
    return file.getvalue()


# folders --------------------------------------------------------------------------------------


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


# tables ---------------------------------------------------------------------------------------


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


# COCO -----------------------------------------------------------------------------------------


def coco(folder: Path, images: list[object], annotations: list[object]) -> Path:
    path = folder / "annotations" / "captions_val2017.json"
    write(path, json.dumps({"images": images, "annotations": annotations}))
    (folder / "val2017").mkdir(exist_ok=True)
    return path


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


# tar shards -----------------------------------------------------------------------------------


def tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def test_shards(tmp_path: Path) -> None:
    a, b, c = (picture(i) for i in range(3))
    tar(tmp_path / "00000.tar", [("000.jpg", a), ("000.txt", b"one"), ("000.json", b"{}"),
                                 ("001.txt", b"two"), ("001.png", picture(1, "PNG"))])  # fmt: skip
    tar(tmp_path / "00001.tar", [("000.jpg", c), ("000.json", b'{"caption": "three"}'),
                                 ("002.jpg", b), ("003.txt", b"alone")])  # fmt: skip
    for what in (tmp_path, f"{tmp_path}/{{00000..00001}}.tar", f"{tmp_path}/*.tar"):
        source = read(what)
        assert captions(source) == [
            ("00000.tar/000.jpg", "one"),
            ("00000.tar/001.png", "two"),
            ("00001.tar/000.jpg", "three"),
        ]
        assert source.media is not None
        assert [source.media[i] for i in (0, 2, 3)] == [a, c, b]
        assert source.missing == (
            ("00001.tar/003", "a caption without an image"),
            ("00001.tar/002.jpg, caption", "no caption"),
        )
    assert len(read(tmp_path / "00000.tar").texts or ()) == 2


def test_hostile_members(tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    with tarfile.open(path, "w") as archive:
        for name in ("../../etc/evil.jpg", "/abs.jpg", "a\nb.jpg", "twice.jpg", "twice.jpg"):
            data = picture(0)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        special = {
            "link.jpg": tarfile.SYMTYPE,
            "dev.jpg": tarfile.CHRTYPE,
            "dir.jpg": tarfile.DIRTYPE,
            "hard.jpg": tarfile.LNKTYPE,
        }
        for name, kind in special.items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        huge = tarfile.TarInfo("huge.txt")
        huge.size = 3
        archive.addfile(huge, io.BytesIO(b"hi!"))
    before = sorted(tmp_path.rglob("*"))
    source = read(path)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is extracted
    assert len(names(source)) == 4
    assert ("bad.tar/twice.jpg", "a second file of that name") in source.missing
    assert ("bad.tar/hard.jpg", "a link, not a file") in source.missing
    assert not any("link" in name or "dev" in name or "hard" in name for name in names(source))


def test_captions_in_shards_that_cannot_be_read(tmp_path: Path) -> None:
    members = []
    for i, text in enumerate((b"{bad", b'{"caption": 5}', b'{"caption": "two"}', b"[1]")):
        members += [(f"{i}.png", picture(i, "PNG")), (f"{i}.json", text)]
    tar(tmp_path / "a.tar", [*members, ("4.png", picture(4)), ("4.txt", b"x" * (2**20 + 1))])
    source = read(tmp_path / "a.tar")
    assert captions(source) == [("a.tar/2.png", "two")]
    assert len(names(source)) == 5
    lost = [f"a.tar/{i}.png, caption" for i in (0, 1, 4, 3)]
    assert [name for name, _ in source.missing] == lost


def test_a_deep_json_costs_one_caption(tmp_path: Path) -> None:
    deep = b"[" * 100_000
    tar(tmp_path / "a.tar", [("a.png", picture(0, "PNG")), ("a.json", deep),
                             ("b.png", picture(1, "PNG")), ("b.txt", b"two")])  # fmt: skip
    source = read(tmp_path / "a.tar")
    assert captions(source) == [("a.tar/b.png", "two")]
    assert source.missing == (("a.tar/a.png, caption", "its .json is not JSON"),)


def test_what_stands_after_the_end_of_an_archive(tmp_path: Path) -> None:
    tar(tmp_path / "a.tar", [("a.jpg", picture(0))])
    tar(tmp_path / "b.tar", [("b.jpg", picture(1))])
    (tmp_path / "ab.tar").write_bytes(
        (tmp_path / "a.tar").read_bytes() + (tmp_path / "b.tar").read_bytes()
    )
    source = read(tmp_path / "ab.tar")
    assert source.missing == (("ab.tar", "there is more after the end of the archive"),)
    assert read(tmp_path / "a.tar").missing == ()


def test_compressed_shards_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
    with pytest.raises(errors.FileError, match="must be a plain archive; it is compressed"):
        read(tmp_path / "a.tar")


def test_broken_shards(tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_bytes(b"not a tar archive" * 100)
    with pytest.raises(errors.FileError, match=r"no\.tar: is malformed"):
        read(tmp_path / "no.tar")
    whole = tmp_path / "whole.tar"
    tar(whole, [("a.jpg", picture(0)), ("b.jpg", picture(1))])
    (tmp_path / "cut.tar").write_bytes(whole.read_bytes()[:2000])
    cut = read(tmp_path / "cut.tar")
    assert ("cut.tar", "the archive is truncated: the rest is missing") in cut.missing
    with pytest.raises(errors.FileError, match=r"needs .*00002\.tar"):
        read(f"{tmp_path}/{{00002..00003}}.tar")


def test_braces() -> None:
    assert expand("a-{008..011}.tar") == ["a-008.tar", "a-009.tar", "a-010.tar", "a-011.tar"]
    assert expand("{8..10}") == ["8", "9", "10"]
    assert expand("{a,b}{0..1}") == ["a0", "a1", "b0", "b1"]
    assert expand("plain") == ["plain"]
    many = ("{0..99999999}", "{0..999999}{0..9}", "{a,b}" * 50)
    for pattern in many:
        with pytest.raises(errors.InputError, match="at most a million"):
            expand(pattern)
    with pytest.raises(errors.InputError, match="must have shorter numbers"):
        read("{0.." + "9" * 5000 + "}.tar")
    with pytest.raises(errors.InputError, match="at least one file"):
        expand("{3..1}")
    assert len(expand("{0..0}" * 3000)[0]) == 3000


# Parquet and Hugging Face -----------------------------------------------------------------------


def test_parquet_of_bytes(tmp_path: Path) -> None:
    images = [picture(i) for i in range(5)]
    table = pa.table({"key": [f"k{i}" for i in range(5)], "jpg": images, "caption": list("abcde")})
    pq.write_table(table, tmp_path / "00000.parquet", row_group_size=2)
    pq.write_table(table, tmp_path / "00001.parquet", row_group_size=3)
    source = read(tmp_path)
    assert source.media is not None
    assert [source.media[i] for i in (9, 0, 4, 5, 2)] == [images[i] for i in (4, 0, 4, 0, 2)]
    assert list(source.texts or ()) == list("abcdeabcde")
    assert names(source)[6] == "k1 (row 6)"


def test_parquet_of_dictionaries_and_nulls(tmp_path: Path) -> None:
    images = pa.array([picture(0), None, picture(0)]).dictionary_encode()
    texts = pa.array(["a", "b", None]).dictionary_encode()
    pq.write_table(pa.table({"image": images, "caption": texts}), tmp_path / "a.parquet")
    source = read(tmp_path / "a.parquet")
    assert captions(source) == [("row 0", "a"), ("row 1", "b")]
    assert source.media is not None
    assert source.media[2] == picture(0)
    with pytest.raises(errors.FileError, match="holds no bytes"):
        source.media[1]


def test_parquet_of_structs_and_lists(tmp_path: Path) -> None:
    rows = [{"bytes": picture(i), "path": None} for i in range(2)]
    table = pa.table({"image": rows, "captions": [["a", "b"], ["c"]]})
    pq.write_table(table, tmp_path / "a.parquet")
    source = read(tmp_path / "a.parquet")
    assert captions(source) == [("row 0", "a"), ("row 0", "b"), ("row 1", "c")]
    pq.write_table(pa.table({"n": [1]}), tmp_path / "b.parquet")
    with pytest.raises(errors.FileError, match="found n"):
        read(tmp_path / "b.parquet")
    with pytest.raises(errors.FileError, match=r"b\.parquet: must have the column 'image'"):
        read(tmp_path)


def test_parquet_that_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    found = []
    for first in (0, 2):
        table = pa.table({"jpg": [picture(first + i) for i in range(2)], "caption": ["a", "b"]})
        pq.write_table(table, path, row_group_size=1)
        os.utime(path, ns=(first, first))
        found.append(read(path).media)
        assert found[-1] is not None
        assert found[-1][0] == picture(first)
    with pytest.raises(errors.FileError, match="has changed since it was listed"):
        found[0][1]


@pytest.mark.parametrize(
    ("name", "column", "reason"),
    [
        ("caption", pa.array([[["a"]], [["b"]]]), "must hold captions; it is list<"),
        ("caption", pa.array([b"a", b"b"]), "must hold captions; it is binary"),
        ("caption", pa.array([[b"a"], [b"b"]]), "must hold captions; it is list<"),
        ("image", pa.array([{"path": "a"}] * 2), "must hold the bytes of images; it is struct<"),
        ("image", pa.array([[b"a"], [b"b"]]), "must hold the bytes of images; it is list<"),
    ],
)
def test_parquet_of_other_types(tmp_path: Path, name: str, column: pa.Array, reason: str) -> None:
    whole = {"image": pa.array([b"i", b"j"]), "caption": pa.array(["a", "b"])} | {name: column}
    pq.write_table(pa.table(whole), tmp_path / "a.parquet")
    with pytest.raises(errors.FileError, match=f"column '{name}' {reason}"):
        read(tmp_path / "a.parquet")
    whole["odd"] = whole.pop(name)
    pq.write_table(pa.table(whole), tmp_path / "a.parquet")
    with pytest.raises(errors.FileError, match=f"column 'odd' {reason}"):
        read(tmp_path / "a.parquet", **{f"{name.replace('caption', 'text')}_column": "odd"})


def test_parquet_of_views_and_fixed_sizes(tmp_path: Path) -> None:
    images = [b"one", b"two"]
    for image in (pa.binary_view(), pa.large_binary(), pa.binary(3)):
        for text in (pa.string_view(), pa.large_string()):
            whole = {"image": pa.array(images, image), "caption": pa.array(["a", "b"], text)}
            pq.write_table(pa.table(whole), tmp_path / "a.parquet")
            source = read(tmp_path / "a.parquet")
            assert captions(source) == [("row 0", "a"), ("row 1", "b")]
            assert source.media is not None
            assert [source.media[i] for i in range(2)] == images


def test_hugging_face(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    images = [Image.open(io.BytesIO(picture(i, "PNG"))) for i in range(3)]
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "big_dog"])}
    )
    made = datasets.Dataset.from_dict({"image": images, "label": [1, 0, 1]}, features=features)
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(str(tmp_path / "d"))
    with pytest.raises(errors.OptionError, match="train, test; select one"):
        read(tmp_path / "d")
    source = read(tmp_path / "d", split="test")
    assert source.texts == ["cat", "big dog"]
    assert list(source.labels) == [1, 0, 1]  # type: ignore[arg-type]
    assert source.media is not None
    stored = source.media[1]
    assert isinstance(stored, bytes)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(stored))), np.asarray(images[1]))
    pairs = datasets.Dataset.from_dict(
        {"img": images, "sentences": [["a", "b"], ["c"], []]},
        features=datasets.Features(
            {"img": datasets.Image(), "sentences": datasets.List(datasets.Value("string"))}
        ),
    )
    pairs.save_to_disk(str(tmp_path / "p"))
    found = read(tmp_path / "p", text_column="sentences")
    assert captions(found) == [("row 0", "a"), ("row 0", "b"), ("row 1", "c")]


# names, options, limits -------------------------------------------------------------------------


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
