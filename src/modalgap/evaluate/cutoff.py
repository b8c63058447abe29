"""Cut-offs: which results of a query to keep, and what it costs in precision and recall.

A fixed threshold treats all queries alike, but some queries score higher with everything. Relative
rules adapt to the query:

- "best": scores within a fraction f of the best score b of the query, s ≥ b − (1 − f)|b|.
- "deviations": scores at least k standard deviations above the mean, both over the items that do
  not match the query. In use, all items of the gallery serve as well: the mean is q·μ and the
  variance qᵀΣq, with μ and Σ the mean and the covariance of the gallery.
- "score": s ≥ t, the fixed threshold, to compare with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modalgap import checks
from modalgap.arguments import checked
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Floats
from modalgap.evaluate.within import classes
from modalgap.linalg import blocks

VALUES: dict[str, tuple[float, ...]] = {
    "best": tuple(round(0.5 + 0.02 * i, 2) for i in range(26)),
    "deviations": tuple(round(0.25 * i, 2) for i in range(25)),
    "score": tuple(round(0.02 * i, 2) for i in range(51)),
}
RULES = tuple(VALUES)
Matching = Callable[[Tensor], Tensor]  # indices of queries (b,) to what matches them, (b, m)


@checked
@dataclass(frozen=True, eq=False)
class CutOff:
    """Precision and recall of a rule that decides which results to keep.

    Attributes:
        kind: the pair of modalities, as in ``Calibration``.
        queries: the modality of the queries.
        rule: "best", "deviations" or "score".
        values: (v,) the parameter of the rule, ascending: larger keeps fewer results.
        precision: (v,) fraction of all kept results that match; NaN where none is kept.
        recall: (v,) fraction of the matches of a query that are kept, averaged over queries.
        kept: (v,) results per query.
        empty: (v,) fraction of queries without a result.
    """

    kind: str
    queries: str
    rule: str
    values: Floats
    precision: Floats
    recall: Floats
    kept: Floats
    empty: Floats

    def at(self, precision: float = 0.9) -> float:
        """The value with the highest recall among those with at least this precision.

        Raises:
            NotApplicable: no value reaches this precision.
        """
        checks.share("precision", precision)
        good = np.flatnonzero(self.precision >= precision)
        if not len(good):
            raise NotApplicable(f"no {self.rule} of these gives a precision of {precision:g}")
        return float(self.values[good[np.argmax(self.recall[good])]])


def cut_off(
    pair: Pair,
    kind: str,
    rule: str,
    values: Sequence[float] | Floats | None,
    *,
    queries: str | None,
    factor: str | None,
    max_queries: int,
    seed: int,
) -> CutOff:
    """Search the whole gallery with each query, and count what a rule keeps.

    Args:
        pair: the gallery and the queries.
        kind: the pair of modalities, as in ``Calibration``.
        rule: "best", "deviations" or "score".
        values: parameters of the rule; None is those of ``VALUES``.
        queries: the modality of the queries, by default the first of ``kind``.
        factor: the factor that defines classes within a modality.
        max_queries: queries, drawn with ``seed`` if there are more.
        seed: for the draw.

    Raises:
        OptionError: a rule, a value or a modality that there is not.
        NotApplicable: there are no classes, or no query has a match.
    """
    checks.one_of("rule", rule, RULES)
    checks.whole("max_queries", max_queries, 1)
    checks.whole("seed", seed, 0)
    used = np.asarray(_values(rule, values))
    asking, gallery, matching = _sides(pair, kind, queries, factor)
    chosen = checks.sample(asking.n, max_queries, seed)
    items, own = gallery.unit(), gallery is asking
    kept, right, recall, empty = torch.zeros(4, len(used), dtype=torch.float64)
    answered = 0
    for a, b in blocks(len(chosen), gallery.n):
        index = chosen[a:b]
        scores = (asking.take(index) @ items.T).double()
        match = matching(index)
        out = torch.zeros_like(match)
        if own:
            out[torch.arange(b - a), index] = True
            match &= ~out
            scores[out] = -torch.inf
        limits = _limits(rule, torch.from_numpy(used), scores, ~(match | out))
        found = _count(scores, limits)
        good = _count(scores.masked_fill(~match, -torch.inf), limits)
        number = match.sum(1)
        kept += found.sum(0)
        right += good.sum(0)
        recall += (good[number > 0] / number[number > 0, None]).sum(0)
        empty += (found == 0).sum(0)
        answered += int((number > 0).sum())
    checks.needs(answered > 0, f"{kind}: no query has a match")
    n = len(chosen)
    with np.errstate(invalid="ignore"):
        precision = right.numpy() / kept.numpy()
    return CutOff(
        kind=kind,
        queries=asking.modality,
        rule=rule,
        values=used,
        precision=precision,
        recall=(recall / answered).numpy(),
        kept=(kept / n).numpy(),
        empty=(empty / n).numpy(),
    )


def _values(rule: str, given: Sequence[float] | Floats | None) -> list[float]:
    """The parameters, ascending."""
    if given is None:
        return list(VALUES[rule])
    found = checks.several("values", given)
    if not found:
        raise OptionError("values must have at least one number; got none")
    for each in found:
        checks.finite("values", each)
        if rule == "best" and not 0 <= each <= 1:
            raise OptionError(f"values of best must be fractions in 0 … 1; got {quoted(each)}")
    return sorted(map(float, found))


def _sides(
    pair: Pair, kind: str, queries: str | None, factor: str | None
) -> tuple[Embeddings, Embeddings, Matching]:
    """Queries, gallery, and which items match a query."""
    image, text = pair.image, pair.text
    kinds = {
        f"{image.modality}_{text.modality}": (image, text),
        f"{image.modality}_{image.modality}": (image, image),
        f"{text.modality}_{text.modality}": (text, text),
    }
    checks.one_of("kind", kind, tuple(kinds))
    asking, gallery = kinds[kind]
    if queries is not None:
        checks.one_of("queries", queries, tuple(side.modality for side in kinds[kind]))
        if queries != asking.modality:
            asking, gallery = gallery, asking
    if asking is not gallery:
        pairs = torch.stack([*pair.matches])
        return asking, gallery, _matched(pairs if asking is image else pairs.flip(0), gallery.n)
    codes = classes(pair, asking, factor)
    if codes is None:
        raise NotApplicable(f"{kind}: {asking.modality}s have no classes")
    classed = torch.from_numpy(codes)
    return asking, gallery, lambda index: classed[index][:, None] == classed


def _matched(pairs: Tensor, items: int) -> Matching:
    """From (2, k) queries and items that match."""
    order = pairs[0].argsort(stable=True)
    asked, found = pairs[:, order]

    def matching(index: Tensor) -> Tensor:
        match = torch.zeros(len(index), items, dtype=torch.bool)
        start = torch.searchsorted(asked, index)
        stop = torch.searchsorted(asked, index, right=True)
        for row, (a, b) in enumerate(zip(start.tolist(), stop.tolist(), strict=True)):
            match[row, found[a:b]] = True
        return match

    return matching


def _limits(rule: str, values: Tensor, scores: Tensor, unmatched: Tensor) -> Tensor:
    """(b, v) the least score that is kept, for each query and value."""
    if rule == "score":
        return values.expand(len(scores), -1).contiguous()
    if rule == "best":
        best = scores.amax(1, keepdim=True)
        return best - (1 - values) * best.abs()
    number = unmatched.sum(1, keepdim=True).clamp(min=1)
    others = scores.masked_fill(~unmatched, 0.0)
    mean = others.sum(1, keepdim=True) / number
    variance = (others**2).sum(1, keepdim=True) / number - mean**2
    return mean + values * variance.clamp(min=0).sqrt()


def _count(scores: Tensor, limits: Tensor) -> Tensor:
    """(b, v) how many scores of each row (b, m) reach each of its limits (b, v)."""
    ordered = scores.sort(dim=1).values
    return scores.shape[1] - torch.searchsorted(ordered, limits)
