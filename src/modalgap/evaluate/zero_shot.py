"""Zero-shot classification: is the nearest class prompt the right one?

Numbers: top-1 and top-5 accuracy, the mean over classes of top-1 accuracy, and how evenly
predictions are spread over classes (Gini, normalised entropy). The details have Gini and entropy of
the true labels for comparison. Source: Radford et al. 2021,
section 3.1; concentration: Sato et al. 2026 (arXiv 2609.01103).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modalgap import checks
from modalgap.card import Card
from modalgap.counts import gini, normalised_entropy
from modalgap.embeddings import Pair
from modalgap.evaluate.base import Floats, Outcome, Scores, Statistic, Task
from modalgap.evaluate.ranking import nearest, ranks
from modalgap.evaluate.ranks import Relevant

CARD = Card(
    name="zero_shot",
    title="Zero-shot classification",
    question="Is the nearest class prompt the right one?",
    idea=(
        "Top-1 and top-5 accuracy, mean accuracy per class; Gini and entropy of the predictions"
        " and of the labels."
    ),
    source="Radford et al. 2021, section 3.1; Sato et al. 2026, arXiv 2609.01103",
    needs=("labels",),
    main=("top1", "gini"),
)


def _zero_shot(pair: Pair) -> Outcome:
    checks.needs(pair.labels is not None, "it needs labels: the class prompt of each image")
    assert pair.labels is not None  # noqa: S101 - checked above
    labels, classes = pair.labels, pair.text.n
    n = pair.image.n
    relevant = Relevant.of(np.arange(n), labels, n)
    ranked = ranks(pair.image, pair.text, relevant, what="classifying")
    right = ranked.within(1)
    predicted = nearest(pair.image, pair.text)
    each = ranked.queries
    scores = {
        "top1": Scores(right, each),
        "top5": Scores(ranked.within(5), each),
        "mean_per_class": Scores(np.stack([right, labels], 1), each, mean_per_class),
        "gini": Scores(predicted, each, _of_counts(gini, classes), "lower"),
        "entropy": Scores(predicted, each, _of_counts(normalised_entropy, classes), "higher"),
    }
    true = np.bincount(labels, minlength=classes).astype(np.float64)
    return Outcome(scores, {"label_gini": gini(true), "label_entropy": normalised_entropy(true)})


def mean_per_class(values: NDArray[np.float64], weights: Floats) -> float:
    """Mean accuracy over the classes that occur; rows are (right, class)."""
    right, codes = values[:, 0], values[:, 1].astype(np.int64)
    total = np.bincount(codes, weights)
    hits = np.bincount(codes, weights * right)
    return float((hits[total > 0] / total[total > 0]).mean())


def _of_counts(number: object, classes: int) -> Statistic:
    """The statistic that applies ``number`` to the counts of predicted classes."""

    def statistic(values: NDArray[np.int64], weights: Floats) -> float:
        return float(number(np.bincount(values, weights, classes)))  # type: ignore[operator]

    return statistic


zero_shot = Task(CARD, _zero_shot)
