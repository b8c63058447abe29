"""Saved Hugging Face data sets: nulls, labels that are missing, factors, several files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts.shards import captions, labels, names, picture

from modalgap import errors
from modalgap.data import read
from modalgap.data.summary import summary

datasets = pytest.importorskip("datasets")


def images(count: int, *, without: tuple[int, ...] = ()) -> list[dict[str, Any] | None]:
    return [
        None if i in without else {"bytes": picture(i), "path": None} for i in range(count)
    ]  # fmt: skip


def save(path: Path, rows: dict[str, Any], **features: Any) -> Any:
    made = datasets.Dataset.from_dict(
        rows, features=datasets.Features({"image": datasets.Image(), **features})
    )
    made.save_to_disk(str(path))
    return made


CLASSES = {"label": datasets.ClassLabel(names=["cat", "big_dog"])}
TEXT = datasets.Value("string")


def test_nulls_are_listed(tmp_path: Path) -> None:
    said = [None if i == 4 else f"squares {i}" for i in range(6)]
    save(tmp_path / "d", {"image": images(6, without=(2,)), "caption": said}, caption=TEXT)
    source = read(tmp_path / "d")
    assert captions(source) == [(f"row {i}", f"squares {i}") for i in (0, 1, 3, 5)]
    assert dict(source.missing) == {
        "row 2": "no image: the cell is null",
        "row 4, caption": "no caption",
    }
    assert source.media is not None
    assert [source.media[i] for i in range(5)] == [picture(i) for i in (0, 1, 3, 4, 5)]


def test_labels_that_are_missing(tmp_path: Path) -> None:
    save(tmp_path / "some", {"image": images(6), "label": [0, 1, None, 1, -1, 1]}, **CLASSES)
    source = read(tmp_path / "some")
    assert labels(source) == [
        ("row 0", "cat"), ("row 1", "big dog"), ("row 3", "big dog"), ("row 5", "big dog"),
    ]  # fmt: skip
    assert source.missing == (("row 2", "no label"), ("row 4", "no label: it is -1"))
    save(tmp_path / "none", {"image": images(3), "label": [-1] * 3}, **CLASSES)
    source = read(tmp_path / "none")
    assert (len(names(source)), source.texts) == (3, None)
    assert "no row has a label; images are read without classes" in summary(source)


def test_captions_labels_and_factors(tmp_path: Path) -> None:
    rows = {"image": images(4), "label": [0, 1, 0, 1], "text": list("abcd"), "kind": list("xyxy")}
    save(tmp_path / "d", rows, text=TEXT, kind=TEXT, **CLASSES)
    source = read(tmp_path / "d")
    assert (source.texts, source.unused_columns) == (list("abcd"), ("label", "kind"))
    assert read(tmp_path / "d", label_column="label").texts == ["cat", "big dog"]
    assert read(tmp_path / "d", factors="auto").factors == {
        "label": ["cat", "big_dog"] * 2, "kind": list("xyxy"),
    }  # fmt: skip


def test_structs_and_lists_of_captions(tmp_path: Path) -> None:
    said = [[{"raw": "a", "id": 1}, {"raw": "b", "id": 2}], [{"raw": "c", "id": 3}]]
    feature = [{"raw": TEXT, "id": datasets.Value("int64")}]
    save(tmp_path / "d", {"image": images(2), "sentences": said}, sentences=feature)
    assert captions(read(tmp_path / "d")) == [("row 0", "a"), ("row 0", "b"), ("row 1", "c")]


def test_splits_are_not_mixed(tmp_path: Path) -> None:
    made = save(tmp_path / "d", {"image": images(2), "label": [0, 1]}, **CLASSES)
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(str(tmp_path / "s"))
    with pytest.raises(errors.OptionError, match=r"--split: .* holds train, test; select one"):
        read(tmp_path / "s")
    assert len(names(read(tmp_path / "s", split="train+test"))) == 4
    with pytest.raises(errors.OptionError, match="split"):
        read(tmp_path / "s", split="val")
    with pytest.raises(errors.OptionError, match=r"--split: .* has none"):
        read(tmp_path / "d", split="train")
    datasets.DatasetDict({"test": made}).save_to_disk(str(tmp_path / "one"))
    assert "split test is the only one" in read(tmp_path / "one").notes


def test_several_files(tmp_path: Path) -> None:
    rows = {"image": images(6), "label": [0, 1, 0, 1, 0, 1]}
    made = datasets.Dataset.from_dict(
        rows, features=datasets.Features({"image": datasets.Image(), **CLASSES})
    )
    made.save_to_disk(str(tmp_path / "d"), num_shards=3)
    source = read(tmp_path / "d")
    assert np.asarray(source.labels).tolist() == rows["label"]
    assert source.media is not None
    assert [source.media[i] for i in range(6)] == [picture(i) for i in range(6)]
    (tmp_path / "d" / "data-00001-of-00003.arrow").unlink()
    with pytest.raises(errors.FileError, match="data-00001-of-00003"):
        read(tmp_path / "d")


def test_arrow_files_of_the_cache(tmp_path: Path) -> None:
    rows = {"image": images(4), "label": [0, 1, 0, 1]}
    save(tmp_path / "d", rows, **CLASSES)
    cache = tmp_path / "owner___name" / "default" / "0.0.0" / "abc"
    cache.mkdir(parents=True)
    whole = next((tmp_path / "d").glob("*.arrow"))
    for split in ("train", "test"):
        shutil.copy(whole, cache / f"name-{split}.arrow")
    shutil.copy(whole, cache / "cache-0123.arrow")
    (cache / "dataset_info.json").write_text("{}")
    with pytest.raises(errors.OptionError, match="holds test, train"):
        read(cache)
    source = read(cache, split="test")
    assert [name for _, name in labels(source)] == ["cat", "big dog"] * 2
    assert ("cache-0123.arrow", "a cache of datasets") in source.unused
    (cache / "name-train.arrow").write_bytes(whole.read_bytes()[:100])
    with pytest.raises(errors.FileError, match=r"name-train\.arrow"):
        read(cache, split="train")
