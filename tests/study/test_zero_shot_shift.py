"""The study of table 1 of Liang et al. 2022: against plain numpy, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import modalgap as mg
from modalgap import errors
from modalgap.study import embedded, zero_shot_shift
from modalgap.study.liang2022.best_shift import roc_auc
from modalgap.study.plan import Work


def labelled(n: int = 60, classes: int = 4, dim: int = 8, seed: int = 0) -> mg.Pair:
    random = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    prompts = random.normal(size=(classes, dim)) + 0.7
    images = prompts[labels] + 1.2 * random.normal(size=(n, dim)) - 1.0
    names = [f"{i // 2}/{i % 2}" for i in range(n)]
    return mg.Pair(mg.Embeddings(images, "image", names=names), prompts, labels=labels)


def saved(folder: Path, name: str, pair: mg.Pair) -> str:
    return str(mg.save(pair, folder / f"{name}.safetensors"))


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_accuracy_at_every_shift_against_numpy(tmp_path: Path) -> None:
    pair = labelled()
    middles = np.array([1.0, -1.0])[:, None, None]
    captions = mg.Pair(*(np.random.default_rng(1).normal(size=(2, 30, 8)) + middles))
    file, along = saved(tmp_path, "mine", pair), saved(tmp_path, "captions", captions)
    table = zero_shot_shift(tmp_path / "out", classes=[file], direction=along)
    x, y = (side.unit().double().numpy() for side in pair.sides)
    gap = np.subtract(*(side.unit().double().numpy().mean(0) for side in captions.sides))
    gap /= np.linalg.norm(gap)
    found = []
    for shift in np.arange(-5, 5, 0.25):
        a, b = unit(x - shift / 2 * gap), unit(y + shift / 2 * gap)
        between = a.mean(0) - b.mean(0)
        distance = np.linalg.norm(between) * np.sign(between @ gap)
        found.append((distance, float(((a @ b.T).argmax(1) == pair.labels).mean()), shift))
    row = table.rows["mine"]
    points = sorted(found)
    assert row["best"].details["x"] == pytest.approx([each[0] for each in points], abs=1e-5)
    assert row["best"].details["y"] == pytest.approx([each[1] for each in points])
    assert row["best"].value == max(each[1] for each in found)
    (now,) = (each for each in found if each[2] == 0)
    assert row["score"].value == now[1]
    assert row["gap"].value == pytest.approx(now[0], abs=1e-5)
    best = [each for each in found if each[1] == row["best"].value]
    assert abs(row["best_shift"].value) == min(abs(each[2]) for each in best)
    gain = row["test_after"].value - row["test_before"].value
    assert row["gain"].value == pytest.approx(gain)
    low, high = row["gain"].interval or (1, 0)
    assert low <= gain <= high
    assert row["optimistic"].value >= row["gain"].value
    assert (tmp_path / "out" / "report.html").read_text().count("<svg") == 2


def test_roc_auc_against_sklearn() -> None:
    random = np.random.default_rng(0)
    scores, labels = random.integers(0, 9, 80).astype(float), random.integers(0, 2, 80)
    weights = random.integers(0, 3, 80).astype(float)
    ours = roc_auc(np.stack([scores, labels], 1), weights)
    assert ours == pytest.approx(roc_auc_score(labels, scores, sample_weight=weights))


def test_a_set_scored_by_roc_auc(tmp_path: Path) -> None:
    pair = labelled(40, 2)
    table = zero_shot_shift(tmp_path / "o", classes=[saved(tmp_path, "two", pair)], auc=["two"])
    x, y = (side.unit().double().numpy() for side in pair.sides)
    want = roc_auc_score(pair.labels, (x @ y.T) @ [-1, 1])
    assert table.rows["two"]["score"].value == pytest.approx(want)


def test_embedded_sets_keep_images_of_a_digit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "classes", lambda _work, _name: {"object": labelled(80)})
    settings = {"embedded": ["full"], "auc": [], "direction": "", "seed": 3}
    row = zero_shot_shift.run(Work(settings=settings, folder=tmp_path)).rows["object"]
    assert row["score"].interval is not None
    assert 0 <= row["test_before"].value <= 1
    assert list(zero_shot_shift.plan().models) == ["full"]


def test_a_gain_by_luck_is_not_a_gain(tmp_path: Path) -> None:
    """Labels are random, so no shift can help: the optimistic gain is above 0 all the same."""
    random = np.random.default_rng(5)
    pair = mg.Pair(random.normal(size=(300, 6)), random.normal(size=(3, 6)),
                   labels=random.integers(0, 3, 300))  # fmt: skip
    row = zero_shot_shift(tmp_path / "out", classes=[saved(tmp_path, "luck", pair)]).rows["luck"]
    low, high = row["gain"].interval or (1, 0)
    assert low <= 0 <= high
    assert row["optimistic"].value > 0


def test_refusals(tmp_path: Path) -> None:
    good = saved(tmp_path, "good", labelled())
    plain = saved(tmp_path, "plain", mg.Pair(*np.random.default_rng(0).normal(size=(2, 30, 5))))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"classes": [plain]}, "must hold class prompts and labels"),
        ({"classes": [saved(tmp_path, "few", labelled(8))]}, "at least 20 images; has 8"),
        ({"classes": [good, good]}, "got good more than once"),
        ({"classes": [good], "auc": ["other"]}, "unknown name of classes in auc"),
        ({"classes": [good], "auc": ["good"]}, "needs two classes"),
        ({"classes": [good], "direction": plain}, "has 5 columns; good has 8"),
        ({"classes": [good], "seed": -1}, "seed must be"),
    ]
    for options, said in cases:
        with pytest.raises(errors.InputError, match=said):
            zero_shot_shift(tmp_path / "out", **options)
