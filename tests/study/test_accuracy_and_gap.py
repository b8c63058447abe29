"""The study accuracy_and_gap: shifts in plain numpy, comparisons by hand, files, and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import find_shared

import modalgap as mg
from modalgap import errors
from modalgap.result import Value
from modalgap.study import accuracy_and_gap
from modalgap.study.chowers2026.accuracy_and_gap import _as_good, compared, shifted
from modalgap.trace import points


def made(seed: int = 0) -> mg.Pair:
    """Images around six class prompts, in another cone."""
    random = np.random.default_rng(seed)
    prompts = random.standard_normal((6, 12))
    labels = np.arange(90) % 6
    images = prompts[labels] + 1.2 * random.standard_normal((90, 12)) + 2 * np.eye(12)[0]
    return mg.Pair(images, prompts + 2 * np.eye(12)[1], labels=labels)


def test_shifts_by_hand() -> None:
    pair = made()
    alphas = [-1.0, 0.0, 0.5, 1.0]
    row = shifted(pair, alphas)
    x, y = (side.unit().numpy().astype(float) for side in pair.sides)
    gap = x.mean(0) - y.mean(0)
    expected = []
    for alpha in alphas:
        image, text = x - alpha / 2 * gap, y + alpha / 2 * gap
        image = image / np.linalg.norm(image, axis=1, keepdims=True)
        text = text / np.linalg.norm(text, axis=1, keepdims=True)
        expected.append(np.mean((image @ text.T).argmax(1) == pair.labels))
    assert points(row["accuracy"]) == (alphas, pytest.approx(expected))
    assert row["accuracy"].value == pytest.approx(expected[1])
    assert row["closed"].value == pytest.approx(expected[3])
    assert row["best"].value == max(expected)
    assert row["best_alpha"].value == alphas[int(np.argmax(expected))]
    assert row["gap"].value == pytest.approx(np.linalg.norm(gap), abs=1e-5)


def test_shifts_that_are_as_good_as_the_best() -> None:
    alphas, values = [-1.0, 0.0, 1.0, 2.0, 3.0], [0.9, 0.7, 0.86, 0.91, 0.88]
    row = _as_good(alphas, values, 3, (0.85, 0.95))  # -1 is apart from the others
    assert (row["best_low"].value, row["best_high"].value) == (1.0, 3.0)
    row = _as_good(alphas, [0.5] * 5, 0, (0.45, 0.55))  # flat: every shift
    assert (row["best_low"].value, row["best_high"].value) == (-1.0, 3.0)


def test_compared_by_hand() -> None:
    def row(gap: float, accuracy: float, low: float, high: float) -> dict[str, Value]:
        return {
            "gap": Value(gap),
            "accuracy": Value(accuracy),
            "best_low": Value(low),
            "best_high": Value(high),
        }

    rows = {
        "a_1": row(0.1, 0.5, -1.0, 0.5),
        "b_1": row(0.2, 0.6, 0.75, 2.0),  # smaller gap, lower accuracy: against
        "a_2": row(0.1, 0.9, 0.0, 2.0),
        "b_2": row(0.3, 0.8, -1.0, 1.0),  # smaller gap, higher accuracy
    }
    found = compared(rows, {name: name[-1] for name in rows})
    assert found["spread"].value == 0.25  # from the end of a_1 to the start of b_1
    assert found["against"].value == 0.5
    assert compared({"a": rows["a_1"]}, {"a": "1"}) == {}


def test_files(tmp_path: Path) -> None:
    files = [str(mg.save(made(seed), tmp_path / f"m{seed}_t.safetensors")) for seed in (0, 1)]
    table = accuracy_and_gap(tmp_path / "out", pair=files, alphas=[0, 1])
    assert list(table.rows) == ["m0_t", "m1_t", "all tasks"]
    assert "against" not in table.rows["all tasks"]  # both are always correct: a tie
    assert (tmp_path / "out" / "accuracy_and_gap.png").exists()


def test_stated_numbers_of_clip() -> None:
    x, y = np.load(find_shared("clip_coco500.npy"))
    row = shifted(mg.Pair(x, y), [0.0, 1.0])
    assert row["accuracy"].value == pytest.approx(0.552, abs=0.002)
    assert row["closed"].value == pytest.approx(0.358, abs=0.002)


@pytest.mark.parametrize("alphas", [[0.5], [0, 1, 1], [0, 1, 1e9], ["x"]])
def test_refusals(alphas: list[float], tmp_path: Path) -> None:
    with pytest.raises(errors.OptionError, match="alphas must be"):
        accuracy_and_gap(tmp_path, alphas=alphas)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    one = str(mg.save(made(), tmp_path / "m_t.safetensors"))
    two = str(mg.save(made(1), tmp_path / "a" / "m_t.safetensors"))
    with pytest.raises(errors.OptionError, match="pair must be different"):
        accuracy_and_gap(tmp_path / "out", pair=[one, two])
