"""Standardised scores: subtract the mean of the scores of unrelated items, divide by their spread.

Equation: (s − μ) / σ with μ = μ_q · μ_x and σ² = tr(Σ_q Σ_x) + μ_xᵀ Σ_q μ_x + μ_qᵀ Σ_x μ_q, from
the means and covariances of bank and gallery; one μ and one σ for the whole gallery. The ranking
within the gallery stays as it is; several galleries (images, texts) become comparable.
``ScoreScaler`` keeps the numbers of all of them. With ``per="item"``: S-norm, the mean of the score
standardised by the scores of the query and of the score standardised by those of the item, which
does change rankings. Sources: arXiv 2511.22141 (z-scores of mixed search, from pseudo-positives);
Shum et al. 2010 (S-norm, of speaker verification).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.close.scores.base import CorrectionRule
from modalgap.embeddings.cosine_moments import SMALLEST, cosine_moments, mean_and_covariance
from modalgap.errors import NotApplicable

CARD = Card(
    name="zscore",
    title="Standardised scores",
    idea=(
        "The score minus the mean of the scores of unrelated items, divided by their standard"
        " deviation; comparable across forms of documents."
    ),
    equation=r"(s - \mu_{qm}) / \sigma_{qm}",
    source="arXiv 2511.22141; the closed form is modalgap's own",
    needs=("bank",),
    use_when="one index, or one result list, holds images, texts and fused documents",
    fails_when="all documents are of one form: the ranking stays as it is",
)


def _learn(gallery: Tensor, bank: Tensor, *, per: str = "form") -> dict[str, Tensor]:
    """``per``: "form" for one mean and one deviation of the gallery, "item" for S-norm."""
    checks.one_of("per", per, ("form", "item"))
    mean, covariance = mean_and_covariance([bank])
    if per == "form":
        offset, scale = cosine_moments((mean, covariance), mean_and_covariance([gallery]))
        if not scale > SMALLEST:
            raise NotApplicable("zscore: the scores of the gallery do not vary")
        return {"mean": torch.tensor(offset), "deviation": torch.tensor(scale)}
    spread = ((gallery.double() @ torch.from_numpy(covariance)) * gallery).sum(1)
    offsets = gallery @ torch.from_numpy(mean).float()
    return {"mean": offsets, "deviation": spread.clamp_min(SMALLEST**2).sqrt().float()}


def _apply(scores: Tensor, learnt: Mapping[str, Tensor], used: Mapping[str, Any]) -> Tensor:
    found = (scores - learnt["mean"]) / learnt["deviation"]
    if used["per"] == "form":
        return found
    spread, mean = torch.std_mean(scores, dim=1, keepdim=True, correction=0)
    return (found + (scores - mean) / spread.clamp_min(SMALLEST)) / 2


zscore = CorrectionRule(CARD, _learn, _apply)
