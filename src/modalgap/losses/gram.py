"""GRAM: contrast the volumes that the rows of an item span, for two or more modalities.

Equation: V_ij = √det G_ij, G_ij the Gram matrix of the anchor's row i and of row j of all other
modalities; ½ mean_i [−log softmax_j(−s V_ij)_i − log softmax_j(−s V_ji)_i], s = 1/τ. For two
modalities V = √(1 − cos²); for three with cosines a, b, c it is √(1 + 2abc − a² − b² − c²).
Source: GRAM, arXiv 2412.11959, section 3; their anchor is the text. The paper adds a matching loss
that needs a multimodal encoder; it is left out here.
Relations: infonce with −V instead of the cosine; the measure gram_volume is the mean of V_ii.
Numerics: √(max(det, 0) + ε), ε the resolution of the number type. Near volume 0, where the gradient
of the root is unbounded, it is bounded instead; the volume of parallel rows is √ε, 3.5e-4 in
float32.
Fails when: training starts from random weights. V is 0 as soon as the rows of an item are linearly
dependent: opposite rows are as good as equal ones, and three rows in one plane as good as three
equal ones. So a small V does not mean aligned pairs; the study modalities shows this. If two
modalities of an item coincide, V is 0 for any third row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.checks import needs, whole
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import own_match

CARD = Card(
    name="gram",
    title="GRAM volume contrast",
    idea="The rows of one item must span a smaller volume than rows of different items.",
    equation=r"-\tfrac{1}{2n} \sum_i \left[\log\frac{e^{-sV_{ii}}}{\sum_j e^{-sV_{ij}}} +"
    r" \log\frac{e^{-sV_{ii}}}{\sum_j e^{-sV_{ji}}}\right],\quad V_{ij} = \sqrt{\det G_{ij}}",
    source="GRAM, arXiv 2412.11959",
    traits=("together",),
    use_when="The rows of three or more modalities should agree.",
    fails_when=(
        "Alone, from random weights, it need not align pairs: opposite rows, and three rows in one"
        " plane, have volume 0 too. Add infonce, or start from aligned towers."
    ),
)


def _gram(features: Features, *, anchor: int = 1) -> Tensor:
    """``anchor``: the modality whose rows are exchanged; 0 image, 1 text, 2 … the others."""
    every = features.modalities
    whole("anchor", anchor, 0, len(every) - 1)
    needs(
        len(every) <= features.image.shape[1],
        "it needs at least as many dimensions as modalities, because the volume is 0 otherwise",
    )
    others = [each for i, each in enumerate(every) if i != anchor]
    logits = -features.scale * volumes(every[anchor], others)  # (n, n)
    return (own_match(logits).mean() + own_match(logits.T).mean()) / 2


def volumes(queries: Tensor, others: Sequence[Tensor]) -> Tensor:
    """(n, m) volumes that row i of ``queries`` spans with row j of all ``others``.

    Args:
        queries: (n, d) unit rows of one modality.
        others: (m, d) unit rows of each other modality.
    """
    cross = [queries @ each.T for each in others]  # (n, m) each
    within = [[(a * b).sum(1)[None] for b in others] for a in others]  # (1, m) each: of one item
    first = [queries.square().sum(1)[:, None], *cross]
    det = _determinant([first, *([c, *row] for c, row in zip(cross, within, strict=True))])
    return (det.clamp_min(0) + torch.finfo(det.dtype).eps).sqrt()


def _determinant(entries: list[list[Tensor]]) -> Tensor:
    """Determinant of a k × k matrix of tensors that broadcast, by expansion along the first row.

    A polynomial of the entries, so its gradient is exact for singular matrices too.
    """
    first, *rest = entries
    total = torch.zeros_like(first[0])
    for j, each in enumerate(first):
        minor = [row[:j] + row[j + 1 :] for row in rest]
        term = each * _determinant(minor) if minor else each
        total = total - term if j % 2 else total + term
    return total


gram = Loss(CARD, _gram)
