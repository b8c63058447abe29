"""Score spread ratio: do scores of unrelated items vary more within a modality than across?

Equation: sd⟨u, u'⟩ / sd⟨u, v⟩; u and u' are distinct items of this modality, v items of the other.
Across modalities σ² = tr(Σ_u Σ_v) + μ_vᵀ Σ_u μ_v + μ_uᵀ Σ_v μ_u, which is exact over all pairs if Σ
is divided by n. Within a modality the pairs of an item and itself are left out:
σ² = (‖M‖² − n)/(n(n − 1)) − cone², M = Σ u uᵀ the sum of the outer products of the rows.
Source: this project; standardised scores of arXiv 2511.22141 rest on the same two moments.
Relations: center sets the means of both kinds of scores to 0, but the ratio stays above 1, so items
of the query's own modality still reach the top of a mixed index by chance. Dividing scores by the
standard deviation of their kind makes it 1.
Fails when: there are few items. Matched pairs are then many of the pairs across modalities and
raise that standard deviation.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.embeddings.cosine_moments import cosine_moments
from modalgap.measure.base import Measure, Seen, Side
from modalgap.result import Value

CARD = Card(
    name="score_spread_ratio",
    group="What does it do to search and to predictions?",
    traits=("size",),
    reads="covariances",
    roles=("modality", "other"),
    title="Score spread ratio",
    question="Do scores vary more within this modality than across modalities?",
    idea=(
        "The standard deviation of the cosines between items of one modality divided by that of"
        " the cosines with items of the other modality; 1 means that both spread equally."
    ),
    equation=(
        r"\frac{\operatorname{sd}\langle u, u' \rangle}{\operatorname{sd}\langle u, v \rangle},"
        r"\quad \operatorname{var}\langle u, v \rangle = \operatorname{tr}(\Sigma_u \Sigma_v) +"
        r" \mu_v^\top \Sigma_u \mu_v + \mu_u^\top \Sigma_v \mu_u"
    ),
    source="modalgap; compare arXiv 2511.22141",
    direction="lower",
    low=0.0,
    interval="none: it needs fourth moments",
)


def _score_spread_ratio(seen: Seen) -> Value:
    evidence, own = seen.evidence, seen.side
    evidence.resolved()
    other = evidence.text if own is evidence.image else evidence.image
    within, (mean, across) = _within(own), _across(own, other)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.float64(within) / np.float64(across)
    return Value(
        float(ratio),
        details={
            "within": {"mean": _mean_within(own), "sd": within},
            "across": {"mean": mean, "sd": across},
        },
    )


def _mean_within(side: Side) -> float:
    """The cone: mean cosine between distinct rows."""
    n, mean = side.n, side.moments.mean
    return float((n * n * (mean @ mean) - n) / (n * (n - 1)))


def _within(side: Side) -> float:
    """Standard deviation of the cosines of distinct rows."""
    n, mean = side.n, side.moments.mean
    products = side.moments.covariance * (n - 1) + n * np.outer(mean, mean)
    squares = ((products**2).sum() - n) / (n * (n - 1))
    return float(max(0.0, squares - _mean_within(side) ** 2) ** 0.5)


def _across(one: Side, two: Side) -> tuple[float, float]:
    """Mean and standard deviation of the cosines of all rows of one side with all of the other."""
    first, second = (
        (side.moments.mean, side.moments.covariance * (side.n - 1) / side.n) for side in (one, two)
    )
    return cosine_moments(first, second)


score_spread_ratio = Measure(CARD, _score_spread_ratio)
