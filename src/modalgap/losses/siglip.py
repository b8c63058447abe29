"""SigLIP: classify each of the n² image-text pairs as match or non-match.

Equation: (1/n) Σ_i Σ_j −log σ(z_ij (s⟨x_i, y_j⟩ + b)), z = 1 for a match and −1 otherwise;
divided by n and not by n², as in open_clip. Source: Zhai et al. 2023 (SigLIP).
Relations: infonce with a sigmoid per pair instead of a softmax per row.
Fails when: the initial bias is 0. The n − 1 negatives per match then dominate the first steps. The
paper starts at b = −10 and s = 10.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from modalgap.card import Card
from modalgap.losses.base import Features, Loss, there
from modalgap.losses.pairwise import diagonal

CARD = Card(
    name="siglip",
    title="SigLIP",
    idea="Classifies each image-text pair as match or non-match by a sigmoid.",
    equation=r"-\tfrac{1}{n} \sum_i \sum_j \log \sigma"
    r"\left(z_{ij} (s\langle x_i,y_j\rangle + b)\right)",
    source="Zhai et al. 2023 (SigLIP)",
    needs=("bias",),
    use_when="Batches are small, or a SigLIP model is trained further.",
    fails_when=(
        "Its scale differs from that of infonce: weights tuned for one do not suit the other."
    ),
)


def _siglip(features: Features) -> Tensor:
    bias = there("siglip", "bias", features.bias)
    logits = features.scale * features.image @ features.text.T + bias  # (n, n)
    signed = logits.where(diagonal(logits), -logits)
    return -functional.logsigmoid(signed).sum() / len(logits)


siglip = Loss(CARD, _siglip)
