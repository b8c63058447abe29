"""Calibration: what is the probability that two items match, given their cosine?

Cosines of matches are 0.2 … 0.4 across modalities and 0.5 … 1 within one modality, so a cosine
alone does not tell whether two items match. The task fits isotonic (Zadrozny & Elkan 2002) and
logistic (Platt 1999) maps from score to probability on half of the images, and evaluates them on
the other half. It also computes the lowest threshold that reaches a required precision. Both depend
on ``prior``, the fraction of candidates that match. For the best of N candidates with one match,
prior is 1/N.
Numbers, for each pair of modalities that has matches: area under the ROC curve (higher is better),
expected calibration error and Brier score of both maps (lower is better), threshold, and precision
and recall at the threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modalgap import checks
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.embeddings.arrays import takes_pair
from modalgap.errors import InputError, NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Floats, Ints, OfSums, Outcome, Scores, Task, ratio
from modalgap.evaluate.cutoff import CutOff, cut_off
from modalgap.evaluate.within import classes, count

BINS = 15
MANY = 20  # classes

CARD = Card(
    name="calibration",
    title="Calibration",
    question="What cosine means that two items match?",
    idea=(
        "Maps scores to the probability of a match; fitted on one half and evaluated on the other."
    ),
    source="Platt 1999; Zadrozny & Elkan 2002; expected calibration error: Naeini et al. 2015",
    needs=(("pairs", "labels"),),
    main=("{0}_{1}_ece_isotonic",),
)


@checked
@dataclass(frozen=True, eq=False)
class Calibration:
    """Score to probability of a match, for one pair of modalities.

    Attributes:
        kind: "image_text", "image_image" or "text_text".
        prior: the fraction of candidates that match.
        scores, probabilities: (k,) knots of the isotonic map.
        slope, intercept: parameters of the logistic map.
        fit: (scores, matches, weights), the data on which both maps were fitted.
        pair: the pair on which ``calibrate`` fitted them.
        factor: the factor that defined classes within a modality.
    """

    kind: str
    prior: float
    scores: Floats
    probabilities: Floats
    slope: float
    intercept: float
    fit: tuple[Floats, NDArray[np.bool_], Floats]
    pair: Pair | None = field(default=None, repr=False)
    factor: str | None = None

    def probability(self, scores: ArrayLike, how: str = "isotonic") -> Floats:
        """Probability of a match at each score; ``how``: "isotonic" or "logistic"."""
        checks.one_of("how", how, ("isotonic", "logistic"))
        try:
            values = np.asarray(scores, np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(f"scores: must be numbers; got {error}") from error
        if how == "isotonic":
            return np.asarray(np.interp(values, self.scores, self.probabilities))
        return np.exp(-np.logaddexp(0.0, -(self.slope * values + self.intercept)))

    def threshold(self, precision: float = 0.9) -> float:
        """The lowest threshold with at least this precision among the scores above or equal.

        Raises:
            NotApplicable: no threshold reaches this precision.
        """
        checks.share("precision", precision)
        scores, match, weights = self.fit
        order = np.argsort(-scores, kind="stable")
        right = np.cumsum((weights * match)[order])
        total = np.cumsum(weights[order])
        # equal scores are accepted together
        last = np.append(np.diff(scores[order]) < 0, True)
        good = np.flatnonzero(last & (right >= precision * total * (1 - 1e-12)))
        if not len(good):
            raise NotApplicable(f"no score gives a precision of {precision:g} for {self.kind}")
        return float(scores[order][good[-1]])

    def relative(
        self,
        rule: str = "best",
        values: Sequence[float] | Floats | None = None,
        *,
        pair: Pair | None = None,
        queries: str | None = None,
        max_queries: int = 1000,
        seed: int = 0,
    ) -> CutOff:
        """Precision and recall of cut-offs that depend on the query instead of one threshold.

        Each query searches the whole gallery; ``prior`` plays no part.

        Args:
            rule: "best" keeps scores within a fraction of the best score of the query;
                "deviations" keeps scores that many standard deviations above the mean score of the
                query over items that do not match; "score" is the fixed threshold, to compare with.
            values: the fractions, numbers of deviations or scores to evaluate; larger keeps fewer.
            pair: queries and gallery, by default the pair of ``calibrate``.
            queries: the modality of the queries, by default the first of ``kind``.
            max_queries: queries, drawn with ``seed`` if there are more.
            seed: for the draw.

        Returns:
            The curves over ``values``; ``at(precision)`` gives the value to use.

        Raises:
            OptionError: an unknown rule or modality, or a value out of range.
            NotApplicable: no query has a match.
        """
        given = self.pair if pair is None else pair
        if not isinstance(given, Pair):
            raise InputError(f"pair: must be a Pair; got {type(given).__name__}")
        return cut_off(
            given, self.kind, rule, values, queries=queries, factor=self.factor,
            max_queries=max_queries, seed=seed,
        )  # fmt: skip


@takes_pair
def calibrate(
    pair: Pair,
    kind: str | None = None,
    *,
    prior: float = 0.5,
    negatives: int = 20,
    factor: str | None = None,
    seed: int = 0,
) -> Calibration:
    """Fit a calibration on all rows of a pair.

    Args:
        pair: matched images and texts.
        kind: "image_text" (default); or "image_image" or "text_text" if rows have classes. Other
            modalities have their own names here.
        prior: the fraction of candidates that match in the intended use.
        negatives: number of non-matches drawn per row.
        factor: the factor that defines classes within a modality.
        seed: for drawing non-matches.
    """
    if not isinstance(pair, Pair):
        raise InputError(f"pair: must be a Pair; got {type(pair).__name__}")
    checks.whole("negatives", negatives, 1)
    checks.whole("seed", seed, 0)
    prior = _prior(prior)
    kind = f"{pair.image.modality}_{pair.text.modality}" if kind is None else kind
    scores, match, _ = _candidates(pair, kind, negatives, factor, seed)
    return replace(_fitted(kind, scores, match, prior), pair=pair, factor=factor)


def _calibration(
    pair: Pair,
    *,
    prior: float = 0.5,
    precision: float = 0.9,
    negatives: int = 20,
    factor: str | None = None,
    seed: int = 0,
) -> Outcome:
    """Options.

    ``prior``: the fraction of candidates that match. ``precision``: required precision at the
    threshold. ``negatives``: number of non-matches drawn per row. ``factor``: the factor that
    defines classes within a modality. ``seed``: for draws and halves.
    """
    _prior(prior)
    checks.share("precision", precision)
    checks.whole("negatives", negatives, 1)
    checks.whole("seed", seed, 0)
    names = (pair.image.modality, pair.text.modality)
    found: dict[str, Scores] = {}
    details: dict[str, Any] = {"prior": prior, "precision": precision}
    reasons = []
    for kind in (f"{names[0]}_{names[1]}", f"{names[0]}_{names[0]}", f"{names[1]}_{names[1]}"):
        try:
            scores, match, groups = _candidates(pair, kind, negatives, factor, seed)
            part, curve = _held_out_scores(kind, scores, match, groups, prior, precision, seed)
        except NotApplicable as reason:
            reasons.append(str(reason))
            continue
        found |= part
        details[kind] = curve
    if not found:
        raise NotApplicable("; ".join(reasons))
    return Outcome(found, details)


def _held_out_scores(
    kind: str,
    scores: Floats,
    match: NDArray[np.bool_],
    groups: Ints,
    prior: float,
    precision: float,
    seed: int,
) -> tuple[dict[str, Scores], dict[str, Any]]:
    """Numbers on the held-out half, and the curves for a page."""
    half = np.random.default_rng(seed).permutation(int(groups.max()) + 1) % 2 == 0
    first = half[groups]
    checks.needs(
        all(match[part].any() and (~match[part]).any() for part in (first, ~first)),
        f"{kind}: too few rows for two halves with matches",
    )
    fitted = _fitted(kind, scores[first], match[first], prior)
    s, y, g = scores[~first], match[~first].astype(np.float64), groups[~first]
    weights = _weights(match[~first], prior)
    found = {
        f"{kind}_auc": Scores(np.stack([s, y], 1), None, _auc),
    }
    for how in ("isotonic", "logistic"):
        p = fitted.probability(s, how)
        rows = np.stack([p, y, weights], 1)
        found[f"{kind}_ece_{how}"] = Scores(rows, g, _ece, "lower")
        found[f"{kind}_brier_{how}"] = Scores(rows, g, _brier, "lower")
    curve: dict[str, Any] = {
        "slope": fitted.slope,
        "intercept": fitted.intercept,
        "knots": [[float(a), float(b)] for a, b in _thin(fitted.scores, fitted.probabilities)],
        "reliability": _reliability(fitted.probability(s), y, weights),
    }
    try:
        limit = fitted.threshold(precision)
    except NotApplicable as reason:
        curve["threshold"] = str(reason)
        return found, curve
    accepted = (s >= limit).astype(np.float64)
    rows = np.stack([accepted, y, weights], 1)
    found[f"{kind}_threshold"] = Scores(np.array([limit]), None, better="neither")
    if accepted.any():
        found[f"{kind}_precision_there"] = Scores(rows, g, _precision)
    found[f"{kind}_recall_there"] = Scores(rows, g, _recall)
    return found, curve


def _candidates(
    pair: Pair, kind: str, negatives: int, factor: str | None, seed: int
) -> tuple[Floats, NDArray[np.bool_], Ints]:
    """Scores (k,), whether they are matches, and the group of each for resampling."""
    random = np.random.default_rng(seed)
    image, text = pair.image.modality, pair.text.modality
    kinds = (f"{image}_{text}", f"{image}_{image}", f"{text}_{text}")
    checks.one_of("kind", kind, kinds)
    if kind == kinds[0]:
        own, partner = (index.numpy() for index in pair.matches)
        others = random.integers(0, pair.text.n, (len(own), negatives))
        matched = own * np.int64(pair.text.n) + partner
        wrong = ~np.isin(own[:, None] * np.int64(pair.text.n) + others, matched)
        sides = (pair.image, pair.text)
        owner: Ints | None = pair.clusters[0]
    else:
        side = pair.image if kind == kinds[1] else pair.text
        codes = classes(pair, side, factor)
        if codes is None:
            raise NotApplicable(f"{kind}: {side.modality}s have no classes")
        own, partner = _within(codes, random)
        checks.needs(len(own) > 1, f"{kind}: no two {side.modality}s share a class")
        others = random.integers(0, side.n, (len(own), negatives))
        wrong = codes[others] != codes[own][:, None]
        sides = (side, side)
        # rows of one class stay in one half if there are enough classes for two halves
        owner = codes if count(codes) >= MANY else None
    rows, columns = np.nonzero(wrong)
    left = np.concatenate([own, own[rows]])
    right = np.concatenate([partner, others[rows, columns]])
    match = np.arange(len(left)) < len(own)
    checks.needs(bool((~match).any()), f"{kind}: there are no non-matches")
    scores = np.empty(len(left))
    step = 65_536
    import torch

    for a in range(0, len(left), step):
        one = sides[0].take(torch.from_numpy(left[a : a + step]))
        two = sides[1].take(torch.from_numpy(right[a : a + step]))
        scores[a : a + step] = (one * two).sum(1).double().numpy()
    _, groups = np.unique(left if owner is None else owner[left], return_inverse=True)
    return scores, match, groups.astype(np.int64)


def _within(codes: Ints, random: np.random.Generator) -> tuple[Ints, Ints]:
    """Each row with another row of its class; rows that are alone in their class are omitted."""
    order = np.lexsort((random.random(len(codes)), codes))
    ordered = codes[order]
    # the next row of the same class; the last row of a class gets the first
    start = np.searchsorted(ordered, ordered, "left")
    stop = np.searchsorted(ordered, ordered, "right")
    following = np.arange(len(codes)) + 1
    following = np.where(following < stop, following, start)
    kept = stop - start > 1
    return order[kept], order[following[kept]]


def _fitted(kind: str, scores: Floats, match: NDArray[np.bool_], prior: float) -> Calibration:
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    weights = _weights(match, prior)
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    isotonic.fit(scores, match.astype(np.float64), weights)
    logistic = LogisticRegression(C=1e6, max_iter=1000)
    logistic.fit(scores[:, None], match, weights * len(scores))
    return Calibration(
        kind=kind,
        prior=prior,
        scores=np.asarray(isotonic.X_thresholds_, np.float64),
        probabilities=np.asarray(isotonic.y_thresholds_, np.float64),
        slope=float(logistic.coef_[0, 0]),
        intercept=float(logistic.intercept_[0]),
        fit=(scores, match, weights),
    )


def _weights(match: NDArray[np.bool_], prior: float) -> Floats:
    """Weights that sum to 1; those of matches sum to the prior."""
    result: Floats = np.where(match, prior / match.sum(), (1 - prior) / (~match).sum())
    return result


def _prior(prior: float) -> float:
    if isinstance(prior, bool) or not isinstance(prior, int | float) or not 0 < prior < 1:
        raise OptionError(f"prior must be a number between 0 and 1; got {quoted(prior)}")
    return float(prior)


def _auc(values: NDArray[np.float64], _weights: Floats) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(values[:, 1], values[:, 0]))


def _bins(values: NDArray[np.float64]) -> Floats:
    """Of rows (probability, match, weight): weight × difference in its bin, and weight."""
    p, y, w = values.T
    terms = np.zeros((len(p), BINS + 1))
    number = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    terms[np.arange(len(p)), number] = w * (p - y)
    terms[:, BINS] = w
    return terms


# expected calibration error over equal bins
_ece = OfSums(_bins, lambda sums: np.abs(sums[..., :BINS]).sum(-1) / sums[..., BINS], biased=True)
_brier = OfSums(lambda v: np.stack([v[:, 2] * (v[:, 0] - v[:, 1]) ** 2, v[:, 2]], 1), ratio)


def _fraction(of: int, among: int) -> OfSums:
    """The weighted fraction of rows with one property among those with another.

    Rows are (accepted, match, weight).
    """
    return OfSums(
        lambda v: v[:, 2:] * v[:, [among]] * np.stack([v[:, of], np.ones(len(v))], 1), ratio
    )


_precision, _recall = _fraction(1, 0), _fraction(0, 1)


def _reliability(p: Floats, y: Floats, weights: Floats) -> list[list[float]]:
    """[mean probability, fraction of matches, weight] of each bin that is not empty."""
    number = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    total = np.bincount(number, weights, BINS)
    some = total > 0
    expected = np.bincount(number, weights * p, BINS)[some] / total[some]
    found = np.bincount(number, weights * y, BINS)[some] / total[some]
    return [
        [float(a), float(b), float(c)] for a, b, c in zip(expected, found, total[some], strict=True)
    ]


def _thin(x: Floats, y: Floats) -> list[tuple[float, float]]:
    """At most 60 knots."""
    kept = np.unique(np.linspace(0, len(x) - 1, 60).round().astype(np.int64))
    return [(float(x[i]), float(y[i])) for i in kept]


calibration = Task(CARD, _calibration)
