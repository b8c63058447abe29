"""Neighbourhoods of classes against a plain count of pairs of classes."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from modalgap import Pair, save
from modalgap.errors import InputError
from modalgap.study import neighbourhoods
from modalgap.study.schrodi2025.neighbourhoods import _row

Rows = NDArray[np.float64]


def unit(rows: Rows) -> Rows:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def opposite(a: Rows, b: Rows) -> float:
    """The fraction of pairs of classes in opposite order."""
    pairs = list(combinations(range(len(a)), 2))
    return sum((a[i] - a[j]) * (b[i] - b[j]) < 0 for i, j in pairs) / len(pairs)


def test_distance(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 5)
    texts = unit(random.normal(size=(6, 8)))
    images = unit(texts[labels] + random.normal(size=(30, 8)))
    save(Pair(images, texts, labels=labels), tmp_path / "six.safetensors")
    table = neighbourhoods(tmp_path / "s", classes=str(tmp_path / "six.safetensors"))
    cosines = images @ images.T
    x = np.array(
        [[cosines[np.ix_(labels == a, labels == b)].mean() for b in range(6)] for a in range(6)]
    )
    y = texts @ texts.T
    row = table.rows["six"]
    by_hand = np.mean([opposite(a, b) for a, b in zip(x, y, strict=True)])
    assert row["distance"].value == pytest.approx(by_hand, abs=1e-9)
    inverse = np.mean([opposite(np.argsort(a), np.argsort(b)) for a, b in zip(x, y, strict=True)])
    assert row["inverse"].value == pytest.approx(inverse, abs=1e-9)
    assert row["unrelated"].value == pytest.approx(1 / 3)
    assert row["classes"].value == 6
    simulated = [each for each in table.verdicts if "correlation" in each["claim"]]
    assert len(simulated) == 4
    assert {each["verdict"] for each in simulated} == {"agrees"}


def test_equal_orders(tmp_path: Path) -> None:
    texts = unit(np.random.default_rng(0).normal(size=(5, 8)))
    save(Pair(texts, texts, labels=np.arange(5)), tmp_path / "same.safetensors")
    table = neighbourhoods(tmp_path / "s", classes=[str(tmp_path / "same.safetensors")])
    assert table.rows["same"]["distance"].value == 0
    assert table.rows["same"]["inverse"].value == 0


def test_refusals(tmp_path: Path) -> None:
    rows = unit(np.random.default_rng(0).normal(size=(3, 8)))
    save(Pair(rows, rows, labels=np.arange(3)), tmp_path / "three.safetensors")
    with pytest.raises(InputError, match="labels of at least 4 classes"):
        neighbourhoods(tmp_path / "s", classes=str(tmp_path / "three.safetensors"))
    with pytest.raises(InputError, match="seed must be"):
        neighbourhoods(tmp_path / "s", seed=-1)
    assert not (tmp_path / "s").exists()


def test_unrelated_orders() -> None:
    """The expected distance, against random orders in which the own class is first."""
    random = np.random.default_rng(0)
    for classes in (4, 10):
        draws = []
        for _ in range(400):
            a, b = random.normal(size=(2, classes))
            a[0] = b[0] = 9
            draws.append(opposite(a, b))
        row = _row(unit(random.normal(size=(classes, 30))), unit(random.normal(size=(classes, 30))))
        assert row["unrelated"].value == pytest.approx(np.mean(draws), abs=0.02)
