"""Retrieval within a modality: do items retrieve the other items of their class?

Numbers, per modality, with each row as a query against all other rows: mean average precision,
mAP@R (Musgrave et al. 2020), R-precision and R@1. Classes are labels, a factor, or, for captions,
the image that they describe; for images that share captions, the caption. Source: Mistretta et al.
2025, section 4.
"""

from __future__ import annotations

import numpy as np

from modalgap.card import Card
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.matching import only_match
from modalgap.errors import NotApplicable, OptionError, quoted
from modalgap.evaluate.base import Ints, Outcome, Scores, Task
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Relevant

CARD = Card(
    name="within",
    title="Intra-modal retrieval",
    question="Do images retrieve images of their class, and texts texts of theirs?",
    idea="mAP, mAP@R, R-precision and R@1 of each row among the other rows of its modality.",
    source="Mistretta et al. 2025, section 4; mAP@R: Musgrave et al. 2020",
    needs=(("labels", "factors", "pairs"),),
    main=("map",),
)


def _within(pair: Pair, *, factor: str | None = None) -> Outcome:
    """``factor``: factor that defines the classes; by default labels or captions."""
    scores: dict[str, Scores] = {}
    reasons = []
    for side in pair.sides:
        codes = classes(pair, side, factor)
        if codes is None:
            reasons.append(f"{side.modality}s have no classes")
            continue
        relevant = Relevant.same_class(codes, codes, itself=True)
        if not relevant.counts.any():
            reasons.append(f"no two {side.modality}s share a class")
            continue
        ranked = ranks(side, side, relevant, itself=True, what=f"among {side.modality}s")
        # captions of one image are resampled together; images of a class separately
        clusters = pair.clusters[0 if side is pair.image else 1][ranked.queries]
        for name, values in (
            ("map", ranked.average_precision()),
            ("map_at_r", ranked.average_precision_at_r()),
            ("r_precision", ranked.precision_at_r()),
            ("r1", ranked.within(1)),
        ):
            scores[f"{side.modality}_{name}"] = Scores(values, clusters)
    if not scores:
        raise NotApplicable(f"{'; '.join(reasons)}: it needs labels, a factor or captions")
    first = next(iter(scores))
    return Outcome({**scores, "map": scores[first]})


def classes(pair: Pair, side: Embeddings, factor: str | None) -> Ints | None:
    """Class of each row of a side, or None.

    By default the label; for captions, the image that they describe; for images that share
    captions, the caption, if each image has only one.
    """
    if factor is not None:
        if not isinstance(factor, str):
            raise OptionError(f"factor must be a name; got {quoted(factor)}")
        return side.factor(factor)[0].numpy() if factor in side.factors else None
    if pair.labels is not None or pair.captions_per_image == 1:
        return pair.labels if side is pair.image else None
    images, texts = (index.numpy() for index in pair.matches)
    if side is pair.text:
        return only_match(texts, images, side.n)
    return None if pair.pairs is None else only_match(images, texts, side.n)


within = Task(CARD, _within)


def count(codes: Ints) -> int:
    """The number of classes."""
    return len(np.unique(codes))
