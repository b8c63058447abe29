"""The best shift along the gap: chosen on all images, or on one half and scored on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.close import fit
from modalgap.embeddings import Pair
from modalgap.evaluate.base import Floats, Scores, Statistic, mean
from modalgap.result import Value
from modalgap.study.liang2022.shifted import SHIFTS, moved, signed_distance
from modalgap.trace import traced


@dataclass(frozen=True)
class Curve:
    """The scores of a set at every shift.

    Attributes:
        values: (shifts, n, …) per image, for ``statistic``.
        statistic: accuracy, or ROC-AUC.
        gaps: (shifts,) signed distance of means.
    """

    values: NDArray[Any]
    statistic: Statistic
    gaps: Floats

    def over(self, images: NDArray[Any]) -> Floats:
        """(shifts,) the score over these images."""
        ones = np.ones(len(images))
        return np.array([self.statistic(each[images], ones) for each in self.values])

    def scores(self, at: int, images: NDArray[Any], clusters: NDArray[np.int64]) -> Scores:
        """The score over these images at one shift, for intervals."""
        return Scores(self.values[at][images], clusters[images], self.statistic)


def row_of(
    pair: Pair, clusters: NDArray[np.int64], along: Pair, by_rank: bool, seed: int
) -> dict[str, Value]:
    """The score at every shift: without a shift, at the best one, and validated on one half.

    Args:
        pair: images, class prompts and labels.
        clusters: (n,) the cluster of each image; images of one cluster are dependent.
        along: the pair whose gap is the direction of the shift.
        by_rank: score by ROC-AUC instead of accuracy.
        seed: seed of the halves and the intervals.

    Returns:
        The columns of the study ``zero_shot_shift``; "best" is traced over the distance of means.
    """
    curve = _curve(pair, along, by_rank)
    everything = np.arange(pair.image.n)
    chosen, test = _halves(clusters, seed)
    here = int(np.abs(SHIFTS).argmin())
    totals, ours, theirs = (curve.over(each) for each in (everything, chosen, test))
    best, valid, lucky = (_best(each) for each in (totals, ours, theirs))
    before, after = (curve.scores(at, test, clusters) for at in (here, valid))
    whole_set = curve.scores(here, everything, clusters)
    order = curve.gaps.argsort(kind="stable")
    return {
        "score": whole_set.number(seed),
        "best": traced(float(totals[best]), curve.gaps[order], totals[order]),
        "best_shift": Value(float(SHIFTS[best])),
        "gap": Value(float(curve.gaps[here])),
        "best_gap": Value(float(curve.gaps[best])),
        "chosen_shift": Value(float(SHIFTS[valid])),
        "test_before": before.number(seed),
        "test_after": after.number(seed),
        "gain": after.gain(before, seed),
        "optimistic": Value(float(theirs[lucky] - theirs[here])),
    }


def by_digit(pair: Pair) -> NDArray[np.int64]:
    """The cluster of each image of MAD: those of one digit."""
    digit = [str(each).partition("/")[0] for each in pair.image.names or ()]
    return np.unique(digit, return_inverse=True)[1].astype(np.int64)


def _curve(pair: Pair, along: Pair, by_rank: bool) -> Curve:
    """Classify at every shift."""
    assert pair.labels is not None  # noqa: S101 - checked in plan
    values, gaps = [], []
    for shift in SHIFTS:
        x, y = moved(pair, fit(along, "shift", length=float(shift)))
        cosine = x @ y.T
        if by_rank:  # softmax of two classes is monotone in the difference of their scores
            own = np.stack([cosine[:, 1] - cosine[:, 0], pair.labels], 1)
        else:
            own = (cosine.argmax(1) == pair.labels).astype(np.float64)
        values.append(own)
        gaps.append(signed_distance(x, y, along))
    return Curve(np.array(values), roc_auc if by_rank else mean, np.array(gaps))


def roc_auc(values: NDArray[Any], weights: Floats) -> float:
    """Area under the ROC curve; rows are (score, 1 for a positive or 0). Ties count half."""
    scores, place = np.unique(values[:, 0], return_inverse=True)
    positive = np.bincount(place, weights * values[:, 1], len(scores))
    negative = np.bincount(place, weights * (1 - values[:, 1]), len(scores))
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (positive.sum() * negative.sum()))


def _best(scores: Floats) -> int:
    """The shift with the highest score; of several, the smallest shift."""
    ties = np.flatnonzero(scores == scores.max())
    return int(ties[np.abs(SHIFTS[ties]).argmin()])


def _halves(clusters: NDArray[np.int64], seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images to choose the shift on, and images to score; no cluster is in both."""
    every = np.random.default_rng(seed).permutation(np.unique(clusters))
    first = np.isin(clusters, every[: len(every) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)
