"""The study softmax_sums: sums and gradient in plain loops, CLIP's features, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared
from reference.cases import two_cones

import modalgap as mg
from modalgap import errors
from modalgap.study import softmax_sums
from modalgap.study.chowers2026.softmax_sums import sums_of


def by_hand(x: np.ndarray, y: np.ndarray, tau: float) -> tuple[float, float, float]:
    """Mean |sum − 1|, largest of the columns, and the norm of the gradient along the gap."""
    n = len(x)
    logits = x @ y.T / tau
    rows = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    columns = np.exp(logits) / np.exp(logits).sum(0, keepdims=True)
    apart = [abs(rows[:, j].sum() - 1) for j in range(n)]
    other = [abs(columns[i].sum() - 1) for i in range(n)]
    gap = y.mean(0) - x.mean(0)
    unit = gap / np.linalg.norm(gap)
    along = 0.0
    weights = (rows + columns - 2 * np.eye(n)) / (2 * n * tau)
    for i in range(n):  # the gradient without its part along the row itself
        for own, pull in ((x[i], weights[i] @ y), (y[i], weights[:, i] @ x)):
            along += float((pull - (pull @ own) * own) @ unit) ** 2
    return float(np.mean(apart + other)), max(apart), along**0.5


def test_by_hand() -> None:
    x, y = (np.asarray(each, dtype=np.float64) for each in two_cones(12, 6))
    pair = mg.Pair(x, y)
    x, y = pair.image.unit().numpy().astype(float), pair.text.unit().numpy().astype(float)
    found = sums_of(pair, 0.3, 100)
    mean, largest, along = by_hand(x, y, 0.3)
    assert found["sums"].value == pytest.approx(mean, rel=1e-6)
    assert found["sums_image"].value == pytest.approx(largest, rel=1e-6)
    assert found["gradient_along"].value == pytest.approx(along, rel=1e-5)
    assert found["rows"].value == 12


def test_one_text_per_image_and_a_draw() -> None:
    x, y = two_cones(12, 6)
    twice = mg.Pair(x, np.concatenate([y, y + 0.1]), text_to_image=[*range(12), *range(12)])
    assert sums_of(twice, 0.3, 100)["rows"].value == 12
    assert sums_of(twice, 0.3, 5)["rows"].value == 5


def test_clip_is_not_doubly_stochastic() -> None:
    x, y = np.load(find_shared("clip_coco500.npy"))
    found = sums_of(mg.Pair(x, y), 0.01, 500)
    assert found["sums"].value == pytest.approx(0.553, abs=0.002)
    assert found["share_along"].value == pytest.approx(0.226, abs=0.002)


def test_a_file(tmp_path: Path) -> None:
    path = mg.save(mg.Pair(*two_cones(12, 6)), tmp_path / "mine.safetensors")
    table = softmax_sums(tmp_path / "out", pair=str(path), steps=30)
    assert set(table.rows) == {"simulated", "mine"}
    verdicts = [each["verdict"] for each in table.verdicts if "after training" in each["claim"]]
    assert (
        verdicts
        == ["not computed: needs the embedded models; run the study without the option pair"] * 2
    )


@pytest.mark.parametrize(
    ("name", "value"), [("rows", 1), ("temperature", 0.0), ("steps", 0), ("seed", -1)]
)
def test_refusals(name: str, value: float, tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match=name):
        softmax_sums(tmp_path, **{name: value})
