"""Cross-modal retrieval: does each image find its captions, and each caption its image?

Numbers, in both directions: recall at k (a relevant item is among the first k; higher is better),
median rank of the first relevant item (lower is better), and mean average precision over all
captions of an image (higher is better). Source: Karpathy & Fei-Fei 2015, section 4.2 (recall,
median rank). Wrong items with the same score are ranked before the relevant item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.evaluate.base import Ints, Outcome, Scores, Task, median
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Ranks, Relevant

Correct = Callable[[Tensor], Tensor] | None

CARD = Card(
    name="retrieval",
    title="Cross-modal retrieval",
    question="Do images retrieve their captions, and captions their images?",
    idea=(
        "Recall at k, median rank and mean average precision in both directions over the whole"
        " gallery."
    ),
    source="Karpathy & Fei-Fei 2015, section 4.2",
    needs=("pairs",),
    main=("{0}_to_{1}_r1", "{1}_to_{0}_r1"),
)


def _retrieval(pair: Pair, *, ks: Sequence[int] = (1, 5, 10)) -> Outcome:
    """``ks``: the ranks k at which recall is computed."""
    return retrieve(pair, ks)


def retrieve(
    pair: Pair, ks: Sequence[int], corrections: Sequence[Correct] = (None, None)
) -> Outcome:
    """The task, with optional corrections of the scores of image queries and of text queries."""
    ks = checks.several("ks", ks)
    for k in ks:
        checks.whole("ks", k, 1)
    checks.needs(pair.labels is None, "class prompts are not captions: use zero_shot")
    images, texts = (index.numpy() for index in pair.matches)
    x, y = pair.sides
    names = (pair.image.modality, pair.text.modality)
    scores: dict[str, Scores] = {}
    for direction, queries, gallery, query_rows, item_rows, correct in (
        (f"{names[0]}_to_{names[1]}", x, y, images, texts, corrections[0]),
        (f"{names[1]}_to_{names[0]}", y, x, texts, images, corrections[1]),
    ):
        relevant = Relevant.of(query_rows, item_rows, queries.n)
        what = direction.replace("_", " ")
        ranked = ranks(queries, gallery, relevant, correct=correct, what=what)
        # captions of one image, and items connected by captions, are resampled together
        clusters = pair.clusters[0 if queries is x else 1][ranked.queries]
        scores |= _numbers(direction, ranked, clusters, ks)
    return Outcome(scores)


def _numbers(direction: str, ranked: Ranks, clusters: Ints, ks: Sequence[int]) -> dict[str, Scores]:
    result = {f"{direction}_r{k}": Scores(ranked.within(k), clusters) for k in ks}
    first = ranked.first.astype(np.float64)
    result[f"{direction}_median_rank"] = Scores(first, clusters, median, "lower")
    result[f"{direction}_map"] = Scores(ranked.average_precision(), clusters)
    return result


retrieval = Task(CARD, _retrieval)
