"""Cut-offs against loops over queries and items in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from evaluate.calibration_cases import overlapping, pair_of
from numpy.typing import NDArray
from reference.cases import Case, Floats, random_case

from modalgap import errors
from modalgap.embeddings import Pair
from modalgap.evaluate import Calibration, CutOff, calibrate

VALUES: dict[str, list[float]] = {
    "best": [0.0, 0.5, 0.8, 0.95, 1.0],
    "deviations": [-1.0, 0.0, 1.0, 2.5],
    "score": [-0.2, 0.1, 0.3, 0.6],
}


def counted(
    scores: Floats, match: NDArray[np.bool_], rule: str, values: list[float], own: bool = False
) -> dict[str, list[float]]:
    """Query by query and item by item."""
    found: dict[str, list[float]] = {"precision": [], "recall": [], "kept": [], "empty": []}
    for value in values:
        kept = right = empty = 0
        recalls = []
        for q in range(len(scores)):
            items = [j for j in range(scores.shape[1]) if not (own and j == q)]
            s = {j: scores[q, j] for j in items}
            others = [s[j] for j in items if not match[q, j]]
            if rule == "best":
                best = max(s.values())
                limit = value * best if best > 0 else best * (2 - value)
            elif rule == "deviations":
                limit = np.mean(others) + value * np.std(others)
            else:
                limit = value
            chosen = [j for j in items if s[j] >= limit - 1e-12]
            good = sum(bool(match[q, j]) for j in chosen)
            number = sum(bool(match[q, j]) for j in items)
            kept, right, empty = kept + len(chosen), right + good, empty + (not chosen)
            if number:
                recalls.append(good / number)
        found["precision"].append(right / kept if kept else math.nan)
        found["recall"].append(float(np.mean(recalls)))
        found["kept"].append(kept / len(scores))
        found["empty"].append(empty / len(scores))
    return found


def same(found: CutOff, expected: dict[str, list[float]], near: float = 1e-9) -> None:
    for name, values in expected.items():
        assert getattr(found, name) == pytest.approx(values, abs=near, nan_ok=True), name


def matrix(case: Case) -> NDArray[np.bool_]:
    match = np.zeros((len(case.x), len(case.y)), dtype=bool)
    match[tuple(np.array(case.matches).T)] = True
    return match


@pytest.mark.parametrize("rule", VALUES)
@pytest.mark.parametrize("name", ["pairs", "uneven captions", "class prompts"])
def test_across_modalities(name: str, rule: str) -> None:
    case = random_case(name)
    scores, match = case.x @ case.y.T, matrix(case)
    fitted = calibrate(pair_of(case))
    images = fitted.relative(rule, VALUES[rule])
    same(images, counted(scores, match, rule, VALUES[rule]), 1e-4)
    texts = fitted.relative(rule, VALUES[rule][::-1], queries="text")
    same(texts, counted(scores.T, match.T, rule, VALUES[rule]), 1e-4)
    assert (images.kind, images.queries, texts.queries) == ("image_text", "image", "text")
    assert texts.values.tolist() == VALUES[rule]
    assert (np.diff(images.kept) <= 0).all()
    assert (np.diff(images.recall) <= 0).all()


@pytest.mark.parametrize("rule", VALUES)
def test_within_a_modality_the_query_is_no_result(rule: str) -> None:
    case = random_case("class prompts")
    assert case.labels is not None
    match = case.labels[:, None] == case.labels
    found = calibrate(pair_of(case), "image_image").relative(rule, VALUES[rule])
    same(found, counted(case.x @ case.x.T, match, rule, VALUES[rule], own=True), 1e-4)
    pairs = random_case("pairs")
    match = pairs.factors["colour"][:, None] == pairs.factors["colour"]
    found = calibrate(pair_of(pairs), "image_image", factor="colour").relative(rule, VALUES[rule])
    same(found, counted(pairs.x @ pairs.x.T, match, rule, VALUES[rule], own=True), 1e-4)


def test_matches_of_any_form() -> None:
    random = np.random.default_rng(0)
    image, text = random.normal(size=(20, 5)), random.normal(size=(15, 5))
    pairs = np.unique(random.integers(0, [12, 15], (30, 2)), axis=0)  # 8 images without a match
    pair = Pair(image, text, pairs=pairs)
    match = np.zeros((20, 15), dtype=bool)
    match[tuple(pairs.T)] = True
    x, y = (side.unit().double().numpy() for side in pair.sides)
    for rule, values in VALUES.items():
        found = calibrate(pair).relative(rule, values)
        same(found, counted(x @ y.T, match, rule, values), 1e-4)


def test_another_pair_and_a_sample_of_queries() -> None:
    fitted = calibrate(overlapping(seed=0))
    other = overlapping(200, seed=1)
    assert same_curves(fitted.relative(pair=other), calibrate(other).relative())
    few, again, else_ = (fitted.relative(max_queries=40, seed=seed) for seed in (0, 0, 1))
    assert same_curves(few, again)
    assert not same_curves(few, else_)


def same_curves(one: CutOff, two: CutOff) -> bool:
    return bool((one.precision == two.precision).all() and (one.recall == two.recall).all())


def test_at_a_precision() -> None:
    found = calibrate(overlapping()).relative("deviations")
    for precision in (0.3, 0.5):
        at = found.at(precision)
        chosen = int(np.flatnonzero(found.values == at)[0])
        assert found.precision[chosen] >= precision
        better = found.precision >= precision
        assert found.recall[chosen] == found.recall[better].max()
    with pytest.raises(errors.NotApplicable, match="no deviations of these gives a precision of 1"):
        calibrate(overlapping()).relative("deviations", [0.0]).at(1)


def test_relative_rules_beat_the_fixed_threshold_on_coco(coco: NDArray[np.float32]) -> None:
    """Values of docs/evaluate.md."""
    stated = {
        "image": {"score": 0.357, "deviations": 0.421, "best": 0.558},
        "text": {"score": 0.357, "deviations": 0.409, "best": 0.506},
    }
    grid = {
        "score": np.linspace(0, 0.8, 400),
        "deviations": np.linspace(0, 8, 200),
        "best": np.linspace(0.5, 1, 200),
    }
    fitted = calibrate(Pair(*coco))
    for queries, expected in stated.items():
        for rule, value in expected.items():
            found = fitted.relative(rule, grid[rule], queries=queries)
            p, r = found.precision, found.recall
            assert np.nanmax(2 * p * r / (p + r)) == pytest.approx(value, abs=6e-4)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"rule": "first"}, "rule must be one of best, deviations, score; got 'first'"),
    ({"values": []}, "values must have at least one number; got none"),
    ({"values": [0.5, "x"]}, "values must be a list of numbers"),
    ({"values": [math.nan]}, "values must be a finite number; got nan"),
    ({"values": [1.2]}, "values of best must be fractions in 0 … 1; got 1.2"),
    ({"queries": "audio"}, "queries must be one of image, text; got 'audio'"),
    ({"max_queries": 0}, "max_queries must be an integer of at least 1; got 0"),
    ({"pair": 3}, "pair must be a Pair or None; got 3"),
]


@pytest.mark.parametrize(("options", "words"), WRONG, ids=str)
def test_what_is_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.InputError) as caught:
        calibrate(overlapping(40)).relative(**options)
    assert words in str(caught.value)


def test_a_calibration_without_its_pair() -> None:
    fitted = calibrate(overlapping(40))
    bare = Calibration(
        fitted.kind, fitted.prior, fitted.scores, fitted.probabilities, fitted.slope,
        fitted.intercept, fitted.fit,
    )  # fmt: skip
    with pytest.raises(errors.InputError, match="pair: must be a Pair; got NoneType"):
        bare.relative()
    assert same_curves(bare.relative(pair=overlapping(40)), fitted.relative())
