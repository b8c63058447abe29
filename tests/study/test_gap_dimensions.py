"""The gap by dimension against numpy, on embeddings whose gap lies in known dimensions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from modalgap.errors import OptionError
from modalgap.study import gap_dimensions
from modalgap.trace import points

Rows = NDArray[np.float64]


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def made(n: int = 40, d: int = 12) -> Rows:
    """(2, n, d): images are large in dimension 3, texts in dimension 7."""
    random = np.random.default_rng(0)
    content = random.normal(size=(n, d))
    pair = np.stack([content, content + 0.8 * random.normal(size=(n, d))])
    pair[0, :, 3] += 5
    pair[1, :, 7] += 4
    return np.stack([unit(each) for each in pair])


def rmg(x: Rows, y: Rows) -> float:
    """By the definition, over all pairs."""
    n = len(x)
    other = ~np.eye(n, dtype=bool)
    matched = np.mean((1 - (x * y).sum(1)) / 2)
    inside = [np.mean(((1 - each @ each.T) / 2)[other]) for each in (x, y)]
    return float(matched / (matched + np.mean(inside)))


def test_numbers(tmp_path: Path) -> None:
    pair = made()
    np.save(tmp_path / "p.npy", pair)
    table = gap_dimensions(tmp_path / "s", pair=str(tmp_path / "p.npy"), drop=5)
    row = table.rows["p"]
    apart = np.abs(pair[0].mean(0) - pair[1].mean(0))
    order = np.argsort(-apart)
    assert row["first"].value == pytest.approx(apart[order[0]], abs=1e-6)
    assert points(row["first"])[1] == pytest.approx(apart[order], abs=1e-6)
    share = (apart[order[:2]] ** 2).sum() / (apart**2).sum()
    assert row["share"].value == pytest.approx(share, abs=1e-6)
    ranks, gaps = points(row["rmg_dropped"])
    scores = points(row["score_dropped"])[1]
    assert ranks == [0, 1, 2, 3, 4, 5]
    for k in range(6):
        kept = np.ones(12)
        kept[order[:k]] = 0
        x, y = (unit(each * kept) for each in pair)
        assert gaps[k] == pytest.approx(rmg(x, y), abs=1e-5)
        assert scores[k] == np.mean((x @ y.T).argmax(1) == np.arange(len(x)))
    assert row["rmg_two"].value == gaps[2]
    assert "p: dimension 3 is the largest of the mean image, 7 of the mean text" in table.notes
    xs, ys = points(table.rows["p: images"]["cloud"])
    assert xs == pytest.approx(pair[0][:, 3], abs=1e-6)
    assert ys == pytest.approx(pair[0][:, 7], abs=1e-6)
    assert row["separated"].value == 1


def test_axes_of_largest_difference(tmp_path: Path) -> None:
    pair = made()
    pair[..., 0] += 9  # the largest of both means
    np.save(tmp_path / "p.npy", np.stack([unit(each) for each in pair]))
    for axes in ("argmax", "largest"):
        table = gap_dimensions(tmp_path / axes, pair=str(tmp_path / "p.npy"), axes=axes, drop=1)
        assert any("of the largest differences of the means" in note for note in table.notes)


def test_clip(shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    file = shared_data("clip_coco500.npy")
    table = gap_dimensions(tmp_path / "s", pair=str(file), drop=3)
    verdicts = {each["claim"]: each["verdict"] for each in table.verdicts}
    assert verdicts["The first difference of the means of CLIP on COCO"] == "agrees"
    assert [verdicts[f"The {name} difference of the means of CLIP on COCO"] for name in
            ("second", "third")] == ["agrees", "agrees"]  # fmt: skip


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="drop must be"):
        gap_dimensions(tmp_path / "s", drop=0)
    with pytest.raises(OptionError, match="axes must be one of argmax, largest"):
        gap_dimensions(tmp_path / "s", axes="both")
