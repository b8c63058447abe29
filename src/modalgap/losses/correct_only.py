"""Correct only: InfoNCE over the rows that already retrieve their match.

Equation: ½ [mean over i ∈ R of −log softmax_j(s⟨x_i, y_j⟩)_i + the same for texts], R the rows
whose own match has the highest logit (ties count). A direction without such rows adds 0. The other
rows remain in the denominators. Source: Liang et al. 2022 ("Mind the gap"), with hard pairs
removed. Relations: equal to infonce if every row is correct.
Fails when: training starts from scratch. Only one row in n is correct by chance, so little is
learnt at first.
"""

from __future__ import annotations

from torch import Tensor

from modalgap.card import Card
from modalgap.losses.base import Features, Loss
from modalgap.losses.pairwise import own_match

CARD = Card(
    name="correct_only",
    title="InfoNCE over correct rows",
    idea="InfoNCE over the rows whose match is already the nearest, so without mismatched pairs.",
    equation=r"-\tfrac{1}{2|R|} \sum_{i \in R} \log\frac{e^{s\langle x_i,y_i\rangle}}"
    r"{\sum_j e^{s\langle x_i,y_j\rangle}} + (x \leftrightarrow y),\quad"
    r" R = \{i : i \in \arg\max_j \langle x_i,y_j\rangle\}",
    source="Liang et al. 2022 (Mind the gap), hard pairs removed",
    use_when="Testing, by fine-tuning, whether mismatched pairs keep the gap open.",
    fails_when="Wrong rows get no gradient.",
)


def _correct_only(features: Features) -> Tensor:
    logits = features.scale * features.image @ features.text.T  # (n, n)
    return (_over_correct(logits) + _over_correct(logits.T)) / 2


def _over_correct(logits: Tensor) -> Tensor:
    correct = logits.diagonal() >= logits.amax(1)  # (n,)
    return own_match(logits).where(correct, 0.0).sum() / correct.sum().clamp_min(1)


correct_only = Loss(CARD, _correct_only)
