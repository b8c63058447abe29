"""NAS@k: do an image and its text have the same neighbours?

Equation: mean over matched items i of |N_k^x(i) ∩ N_k^y(i)| / k, neighbours within each modality,
    among matched items.
Source: neighbourhood alignment as used in arXiv 2510.03268.
Relations: kendall_tau compares the whole order. Chance level is k/(n − 1), in the details.
Fails when: items repeat: equal items are neighbours in arbitrary order.
"""

from __future__ import annotations

import torch

from modalgap.card import Card
from modalgap.checks import needs, sample, whole
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import mean_interval
from modalgap.measure.neighbours import within
from modalgap.result import Value

CARD = Card(
    name="nas",
    group="Do both modalities agree?",
    traits=("size",),
    title="Shared neighbours (NAS@k)",
    question="Do an image and its text have the same neighbours?",
    idea="The fraction of the k nearest neighbours that an image and its text have in common.",
    equation=r"\operatorname{mean}_i |N_k^x(i) \cap N_k^y(i)| / k",
    source="neighbourhood alignment score; arXiv 2510.03268",
    direction="higher",
    low=0.0,
    high=1.0,
    needs=("pairs",),
    interval="normal, over the matched items, for this gallery",
)


def _nas(evidence: Evidence, *, k: int = 10, max_rows: int = 30_000, seed: int = 0) -> Value:
    """``k`` neighbours among at most ``max_rows`` matched items, drawn with ``seed``.

    A matched item is an image and its first caption.
    """
    whole("k", k, 1)
    whole("max_rows", max_rows, 2)
    pair = evidence.pair
    evidence.resolved()
    needs(pair.labels is None, "it needs matched items; class prompts are classes, not items")
    image, text = pair.distinct_matches
    needs(len(image) > k, f"it needs more than k={k} matched items; found {len(image)}")
    if k >= max_rows:
        needs(False, f"it needs more than k={k} items; max_rows allows {max_rows}")
    chosen = sample(len(image), max_rows, seed)
    whole_sides = pair.captions_per_image == 1  # then mixing and hubness use the same rows
    sides = zip(evidence.sides, (image, text), strict=True)
    near_image, near_text = (
        side.within(k, max_rows, seed)
        if whole_sides
        else within(side.embeddings.take(index[chosen]), k)
        for side, index in sides
    )
    shared = torch.cat(
        [
            (near_image[a : a + 4096, :, None] == near_text[a : a + 4096, None, :]).sum((1, 2))
            for a in range(0, len(chosen), 4096)
        ]
    )
    overlap = shared.double().numpy() / k
    return Value(
        float(overlap.mean()),
        mean_interval(chosen.numpy(), overlap, CARD.low, CARD.high),
        details={"chance": k / (len(chosen) - 1)},
    )


nas = Measure(CARD, _nas)
