"""Studies of many models: zoos whose correlations are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import kendalltau

from modalgap.errors import InputError
from modalgap.result import Value
from modalgap.study import gap_and_gain, gap_and_retrieval
from modalgap.study.correlation import partial
from modalgap.trace import points
from modalgap.zoo import Zoo

R1 = "retrieval.image_to_text_r1"
MIXED = "mixed.text_ndcg10"


def zoo(path: Path, columns: dict[str, Sequence[float]], sizes: Sequence[float]) -> Path:
    """A zoo on one data set, "coco", with these numbers of each model."""
    path.mkdir()
    values = {
        f"hf:m{i}": {"coco": {name: Value(column[i]) for name, column in columns.items()}}
        for i in range(len(sizes))
    }
    models = {f"hf:m{i}": {"parameters": size} for i, size in enumerate(sizes)}
    Zoo(values=values, models=models).write(path)
    return path


def test_partial() -> None:
    random = np.random.default_rng(0)
    z = random.normal(size=40)
    x, y = z + random.normal(size=40), z + random.normal(size=40)
    ab, ac, bc = (kendalltau(*two).statistic for two in ((x, y), (x, z), (y, z)))
    found = partial(x.tolist(), y.tolist(), z.tolist())
    assert found.value == pytest.approx((ab - ac * bc) / np.sqrt((1 - ac**2) * (1 - bc**2)))
    assert found.value < ab  # z explains a part of it
    assert partial(z.tolist(), y.tolist(), z.tolist()).value == 0


def test_gap_and_retrieval(tmp_path: Path) -> None:
    """R@1 and the gap both rise with the size of models; nothing is left of their correlation."""
    sizes = [1.0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    noise = [0, 1, 2, 3] * 3
    other = [1, 3, 0, 2] * 3  # unrelated to noise within a size: 3 pairs rise, 3 fall
    columns = {
        "rmg": [10 * a + b for a, b in zip(sizes, noise, strict=True)],
        R1: [10 * a + b for a, b in zip(sizes, other, strict=True)],
    }
    table = gap_and_retrieval(tmp_path / "s", zoo=zoo(tmp_path / "z", columns, sizes))
    row = table.rows["coco, image to text: RMG"]
    assert row["tau"].value == pytest.approx(kendalltau(*columns.values()).statistic)
    assert row["tau"].value > 0.7
    assert row["p"].value < 0.01
    assert row["parameters"].value < 0.35
    assert list(table.rows) == ["coco, image to text: RMG"]


def test_gap_and_gain(tmp_path: Path) -> None:
    gaps = [0.1, 0.2, 0.3, 0.4, 0.5]
    columns = {
        "rmg": gaps,
        MIXED: [0.5] * 5,
        f"{MIXED}_zscore": [0.5 + gap for gap in gaps],
        f"center.{MIXED}": [0.5 - gap for gap in gaps],
    }
    table = gap_and_gain(tmp_path / "s", zoo=zoo(tmp_path / "z", columns, [1.0] * 5))
    standardised = table.rows["coco, standardised scores, mixed search, text queries"]
    assert standardised["tau"].value == 1
    assert standardised["gain"].value == pytest.approx(0.3)
    assert standardised["gain"].interval == pytest.approx((0.1, 0.5))
    assert points(standardised["gain"]) == (pytest.approx(gaps), pytest.approx(gaps))
    assert table.rows["coco, centring, mixed search, text queries"]["tau"].value == -1
    assert len(table.rows) == 2


def test_too_little(tmp_path: Path) -> None:
    small = zoo(tmp_path / "z", {"rmg": [0.1] * 3, R1: [0.2] * 3, MIXED: [0.1] * 3}, [1.0] * 3)
    with pytest.raises(InputError, match="at least 4 models with a measure of the gap"):
        gap_and_retrieval(tmp_path / "s", zoo=small)
    with pytest.raises(InputError, match="at least 4 models with the tasks"):
        gap_and_gain(tmp_path / "s", zoo=small)
