"""Sources that need no code: what each layout says of images, captions and classes."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.source_cases import captions, names
from PIL import Image

from modalgap import errors
from modalgap.data import read
from modalgap.data.find import expand


def picture(seed: int, form: str = "JPEG") -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (9, 11, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, form)
    return file.getvalue()


def tar(path: Path, members: list[tuple[str, bytes]]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


# tar shards ---------------------------------------------------------------------------------------


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


# Parquet and Hugging Face -------------------------------------------------------------------------


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
