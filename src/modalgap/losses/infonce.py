"""InfoNCE: each image picks its text among the batch's, and each text its image.

Equation: −1/2n Σ_i [log softmax_j(S_ij/τ)_i + log softmax_j(S_ji/τ)_i], S_ij = ⟨x_i, y_j⟩.
Source: Radford et al. 2021, section 2.3 (CLIP); van den Oord et al. 2018. Relations: ``dual`` adds
negatives of the own modality, ``siglip`` decides each pair by itself.
Fails when: several texts of a batch fit one image: they are pushed away all the same.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.losses.base import Features, Loss, LossCard, symmetric_cross_entropy

CARD = LossCard(
    name="infonce",
    title="InfoNCE",
    idea="Each image must pick its text out of the batch's, and each text its image.",
    equation=r"-\tfrac{1}{2n}\sum_i \log\tfrac{e^{S_{ii}/\tau}}{\sum_j e^{S_{ij}/\tau}}"
    r"+\log\tfrac{e^{S_{ii}/\tau}}{\sum_j e^{S_{ji}/\tau}}",
    source="Radford et al. 2021, section 2.3",
    take_it="The loss of CLIP; the one to start from.",
    beware="Texts that fit other images of the batch too are false negatives.",
)


def _infonce(features: Features) -> Tensor:
    return symmetric_cross_entropy(features.scale * features.image @ features.text.T)


infonce = Loss(CARD, _infonce)
