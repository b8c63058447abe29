"""img2dataset's outputs: folders of files, tar shards beside Parquet, partial downloads."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from layouts.drawing import write
from layouts.shards import captions, downloaded, names, notes, picture, tar

from modalgap import errors
from modalgap.data import read
from modalgap.data.summary import facts, summary

FAILED = "failed_to_download: HTTP Error 404: Not Found"


def test_the_images_win(tmp_path: Path) -> None:
    downloaded(tmp_path)
    source = read(tmp_path)
    keys = ["000000000", "000000001", "000000003", "000010000", "000010001", "000010003"]
    assert captions(source) == [(f"{key[:5]}/{key}.jpg", f"noise {key}") for key in keys]
    assert source.media is not None
    assert source.media[3] == picture(10, "JPEG")
    assert source.missing == (("000000002", FAILED), ("000010002", FAILED))
    assert [name for name, _ in source.unused] == ["00000_stats.json", "00001_stats.json"]
    assert facts(source)["read"] == {"images": 6, "texts": 6, "labels": 0, "factors": []}
    assert f"left out 2: {FAILED} (000000002, 000010002)" in summary(source)


def test_without_captions(tmp_path: Path) -> None:
    downloaded(tmp_path, captions=False)
    source = read(tmp_path)
    assert (len(names(source)), source.texts, len(source.missing)) == (6, None, 2)


def test_a_caption_is_one_text(tmp_path: Path) -> None:
    downloaded(tmp_path, shards=1, lost=())
    (tmp_path / "00000" / "000000000.txt").write_text("two\nlines")
    (tmp_path / "00000" / "000000001.txt").write_text("")
    (tmp_path / "00000" / "000000002.txt").unlink()
    source = read(tmp_path)
    assert source.texts == ["two\nlines", "noise 000000002", "noise 000000003"]
    assert source.missing == (("00000/000000001.jpg, caption", "no caption"),)
    assert "1 captions have several lines" in "; ".join(source.notes)
    assert len(read(tmp_path, captions="several").texts or ()) == 4


def test_columns_of_the_metadata(tmp_path: Path) -> None:
    downloaded(tmp_path)
    assert read(tmp_path).unused_columns == ("url", "width")
    assert read(tmp_path, factors="width").factors == {"width": [11] * 6}
    assert read(tmp_path, text_column="url").texts == [
        f"http://host.invalid/{key}"
        for key in ("000000000", "000000001", "000000003", "000010000", "000010001", "000010003")
    ]
    assert read(tmp_path, text_column="none").texts is None
    with pytest.raises(errors.FileError, match="has no column 'x' for captions"):
        read(tmp_path, text_column="x")
    with pytest.raises(errors.OptionError, match="--label-column"):
        read(tmp_path, label_column="width")


def test_a_partial_download(tmp_path: Path) -> None:
    downloaded(tmp_path, shards=4)
    (tmp_path / "00001.parquet").unlink()
    for each in (tmp_path / "00002").iterdir():
        each.unlink()
    (tmp_path / "00002").rmdir()
    (tmp_path / "00003" / "000030001.jpg").unlink()
    source = read(tmp_path)
    assert len(names(source)) == 3 + 3 + 2
    assert len(source.texts or ()) == 8
    assert "00001 has no 00001.parquet" in source.notes
    missing = dict(source.missing)
    assert missing["00002.parquet"] == "its folder 00002 does not exist"
    gone = "its status is success; found no image"
    lost = ("000020000", "000020001", "000020003", "000030001")
    assert [missing[key] for key in lost] == [gone] * 4
    assert missing["00003/000030001.txt"] == "a caption without an image"
    assert missing["000020002"] == FAILED
    (tmp_path / "1").mkdir()
    with pytest.raises(errors.FileError, match="must have different numbers; both have 1"):
        read(tmp_path)


def test_a_parquet_that_is_not_whole(tmp_path: Path) -> None:
    downloaded(tmp_path)
    (tmp_path / "00001.parquet").write_bytes(b"")
    with pytest.raises(errors.FileError, match=r"00001\.parquet: is empty"):
        read(tmp_path)


def test_the_metadata_alone_are_texts_without_failed_rows(tmp_path: Path) -> None:
    downloaded(tmp_path)
    source = read(tmp_path / "00000.parquet")
    assert source.texts == ["noise 000000000", "noise 000000001", "noise 000000003"]
    assert "URLs of images" in "; ".join(source.notes)


def test_tar_shards_beside_their_metadata(tmp_path: Path) -> None:
    downloaded(tmp_path / "files", shards=3)
    root = tmp_path / "tars"
    root.mkdir()
    for shard in range(3):
        folder = tmp_path / "files" / f"{shard:05d}"
        members = [(each.name, each.read_bytes()) for each in sorted(folder.iterdir())]
        tar(root / f"{shard}.tar", members)
        name = f"{shard:05d}.parquet"  # another number of digits
        (root / name).write_bytes((tmp_path / "files" / name).read_bytes())
    source = read(root)
    assert [text for _, text in captions(source)] == list(read(tmp_path / "files").texts or ())
    assert source.missing == tuple((f"0000{shard}0002", FAILED) for shard in range(3))
    (root / "1.tar").unlink()
    (root / "00002.parquet").unlink()
    source = read(root)
    assert ("00001.parquet", "no 00001.tar beside it") in source.missing
    assert len(source.missing) == 1 + 1 + 4
    assert "no Parquet of metadata beside 2.tar" in source.notes
    assert "there is 1 number without a shard (1)" in source.notes


def test_folders_of_digits_that_are_classes(tmp_path: Path) -> None:
    for kind in ("0", "1"):
        write(tmp_path / kind / "a.json", json.dumps({}))
        (tmp_path / kind / "a.png").write_bytes(picture(0))
    assert read(tmp_path).texts == ["0", "1"]
    assert "img2dataset" not in notes(tmp_path)


def test_keys_that_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "00000").mkdir()
    (tmp_path / "00000" / "0.png").write_bytes(picture(0))
    rows = {"key": [0, 1], "status": ["success", "failed_to_resize"], "caption": ["a", "b"]}
    pq.write_table(pa.table(rows), tmp_path / "00000.parquet")
    source = read(tmp_path)
    assert captions(source) == [("00000/0.png", "a")]
    assert source.missing == (("1", "failed_to_resize"),)
