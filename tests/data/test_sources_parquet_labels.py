"""Parquet: which columns are images, captions, classes and factors, and shards that differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.parquet_cases import images
from layouts.shards import (
    CLASSES,
    hub_table,
    labels,
    names,
    parquet,
    picture,
    with_features,
)

from modalgap import errors
from modalgap.data import read
from modalgap.data.summary import summary


def classified(path: Path, label: Any, **columns: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = hub_table(images(len(label)), label=label, **columns)
    pq.write_table(with_features(table, CLASSES), path)


# classes ------------------------------------------------------------------------------------------


def test_classes_named_in_the_schema(tmp_path: Path) -> None:
    classified(tmp_path / "a.parquet", [1, 0, 1])
    source = read(tmp_path / "a.parquet")
    assert [name for _, name in labels(source)] == ["big dog", "cat", "big dog"]
    assert source.templates == ("a photo of a {}.",)
    assert source.unused_columns == ()
    plain = read(tmp_path / "a.parquet", label_column="none", factors="label")
    assert (plain.texts, plain.factors) == (None, {"label": ["big_dog", "cat", "big_dog"]})


def test_labels_that_are_missing(tmp_path: Path) -> None:
    classified(tmp_path / "a.parquet", [1, -1, None, 0])
    source = read(tmp_path / "a.parquet")
    assert labels(source) == [("row 0", "big dog"), ("row 3", "cat")]
    assert source.missing == (("row 1", "no label: it is -1"), ("row 2", "no label"))
    assert source.media is not None
    assert source.media[1] == picture(3)
    classified(tmp_path / "a.parquet", pa.array([-1, None, -1], pa.int64()))
    source = read(tmp_path / "a.parquet")
    assert (len(names(source)), source.texts, source.missing) == (3, None, ())
    assert "no row has a label; images are read without classes" in summary(source)


def test_labels_of_other_types(tmp_path: Path) -> None:
    classified(tmp_path / "a" / "0.parquet", [1, 0])
    classified(tmp_path / "a" / "1.parquet", [1.0, None])
    classified(tmp_path / "a" / "2.parquet", pa.nulls(1))
    assert np.asarray(read(tmp_path / "a").labels).tolist() == [1, 0, 1]
    classified(tmp_path / "b.parquet", [0.5, 1.0])
    with pytest.raises(errors.FileError, match=r"'label': labels must be integers; row 0 has 0\.5"):
        read(tmp_path / "b.parquet")
    classified(tmp_path / "c.parquet", [0, 2])
    with pytest.raises(errors.FileError, match="row 1 holds label 2; there are 2 class names"):
        read(tmp_path / "c.parquet")


def test_numbers_without_class_names_are_no_classes(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"image": images(2), "label": [0, 1]})
    source = read(tmp_path / "a.parquet")
    assert (source.texts, source.unused_columns) == (None, ("label",))
    asked = read(tmp_path / "a.parquet", label_column="label")
    assert labels(asked) == [("row 0", "0"), ("row 1", "1")]
    assert "classes are named by their numbers" in "; ".join(asked.notes)
    parquet(tmp_path / "b.parquet", {"image": images(3), "label": ["owl", "ant", None]})
    assert labels(read(tmp_path / "b.parquet")) == [("row 0", "owl"), ("row 1", "ant")]


def test_class_names_that_are_digits_are_names(tmp_path: Path) -> None:
    features = {"label": {"names": ["1", "2", "0"], "_type": "ClassLabel"}}
    table = with_features(hub_table(images(3), label=[0, 1, 2]), features)
    pq.write_table(table, tmp_path / "a.parquet")
    assert [name for _, name in labels(read(tmp_path / "a.parquet"))] == ["1", "2", "0"]


def test_captions_win_over_classes(tmp_path: Path) -> None:
    classified(tmp_path / "a.parquet", [0, 1], caption=["one", "two"])
    source = read(tmp_path / "a.parquet")
    assert (source.texts, source.unused_columns) == (["one", "two"], ("label",))
    assert "column 'label' holds classes too" in "; ".join(source.notes)
    assert read(tmp_path / "a.parquet", label_column="label").texts == ["cat", "big dog"]
    both = read(tmp_path / "a.parquet", factors="label")
    assert (both.texts, both.factors) == (["one", "two"], {"label": ["cat", "big_dog"]})
    with pytest.raises(errors.OptionError, match="cannot be used together"):
        read(tmp_path / "a.parquet", label_column="label", text_column="caption")


@pytest.mark.parametrize(
    "metadata",
    [
        b"{",
        b"[1]",
        b'{"info": 3}',
        b'{"info": {"features": [1]}}',
        b"[" * 10**5,
        b'{"info": {"features": {"label": {"_type": "ClassLabel", "names": [1]}}}}',
    ],
)
def test_features_that_are_none(tmp_path: Path, metadata: bytes) -> None:
    table = hub_table(images(2), label=[0, 1]).replace_schema_metadata({"huggingface": metadata})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").texts is None


# factors ------------------------------------------------------------------------------------------


def test_columns_become_factors(tmp_path: Path) -> None:
    table = {"image": images(6), "caption": list("abcdef"), "style": ["x", "y"] * 3,
             "size": [1.0, 2.0, None] * 2, "tags": [["t"]] * 6, "id": list(range(6))}  # fmt: skip
    parquet(tmp_path / "a.parquet", table)
    assert read(tmp_path / "a.parquet").unused_columns == ("style", "size", "id")
    source = read(tmp_path / "a.parquet", factors="style,size")
    assert source.factors == {"style": ["x", "y"] * 3, "size": ["1", "2", ""] * 2}
    assert source.unused_columns == ("id",)
    assert set(read(tmp_path / "a.parquet", factors="auto").factors) == {"style", "size"}
    alone = read(tmp_path / "a.parquet", image_column="none", factors="style")
    assert alone.text_factors == {"style": ["x", "y"] * 3}
    with pytest.raises(errors.FileError, match="--factors: has no column 'tags'"):
        read(tmp_path / "a.parquet", factors="tags")


def test_factors_follow_the_rows_that_are_kept(tmp_path: Path) -> None:
    classified(tmp_path / "a.parquet", [1, -1, 0, 1], style=["x", "gone", "y", "x"])
    assert read(tmp_path / "a.parquet", factors="style").factors == {"style": ["x", "y", "x"]}
