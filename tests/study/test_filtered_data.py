"""Filtered data: the pools against counts, the rows of a zoo, and a run of a few steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modalgap.data.mad import load
from modalgap.errors import FileError, InputError, OptionError
from modalgap.result import Value
from modalgap.study import filtered_data
from modalgap.study.schrodi2025.filtered_data import pool_of
from modalgap.study.schrodi2025.pools import make_pool
from modalgap.zoo import Zoo

R1, TOP1 = "retrieval.image_to_text_r1", "zero_shot.top1"


def test_pool(tmp_path: Path) -> None:
    pool = make_pool(0.5, seed=0, limit=100)
    train, test = pool.right.train, pool.right.test
    assert pool.wrong[train].mean() == 0.5
    assert not pool.wrong[test].any()  # held-out digits have right captions
    same = ~pool.wrong
    assert np.array_equal(pool.labels[same], pool.right.labels[same])
    assert np.array_equal(pool.images[same], pool.right.images[same])
    assert sorted(pool.labels) == sorted(pool.right.labels)  # captions are exchanged
    for each in np.flatnonzero(pool.wrong)[:5]:
        ours, own = (sorted(map(bytes, m.images[each])) for m in (pool, pool.right))
        assert ours == own
        assert not np.array_equal(pool.images[each], pool.right.images[each])
    kept = train[::2]
    for _ in range(2):  # an interrupted run writes the same files again
        pool.write(tmp_path / "mad", kept)
        mad = load(tmp_path / "mad")
        assert np.array_equal(mad.images[mad.train], pool.images[kept])
        assert np.array_equal(mad.labels[mad.train], pool.labels[kept])
        assert np.array_equal(mad.images[mad.test], pool.right.images[test])
        assert np.array_equal(mad.labels[mad.test], pool.right.labels[test])


def test_names_of_pools() -> None:
    import open_clip

    names = [f"open_clip:{a}/{tag}" for a, tag in open_clip.list_pretrained()]
    found = [pool_of(name) for name in names]
    own = [each for each in found if each is not None and each[1] != "datacomp"]
    assert len(own) == len(set(own)) == 21  # as in the paper
    assert pool_of("open_clip:ViT-B-32/commonpool_m_s128m_b4k") == ("m", "none")
    assert pool_of("open_clip:ViT-B-16/commonpool_l_clip_s1b_b8k") == ("l", "clip")
    assert pool_of("open_clip:ViT-L-14/datacomp_xl_s13b_b90k") == ("xl", "datacomp")
    assert pool_of("open_clip:ViT-B-32/laion2b_s34b_b79k") is None


def test_zoo(tmp_path: Path) -> None:
    models = {"m_s128m_b4k": 0.1, "m_clip_s128m_b4k": 0.4, "s_clip_s13m_b4k": 0.2}
    values = {
        f"open_clip:ViT-B-32/commonpool_{name}": {
            "coco": {R1: Value(x), "rmg": Value(1 - x)},
            "imagenet": {TOP1: Value(x)},
        }
        for name, x in models.items()
    }
    values["open_clip:ViT-B-32/openai"] = {"coco": {R1: Value(0.9)}}
    (tmp_path / "z").mkdir()
    Zoo(values=values, models={name: {} for name in values}).write(tmp_path / "z")
    table = filtered_data(tmp_path / "s", zoo=tmp_path / "z")
    assert list(table.rows) == [
        "coco, s, clip", "coco, m, none", "coco, m, clip",
        "imagenet, s, clip", "imagenet, m, none", "imagenet, m, clip",
    ]  # fmt: skip
    assert table.rows["coco, m, clip"]["rmg"].value == pytest.approx(0.6)
    verdicts = {each["claim"]: each["verdict"] for each in table.verdicts}
    assert verdicts["The CLIP filter improves top-1: imagenet, pool m"] == "agrees"
    assert verdicts["The CLIP filter improves top-1: imagenet, pool s"].startswith("not computed")


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "z").mkdir()
    Zoo(values={"m": {"coco": {R1: Value(0.1)}}}, models={"m": {}}).write(tmp_path / "z")
    with pytest.raises(InputError, match="must have models of CommonPool"):
        filtered_data(tmp_path / "s", zoo=tmp_path / "z")
    with pytest.raises(FileError, match="no such file"):
        filtered_data(tmp_path / "t", zoo=tmp_path / "none")
    with pytest.raises(OptionError, match="wrong must be"):
        filtered_data(tmp_path / "t", wrong=1.0)
    with pytest.raises(OptionError, match="kept must be"):
        filtered_data(tmp_path / "t", kept=0.0)
    with pytest.raises(OptionError, match=r"train.data.limit: is set by the study"):
        filtered_data(tmp_path / "t", train={"data.limit": 100})


@pytest.mark.slow
def test_a_few_steps(tmp_path: Path) -> None:
    table = filtered_data(tmp_path / "s", train={"steps": 2, "batch": 32}, jobs=1)
    assert list(table.rows) == ["MAD, none", "MAD, random", "MAD, model", "MAD, right captions"]
    right = {name: row["right"].value for name, row in table.rows.items()}
    assert right["MAD, none"] == pytest.approx(0.5, abs=0.001)
    assert right["MAD, right captions"] == 1
    assert table.rows["MAD, model"]["pairs"].value == table.rows["MAD, random"]["pairs"].value
    assert {"rmg", "l2m", R1, TOP1} < set(table.rows["MAD, model"])
