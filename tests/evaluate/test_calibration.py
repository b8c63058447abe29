"""Calibration against scikit-learn, its own definitions and candidates drawn at the prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from evaluate.calibration_cases import GRID, overlapping, pair_of
from numpy.typing import NDArray
from reference.cases import Floats, random_case
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from modalgap import errors
from modalgap.embeddings import Embeddings, Pair
from modalgap.evaluate import Calibration, calibrate


def drawn(fitted: Calibration, prior: float, n: int = 200_000) -> tuple[Floats, NDArray[np.bool_]]:
    """Scores of candidates of which this share match, and whether each does."""
    random = np.random.default_rng(11)
    scores, match, _ = fitted.fit
    which = random.random(n) < prior
    found = np.where(which, random.choice(scores[match], n), random.choice(scores[~match], n))
    return found, which


def same(some: Floats, among: Floats) -> bool:
    """Whether each of some numbers is among others, up to float32."""
    among = np.sort(among.ravel())
    place = np.searchsorted(among, some).clip(1, len(among) - 1)
    return bool(np.minimum(abs(among[place] - some), abs(among[place - 1] - some)).max() < 1e-6)


# candidates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pairs", "five captions", "uneven captions", "class prompts"])
def test_candidates_across_modalities(name: str) -> None:
    case = random_case(name)
    cosines = case.x @ case.y.T
    matches = tuple(np.array(case.matches).T)
    fitted = calibrate(pair_of(case), negatives=7)
    scores, match, weights = fitted.fit
    assert np.sort(scores[match]) == pytest.approx(np.sort(cosines[matches]), abs=1e-6)
    apart = np.ones(cosines.shape, bool)
    apart[matches] = False
    assert same(scores[~match], cosines[apart])
    # drawn at random, matches thrown away
    assert 0.8 * 7 * match.sum() < (~match).sum() <= 7 * match.sum()
    assert scores[~match].mean() == pytest.approx(cosines[apart].mean(), abs=0.03)
    assert weights.sum() == pytest.approx(1)
    assert weights[match].sum() == pytest.approx(0.5)
    assert len(np.unique(weights[match])) == len(np.unique(weights[~match])) == 1


def test_candidates_within_a_modality() -> None:
    case = random_case("class prompts")
    cosines = case.x @ case.x.T
    assert case.labels is not None
    alike = case.labels[:, None] == case.labels[None]
    scores, match, _ = calibrate(pair_of(case), "image_image", negatives=5).fit
    counts = np.bincount(case.labels)
    assert match.sum() == counts[counts > 1].sum()  # each row with another of its class
    off = ~np.eye(len(cosines), dtype=bool)
    assert same(scores[match], cosines[alike & off])
    assert same(scores[~match], cosines[~alike])
    assert scores.max() < 1 - 1e-6  # no row with itself


def test_candidates_of_captions_and_factors() -> None:
    case = random_case("uneven captions")
    cosines = case.y @ case.y.T
    assert case.text_to_image is not None
    alike = case.text_to_image[:, None] == case.text_to_image[None]
    scores, match, _ = calibrate(pair_of(case), "text_text").fit
    off = ~np.eye(len(cosines), dtype=bool)
    assert same(scores[match], cosines[alike & off])
    assert same(scores[~match], cosines[~alike])
    pairs = random_case("pairs")
    cosines = pairs.x @ pairs.x.T
    alike = pairs.factors["colour"][:, None] == pairs.factors["colour"][None]
    scores, match, _ = calibrate(pair_of(pairs), "image_image", factor="colour").fit
    assert same(scores[match], cosines[alike & ~np.eye(120, dtype=bool)])
    assert same(scores[~match], cosines[~alike])


def test_every_row_of_a_class_has_another() -> None:
    # classes of 1, 2, 3, 4 in the directions of axes: matches score 1, the rest 0
    codes = np.repeat(np.arange(4), [1, 2, 3, 4])
    rows = np.eye(4)[codes]
    pair = Pair(Embeddings(rows, factors={"kind": codes}), np.eye(10, 4) + 1)
    scores, match, _ = calibrate(pair, "image_image", factor="kind").fit
    assert match.sum() == 9
    assert (scores[match] == 1).all()
    assert (scores[~match] == 0).all()


# maps ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [0.5, 0.1, 0.001, 0.9])
def test_isotonic_against_sklearn(prior: float) -> None:
    fitted = calibrate(overlapping(), prior=prior)
    scores, match, weights = fitted.fit
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, match, sample_weight=weights)
    assert fitted.probability(GRID) == pytest.approx(theirs.predict(GRID), abs=1e-9)


@pytest.mark.parametrize("prior", [0.5, 0.1, 0.9])
def test_isotonic_is_the_best_monotone_fit(prior: float) -> None:
    # pooled in steps by hand: the greatest convex minorant of the cumulative sums
    fitted = calibrate(overlapping(60), prior=prior, negatives=3)
    scores, match, weights = fitted.fit
    order = np.argsort(scores)
    x = np.concatenate([[0], np.cumsum(weights[order])])
    y = np.concatenate([[0], np.cumsum((weights * match)[order])])
    slopes, at = np.empty(len(order)), 0
    while at < len(order):
        ahead = (y[at + 1 :] - y[at]) / (x[at + 1 :] - x[at])
        step = len(ahead) - 1 - int(np.argmin(ahead[::-1]))
        slopes[at : at + step + 1] = ahead[step]
        at += step + 1
    assert fitted.probability(scores[order]) == pytest.approx(slopes, abs=1e-9)


@pytest.mark.parametrize("prior", [0.5, 0.1, 0.9])
def test_logistic_against_sklearn(prior: float) -> None:
    fitted = calibrate(overlapping(), prior=prior)
    scores, match, weights = fitted.fit
    theirs = LogisticRegression(C=np.inf, max_iter=5000, tol=1e-9)
    theirs.fit(scores[:, None], match, sample_weight=weights * len(scores))
    expected = theirs.predict_proba(GRID[:, None])[:, 1]
    assert fitted.probability(GRID, "logistic") == pytest.approx(expected, abs=2e-3)
    # at the maximum of the likelihood residuals cancel, and so do those times the score
    residual = weights * (fitted.probability(scores, "logistic") - match)
    assert abs(residual.sum()) < 1e-4
    assert abs((residual * scores).sum()) < 1e-4


@pytest.mark.parametrize("prior", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("how", ["isotonic", "logistic"])
def test_probabilities_at_a_prior_against_candidates_drawn_at_it(prior: float, how: str) -> None:
    fitted = calibrate(overlapping(2000), prior=prior)
    assert fitted.prior == prior
    scores, match = drawn(fitted, prior)
    found = fitted.probability(scores, how)
    assert found.mean() == pytest.approx(match.mean(), abs=0.005)
    edges = np.quantile(scores, np.linspace(0, 1, 11))
    tenth = np.digitize(scores, edges[1:-1])
    for number in range(10):
        here = tenth == number
        near = 0.02 if how == "isotonic" else 0.06  # not exactly logistic
        assert found[here].mean() == pytest.approx(match[here].mean(), abs=near)
    if how == "isotonic":  # the map fitted on them is the map
        theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, match)
        middle = np.quantile(scores, np.linspace(0.02, 0.98, 50))
        apart = np.abs(theirs.predict(middle) - fitted.probability(middle))
        assert apart.mean() < 0.02


@pytest.mark.parametrize("prior", [0.5, 0.01])
@pytest.mark.parametrize("how", ["isotonic", "logistic"])
def test_probability_grows_with_the_score(prior: float, how: str) -> None:
    found = calibrate(overlapping(), prior=prior).probability(GRID, how)
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    assert found[-1] > found[0]


def test_probability_grows_with_the_prior() -> None:
    pair = overlapping()
    for how in ("isotonic", "logistic"):
        several = [calibrate(pair, prior=p).probability(GRID, how) for p in (0.01, 0.1, 0.5, 0.9)]
        assert (np.diff(several, axis=0) >= -1e-9).all()


def test_probabilities_of_any_shape() -> None:
    fitted = calibrate(overlapping())
    one = fitted.probability(0.3)
    assert one.shape == ()
    assert fitted.probability([[0.3, 0.2]]).shape == (1, 2)
    assert fitted.probability(torch.tensor([0.3])) == pytest.approx([float(one)], abs=1e-6)
    assert fitted.probability([]).shape == (0,)
    assert fitted.probability([0.3], "logistic").shape == (1,)


def test_scores_that_tell_all() -> None:
    rows = np.eye(40)
    fitted = calibrate(Pair(rows, rows))
    assert fitted.probability([1.0, 0.0]) == pytest.approx([1, 0])
    assert fitted.threshold(1.0) == pytest.approx(1)


# threshold ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [0.5, 0.2, 0.05])
@pytest.mark.parametrize("precision", [0.3, 0.6, 0.9])
def test_threshold_by_trying_all(prior: float, precision: float) -> None:
    fitted = calibrate(overlapping(120), prior=prior, negatives=9)
    scores, match, weights = fitted.fit
    good = [
        limit
        for limit in scores
        if (weights * match)[scores >= limit].sum()
        >= precision * weights[scores >= limit].sum() - 1e-12
    ]
    if not good:
        with pytest.raises(errors.NotApplicable, match=f"precision of {precision}"):
            fitted.threshold(precision)
        return
    assert fitted.threshold(precision) == min(good)


@pytest.mark.parametrize(("prior", "precision"), [(0.5, 0.9), (0.2, 0.6), (0.05, 0.5)])
def test_threshold_gives_the_precision_among_candidates(prior: float, precision: float) -> None:
    fitted = calibrate(overlapping(3000), prior=prior)
    scores, match = drawn(fitted, prior)
    accepted = scores >= fitted.threshold(precision)
    assert match[accepted].mean() == pytest.approx(precision, abs=0.02)


def test_equal_scores_are_accepted_together() -> None:
    # matches and non-matches at one score: none without the others
    fitted = calibrate(Pair(np.ones((12, 16)), np.ones((12, 16))))
    assert fitted.threshold(0.49) == pytest.approx(1)
    with pytest.raises(errors.NotApplicable):
        fitted.threshold(0.51)
    assert fitted.probability(1.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "precision", [0, -1, 1.01, True, "0.9", None, float("nan"), float("inf"), [0.9]]
)
def test_precisions_that_are_none(precision: Any) -> None:
    with pytest.raises(errors.OptionError, match="precision"):
        calibrate(overlapping(20)).threshold(precision)
