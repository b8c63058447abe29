"""Intra-modal separation: push images apart, more strongly if their texts are less similar.

Equation: mean_i −log softmax_j(s M_ij)_i, M_ii = ⟨x_i, y_i⟩ and M_ij = ⟨x_i, x_j⟩ (1 − ⟨y_i, y_j⟩)
for j ≠ i, the second factor without gradient. Source: Eslami & de Melo 2024 (AlignCLIP), arXiv
2406.17639; their text similarities come from a sentence encoder, here from the text tower.
Relations: AlignCLIP adds it to CLIP's loss with β = ½ and shared towers. Their code sums both
directions and infonce takes the mean, so the equivalent β with infonce is ¼. dual is a similar loss
with equal weights for all images.
Fails when: the text tower is untrained. The weights are then meaningless.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import diagonal, own_match

CARD = Card(
    name="intra_separation",
    title="Intra-modal separation",
    idea=(
        "An image must be closer to its text than to other images, unless their texts are similar."
    ),
    equation=r"-\tfrac1n \sum_i \log\frac{e^{sM_{ii}}}{\sum_j e^{sM_{ij}}},\quad"
    r" M_{ii} = \langle x_i,y_i\rangle,\;"
    r" M_{ij} = \langle x_i,x_j\rangle (1 - \langle y_i,y_j\rangle)",
    source="Eslami & de Melo 2024 (AlignCLIP), arXiv 2406.17639",
    use_when="Together with infonce at weight ¼, as in AlignCLIP, to spread images out.",
    fails_when="It spreads images only, and relies on the text tower for which texts are similar.",
)


def _intra_separation(features: Features) -> Tensor:
    x, y = features.image, features.text
    differ = 1 - (y @ y.T).detach()  # (n, n)
    images = x @ x.T * differ
    logits = features.scale * (x @ y.T).where(diagonal(images), images)
    return own_match(logits).mean()


intra_separation = Loss(CARD, _intra_separation)
