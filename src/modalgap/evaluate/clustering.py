"""Clustering: does k-means find the classes, or the modalities?

Numbers: V-measure of k-means (k = 2) on both modalities pooled against the modality (0: modalities
are mixed, 1: the clusters are the modalities); with labels, of k-means on the images against their
classes. Source: V-measure: Rosenberg & Hirschberg 2007; as a measure of the gap: ModGap (arXiv
2601.18525).
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from modalgap import checks
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.evaluate.base import Floats, Outcome, Scores, Task
from modalgap.evaluate.within import classes, count

CARD = Card(
    name="clustering",
    title="Clustering",
    question="Do clusters follow the content or the modality?",
    idea="V-measure of k-means against modalities (both pooled) and, with labels, classes.",
    source="Rosenberg & Hirschberg 2007; ModGap, arXiv 2601.18525",
    main=("modality_v",),
)


def _clustering(
    pair: Pair, *, factor: str | None = None, max_rows: int = 5000, seed: int = 0
) -> Outcome:
    """Options.

    ``factor``: factor of the images that defines the classes. ``max_rows``: rows per modality.
    ``seed``: for drawing rows and for k-means.
    """
    checks.whole("max_rows", max_rows, 2)
    checks.whole("seed", seed, 0)
    picks = [checks.sample(side.n, max_rows, seed) for side in pair.sides]
    x, y = (side.take(pick).numpy() for side, pick in zip(pair.sides, picks, strict=True))
    pooled = np.concatenate([x, y])
    modality = np.repeat([0, 1], [len(x), len(y)])
    scores = {"modality_v": _score(pooled, modality, 2, seed, "lower")}
    by_caption = factor is None and pair.pairs is not None  # as many clusters as captions
    codes = None if by_caption else classes(pair, pair.image, factor)
    if codes is not None:
        kept = codes[picks[0].numpy()]
        k = count(kept)
        if 1 < k < len(x):
            scores[f"{pair.image.modality}_class_v"] = _score(x, kept, k, seed, "higher")
    return Outcome(scores)


def _score(
    rows: NDArray[np.float32], truth: NDArray[np.int64], k: int, seed: int, better: str
) -> Scores:
    from sklearn.cluster import KMeans

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about identical rows
        found = KMeans(k, n_init=4, random_state=seed % 2**32).fit_predict(rows)
    return Scores(np.stack([truth, found], 1), np.arange(len(rows)), v_measure, better)


def v_measure(values: NDArray[np.int64], weights: Floats) -> float:
    """Of rows (class, cluster): harmonic mean of homogeneity and completeness."""
    _, truth = np.unique(values[:, 0], return_inverse=True)
    _, found = np.unique(values[:, 1], return_inverse=True)
    table = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(table, (truth, found), weights)
    table /= table.sum()
    of_truth, of_found = _entropy(table.sum(1)), _entropy(table.sum(0))
    shared = of_truth + of_found - _entropy(table.ravel())
    if of_truth + of_found <= 0:
        return 1.0
    return float(min(max(2 * shared / (of_truth + of_found), 0.0), 1.0))


def _entropy(shares: Floats) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


clustering = Task(CARD, _clustering)
