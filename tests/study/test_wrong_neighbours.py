"""Right class, wrong neighbours: against a plain ranking in numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from modalgap import Pair, save
from modalgap.errors import InputError
from modalgap.study import wrong_neighbours
from modalgap.study.mistretta2025.wrong_neighbours import _row


def made(noise: float = 1.0) -> Pair:
    random = np.random.default_rng(0)
    prompts = random.standard_normal((3, 6))
    labels = np.arange(45) % 3
    return Pair(prompts[labels] + noise * random.standard_normal((45, 6)), prompts, labels=labels)


def test_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modalgap.study.mistretta2025.wrong_neighbours.BLOCK", 7)
    pair = made()
    assert pair.labels is not None
    save(pair, tmp_path / "three.safetensors")
    table = wrong_neighbours(tmp_path / "s", classes=str(tmp_path / "three.safetensors"))
    x, y = pair.image.unit().double().numpy(), pair.text.unit().double().numpy()
    right = (x @ y.T).argmax(1) == pair.labels
    assert 0 < right.sum() < len(right)
    x, labels = x[right], pair.labels[right]
    quality, precision, first, at_r = [], [], [], []
    for q in range(len(x)):
        others = np.delete(np.arange(len(x)), q)
        scores, relevant = x[others] @ x[q], labels[others] == labels[q]
        quality.append(average_precision_score(relevant, scores))
        ordered, r = relevant[np.argsort(-scores)], int(relevant.sum())
        precision.append(ordered[:r].mean())
        first.append(ordered[0])
        at_r.append(np.mean([ordered[: k + 1].mean() * ordered[k] for k in range(r)]))
    row = table.rows["three"]
    assert row["accuracy"].value == pytest.approx(right.mean())
    assert row["images"].value == right.sum()
    assert row["map"].value == pytest.approx(np.mean(quality))
    assert row["r_precision"].value == pytest.approx(np.mean(precision))
    assert row["map_at_r"].value == pytest.approx(np.mean(at_r))
    assert row["r1"].value == pytest.approx(np.mean(first))
    counts = np.bincount(labels)
    chance = np.mean((counts[labels] - 1) / (len(labels) - 1))
    assert row["random"].value == pytest.approx(chance)


def test_images_of_the_same_digit_are_ignored() -> None:
    """Two groups of equal images: only the images of the other group are searched."""
    images = np.repeat(np.eye(4)[:2] + np.eye(4)[2], 3, axis=0)
    pair = Pair(images, np.eye(4)[2:] + 0.1, labels=np.zeros(6, int))
    row = _row(pair, np.repeat([0, 1], 3))
    assert row["map"].value == 1
    assert row["random"].value == 1
    assert row["images"].value == 6


def test_refusals(tmp_path: Path) -> None:
    random = np.random.default_rng(0).standard_normal((6, 4))
    save(Pair(random, random), tmp_path / "captions.npz")
    with pytest.raises(InputError, match="class prompts and labels"):
        wrong_neighbours(tmp_path / "s", classes=str(tmp_path / "captions.npz"))
    save(Pair(np.eye(4)[:2], np.eye(4)[:2], labels=[0, 1]), tmp_path / "one.npz")
    with pytest.raises(InputError, match="no two images of one class"):
        wrong_neighbours(tmp_path / "s", classes=str(tmp_path / "one.npz"))
