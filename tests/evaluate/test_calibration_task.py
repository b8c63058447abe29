"""Calibration against scikit-learn, its own definitions and candidates drawn at the prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from evaluate.calibration_cases import GRID, overlapping, pair_of
from reference.cases import random_case, two_cones, unit
from sklearn.metrics import brier_score_loss, precision_score, recall_score, roc_auc_score
from torchmetrics.functional.classification import binary_calibration_error

from modalgap import errors, evaluate
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import Outcome, calibrate


def numbers(found: Outcome) -> dict[str, float]:
    return {name: scores.value for name, scores in found.scores.items()}


# the task -----------------------------------------------------------------------------------------


def test_numbers_of_the_task() -> None:
    found = evaluate.calibration(overlapping(), prior=0.3, precision=0.7)
    values = numbers(found)
    assert set(values) == {
        f"image_text_{name}"
        for name in (
            "auc", "ece_isotonic", "brier_isotonic", "ece_logistic", "brier_logistic",
            "threshold", "precision_there", "recall_there",
        )
    }  # fmt: skip
    better = {name.removeprefix("image_text_"): s.better for name, s in found.scores.items()}
    assert {better[name] for name in ("auc", "precision_there", "recall_there")} == {"higher"}
    assert {better[name] for name in better if "ece" in name or "brier" in name} == {"lower"}
    assert better["threshold"] == "neither"
    s, y = found.scores["image_text_auc"].values.T
    assert values["image_text_auc"] == pytest.approx(roc_auc_score(y, s))
    accepted, again, weights = found.scores["image_text_recall_there"].values.T
    assert np.array_equal(y, again)
    assert np.array_equal(accepted, s >= values["image_text_threshold"])
    for name, score in (("precision", precision_score), ("recall", recall_score)):
        expected = score(y, accepted, sample_weight=weights)
        assert values[f"image_text_{name}_there"] == pytest.approx(expected)
    assert weights[y == 1].sum() == pytest.approx(0.3)
    assert weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("how", ["isotonic", "logistic"])
@pytest.mark.parametrize("prior", [0.5, 0.05])
def test_errors_of_probabilities(how: str, prior: float) -> None:
    found = evaluate.calibration(overlapping(), prior=prior).scores
    p, y, weights = found[f"image_text_brier_{how}"].values.T
    value = found[f"image_text_brier_{how}"].value
    assert value == pytest.approx(brier_score_loss(y, p, sample_weight=weights))
    gap = 0.0
    for low in range(15):
        here = (p >= low / 15) & ((p < (low + 1) / 15) | (low == 14))
        if here.any():
            share = weights[here].sum() / weights.sum()
            apart = np.average(p[here], weights=weights[here]) - np.average(
                y[here], weights=weights[here]
            )
            gap += share * abs(apart)
    assert found[f"image_text_ece_{how}"].value == pytest.approx(gap, abs=1e-9)


def test_calibration_error_against_torchmetrics() -> None:
    # of equal weights, which torchmetrics has
    scores = evaluate.calibration(overlapping()).scores["image_text_ece_logistic"]
    p, y = np.ascontiguousarray(scores.values.T[:2])
    alike = scores.statistic(np.stack([p, y, np.ones(len(p))], 1), np.ones(len(p)))
    expected = binary_calibration_error(torch.from_numpy(p), torch.from_numpy(y).int(), n_bins=15)
    assert alike == pytest.approx(float(expected), abs=1e-6)


def test_halves_are_of_images() -> None:
    # what is judged: about half of the images, each with all of its candidates
    of = np.repeat(np.arange(100), 3)
    images, texts = two_cones(100, 10, of=of)
    found = evaluate.calibration(Pair(images, texts, of), negatives=4)
    clusters = found.scores["image_text_ece_isotonic"].clusters
    assert clusters is not None
    assert len(np.unique(clusters)) == 50
    matches = found.scores["image_text_ece_isotonic"].values[:, 1]
    assert np.array_equal(np.bincount(clusters[matches == 1])[np.unique(clusters)], [3] * 50)


def test_large_samples_are_well_calibrated() -> None:
    pair = overlapping(6000)
    found = evaluate.calibration(pair, prior=0.2, precision=0.6)
    values = numbers(found)
    assert values["image_text_ece_isotonic"] < 0.02
    assert values["image_text_ece_logistic"] < 0.03
    assert values["image_text_precision_there"] == pytest.approx(0.6, abs=0.03)
    whole = calibrate(pair, prior=0.2)
    assert values["image_text_threshold"] == pytest.approx(whole.threshold(0.6), abs=0.02)
    curve = found.details["image_text"]
    assert curve["slope"] == pytest.approx(whole.slope, rel=0.1)
    knots = np.array(curve["knots"])
    assert len(knots) <= 60
    assert (np.diff(knots, axis=0) >= 0).all()
    for expected, share, weight in curve["reliability"]:
        assert weight < 0.02 or expected == pytest.approx(share, abs=0.08)
    assert sum(weight for _, _, weight in curve["reliability"]) == pytest.approx(1)


def test_kinds_of_the_task() -> None:
    pairs, captions = pair_of(random_case("pairs")), pair_of(random_case("five captions"))
    prompts = pair_of(random_case("class prompts"))

    def kinds(pair: Pair, **options: Any) -> set[str]:
        return set(evaluate.calibration(pair, **options).details) - {"prior", "precision"}

    assert kinds(pairs) == {"image_text"}
    assert kinds(captions) == {"image_text", "text_text"}
    assert kinds(prompts) == {"image_text", "image_image"}
    assert kinds(pairs, factor="object") == {"image_text", "image_image", "text_text"}


def test_a_precision_that_nothing_reaches_is_said() -> None:
    x, y = np.random.default_rng(0).normal(size=(2, 80, 4))
    found = evaluate.calibration(Pair(x, y), prior=0.01)
    assert "image_text_threshold" not in found.scores
    assert "no score gives a precision of 0.9" in found.details["image_text"]["threshold"]
    assert "image_text_auc" in found.scores


def test_the_same_seed_draws_the_same() -> None:
    pair = overlapping(60)
    one, two, other = (numbers(evaluate.calibration(pair, seed=seed)) for seed in (1, 1, 2))
    assert one == two
    assert one != other
    assert calibrate(pair, seed=3).slope == calibrate(pair, seed=3).slope
    assert calibrate(pair, seed=3).slope != calibrate(pair, seed=4).slope


# refusals -----------------------------------------------------------------------------------------


def test_without_classes_or_non_matches() -> None:
    pair = overlapping(20)
    for kind in ("image_image", "text_text"):
        with pytest.raises(errors.NotApplicable, match=f"{kind}: {kind[-5:].strip('_')}s have no"):
            calibrate(pair, kind)
    one = Pair(*np.random.default_rng(0).normal(size=(2, 9, 4)), text_to_image=np.zeros(9, int))
    with pytest.raises(errors.NotApplicable, match="no non-matches"):
        calibrate(one)
    with pytest.raises(errors.NotApplicable, match=r"^calibration: .*no non-matches"):
        evaluate.calibration(one)
    lonely = Pair(Embeddings(np.eye(9), factors={"kind": np.arange(9)}), np.eye(9))
    with pytest.raises(errors.NotApplicable, match="no two images share a class"):
        calibrate(lonely, "image_image", factor="kind")


@pytest.mark.parametrize(
    "options",
    [
        {"prior": 0},
        {"prior": 1},
        {"prior": -0.1},
        {"prior": 1.5},
        {"prior": True},
        {"prior": "0.5"},
        {"prior": None},
        {"prior": float("nan")},
        {"prior": [0.5]},
        {"kind": "text_image"},
        {"kind": ["image_text"]},
    ],
)
def test_options_that_are_refused(options: dict[str, Any]) -> None:
    name = next(iter(options))
    with pytest.raises(errors.OptionError, match=f"^{name} must be"):
        calibrate(overlapping(20), **options)


@pytest.mark.parametrize("how", ["platt", "", None, 1])
def test_maps_that_there_are_not(how: Any) -> None:
    said = "isotonic, logistic" if isinstance(how, str) else "how must be a string"
    with pytest.raises(errors.OptionError, match=said):
        calibrate(overlapping(20)).probability([0.1], how)


def test_names_of_other_modalities() -> None:
    pair = overlapping(60)
    named = Pair(Embeddings(pair.image.unit(), "audio"), Embeddings(pair.text.unit(), "caption"))
    assert calibrate(named, "audio_caption").kind == "audio_caption"
    assert "audio_caption_auc" in evaluate.calibration(named).scores
    with pytest.raises(errors.OptionError, match="audio_caption"):
        calibrate(named, "image_text")


def test_norms_do_not_matter() -> None:
    pair = overlapping(60)
    lengths = np.random.default_rng(0).uniform(0.1, 9, (60, 1))
    scaled = Pair(pair.image.unit().numpy() * lengths, pair.text.unit())
    expected = calibrate(pair)
    assert calibrate(scaled).probability(GRID) == pytest.approx(
        expected.probability(GRID), abs=1e-3
    )
    assert unit(scaled.image.unit().numpy()).shape == (60, 12)
