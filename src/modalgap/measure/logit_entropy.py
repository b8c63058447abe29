"""Logit entropy: how certain the model is about matches at a temperature.

Equation: mean entropy, in nats, of softmax(⟨x, y⟩/τ) over the texts for each image, and over the
    images for each text.
Source: Schrodi et al. 2025, section 6.2.
Relations: the gap lowers all cosines by the same amount, which does not change the softmax; the
    entropy depends on their spread relative to τ.
Fails when: compared between data sets of different size: the largest possible value, log of the
number of candidates, is in the details.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from modalgap.card import Card
from modalgap.checks import whole
from modalgap.linalg import blocks
from modalgap.measure.base import Measure, Seen
from modalgap.measure.intervals import mean_interval
from modalgap.progress import progress
from modalgap.result import Value

CARD = Card(
    name="logit_entropy",
    group="What does it do to search and to predictions?",
    traits=("size",),
    roles=("modality", "other"),
    title="Entropy of logits",
    question="How certain is the model about the match of a query?",
    idea=(
        "The entropy of the softmax over all rows of the other modality at a temperature,"
        " averaged over the queries of this modality."
    ),
    equation=(
        r"\operatorname{mean}_i H(\operatorname{softmax}(\langle x_i, y_\cdot \rangle / \tau))"
    ),
    source="Schrodi et al. 2025, section 6.2",
    direction="neither",
    low=0.0,
    interval="jackknife over rows of the first modality, for these candidates",
)


def _logit_entropy(
    seen: Seen,
    *,
    temperature: float | None = None,
    max_rows: int = 10_000,
    seed: int = 0,
) -> Value:
    """``temperature``.

    By default the model's, if the file has it, else 0.01. At most ``max_rows`` rows of each, drawn
    with ``seed``.
    """
    whole("max_rows", max_rows, 2)
    evidence, side = seen.evidence, seen.side
    tau = evidence.temperature(temperature)
    others = evidence.text if side is evidence.image else evidence.image
    chosen = side.sample(max_rows, seed)
    x, y = side.embeddings.take(chosen), others.embeddings.take(others.sample(max_rows, seed))
    found = torch.empty(len(x), dtype=torch.float64)
    with progress("logit entropy", len(x)) as advance:
        for a, b in blocks(len(x), len(y)):
            found[a:b] = softmax_entropy((x[a:b] @ y.T).div_(tau))
            advance(b - a)
    highest = math.log(len(y))
    return Value(
        float(found.mean()),
        mean_interval(side.clusters[chosen].numpy(), found.numpy(), CARD.low, highest),
        {"temperature": tau},
        {"candidates": len(y), "highest": highest},
    )


def softmax_entropy(logits: Tensor) -> Tensor:
    """(n,) entropy of softmax of rows (n, m), in nats, float64; overwrites the logits."""
    logits -= logits.amax(1, keepdim=True)
    weights = logits.exp()
    total = weights.sum(1).double()
    expected: Tensor = torch.linalg.vecdot(weights, logits).double() / total
    return total.log() - expected


logit_entropy = Measure(CARD, _logit_entropy)
logit_entropy_image, logit_entropy_text = logit_entropy.of("image"), logit_entropy.of("text")
