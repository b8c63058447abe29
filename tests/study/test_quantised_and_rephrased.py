"""The study quantised_and_rephrased: counts in plain numpy, files, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import modalgap as mg
from modalgap import errors
from modalgap.close import fit
from modalgap.study import quantised_and_rephrased
from modalgap.study.chowers2026.quantised_and_rephrased import counted


def made(other: float = 0.0) -> mg.Pair:
    """Images around six class prompts, in another cone; prompts in another wording if asked."""
    random = np.random.default_rng(0)
    prompts = random.standard_normal((6, 16))
    labels = np.arange(90) % 6
    images = prompts[labels] + 0.8 * random.standard_normal((90, 16)) + 3 * np.eye(16)[0]
    prompts = prompts + other * random.standard_normal((6, 16)) + 3 * np.eye(16)[1]
    return mg.Pair(images, prompts, labels=labels)


@pytest.mark.parametrize("method", ["", "project", "center"])
def test_by_hand(method: str) -> None:
    pair, other = made(), made(0.5).text.unit()
    options = {"retrieved": "text", "explained_variance": 1.0} if method == "project" else {}
    map_ = fit(pair, method, **options) if method else None
    row = counted(pair, {"order": other}, map_, [4])
    closed = pair if map_ is None else map_.apply(pair)
    x, y = closed.image.unit().numpy(), closed.text.unit().numpy()
    base = (x @ y.T).argmax(1)
    width = (y.max() - y.min()) / 4
    rounded = y.min() + (np.clip(np.floor((y - y.min()) / width), 0, 3) + 0.5) * width
    answers = (x @ rounded.T).argmax(1)
    assert row["bins_4_rob"].value == pytest.approx(np.mean(answers == base))
    assert row["bins_4_accuracy"].value == pytest.approx(np.mean(answers == pair.labels))
    reworded = other.numpy() if map_ is None else map_.text(other)
    answers = (x @ reworded.T).argmax(1)
    assert row["order_rob"].value == pytest.approx(np.mean(answers == base))
    right = [np.mean(each == pair.labels) for each in (base, answers)]
    assert row["order_drop"].value == pytest.approx(right[0] - right[1])


def test_files(tmp_path: Path) -> None:
    first = str(mg.save(made(), tmp_path / "mine.safetensors"))
    second = str(mg.save(made(0.5), tmp_path / "other.safetensors"))
    table = quantised_and_rephrased(tmp_path / "out", pair=first, other=second, bins=[256, 7])
    assert list(table.rows) == ["mine, open", "mine, project", "mine, center"]
    assert {"order_rob", "bins_7_rob"} <= set(table.heads)
    assert "word_rob" not in table.heads
    assert (tmp_path / "out" / "quantised_and_rephrased.png").exists()
    assert all(each["verdict"].startswith("not computed") for each in table.verdicts)
    alone = quantised_and_rephrased(tmp_path / "alone", pair=first, bins=[8])
    assert "order_rob" not in alone.heads


def test_refusals(tmp_path: Path) -> None:
    first = str(mg.save(made(), tmp_path / "mine.safetensors"))
    x = torch.randn(10, 16)
    fewer = str(
        mg.save(mg.Pair(x, x[:3], labels=[0, 1, 2, 0, 1, 2, 0, 1, 2, 0]), tmp_path / "f.npz")
    )
    with pytest.raises(errors.InputError, match="must hold 6 texts of 16 columns"):
        quantised_and_rephrased(tmp_path, pair=first, other=fewer)
    with pytest.raises(errors.OptionError, match="other must come with pair"):
        quantised_and_rephrased(tmp_path, other=first)
    for bins in ([1], [], [8, 8]):
        with pytest.raises(errors.OptionError, match="bins must"):
            quantised_and_rephrased(tmp_path, bins=bins)
    with pytest.raises(errors.OptionError, match="explained_variance"):
        quantised_and_rephrased(tmp_path, explained_variance=0.0)
