"""InfoNCE: identify the text of each image among all texts of the batch, and the reverse.

Equation: ½ mean_i [−log softmax_j(s⟨x_i, y_j⟩)_i − log softmax_j(s⟨x_j, y_i⟩)_i], s = 1/τ.
Source: Radford et al. 2021 (CLIP), section 2.3 and figure 3. Relations: the measure
infonce computes the same number; dual adds intra-modal negatives; correct_only omits rows.
Fails when: a pair occurs twice in a batch, because true matches are then pushed apart. With a
learnable s the gap closes only like 1/log²t (Yaras et al., arXiv 2412.07909).
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import own_match

CARD = Card(
    name="infonce",
    title="InfoNCE",
    idea="Each row must identify its match among all rows of the other modality, by a softmax.",
    equation=r"-\tfrac{1}{2n} \sum_i \left[\log\frac{e^{s\langle x_i,y_i\rangle}}"
    r"{\sum_j e^{s\langle x_i,y_j\rangle}} + \log\frac{e^{s\langle x_i,y_i\rangle}}"
    r"{\sum_j e^{s\langle x_j,y_i\rangle}}\right]",
    source="Radford et al. 2021 (CLIP), section 2.3",
    use_when="Default: the loss that CLIP was trained with.",
    fails_when="It hardly changes the gap at initialisation, even less at a low temperature.",
)


def _infonce(features: Features) -> Tensor:
    logits = features.scale * features.image @ features.text.T  # (n, n)
    return (own_match(logits).mean() + own_match(logits.T).mean()) / 2


infonce = Loss(CARD, _infonce)
