"""Logit entropy: how sure the model is of its matches at a given temperature.

Equation: mean entropy, in nats, of softmax(⟨x, y⟩/τ) over the texts for each image, and over the
    images for each text.
Source: Schrodi et al. 2025, section 6.2.
Relations: the gap lowers all cosines alike, which no softmax sees; entropy moves with their spread
    against τ.
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
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import mean_interval
from modalgap.progress import progress
from modalgap.result import Value


def _card(query: str, other: str) -> Card:
    return Card(
        name=f"logit_entropy_{query}",
        title=f"Entropy of {query}-to-{other} logits",
        question=f"How sure is the model which {other} fits one {query}?",
        idea=(
            f"The entropy of the softmax over all {other}s, averaged over {query}s, at the "
            f"temperature given."
        ),
        equation=(
            r"\operatorname{mean}_i H(\operatorname{softmax}(\langle x_i, y_\cdot \rangle / \tau))"
        ),
        source="Schrodi et al. 2025, section 6.2",
        direction="neither",
        low=0.0,
        interval="jackknife over images, for these candidates",
    )


IMAGE, TEXT = _card("image", "text"), _card("text", "image")


def _entropy(
    evidence: Evidence, side: int, temperature: float | None, cap: int, seed: int
) -> Value:
    whole("cap", cap, 2)
    tau = evidence.temperature(temperature)
    queries, others = evidence.sides[side], evidence.sides[1 - side]
    chosen = queries.sample(cap, seed)
    x, y = queries.embeddings.take(chosen), others.embeddings.take(others.sample(cap, seed))
    found = torch.empty(len(x), dtype=torch.float64)
    with progress("logit entropy", len(x)) as advance:
        for a, b in blocks(len(x), len(y)):
            found[a:b] = softmax_entropy((x[a:b] @ y.T).div_(tau))
            advance(b - a)
    highest = math.log(len(y))
    card = TEXT if side else IMAGE
    interval = mean_interval(queries.clusters[chosen].numpy(), found.numpy(), card.low, highest)
    return Value(
        float(found.mean()),
        interval,
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


def _logit_entropy_image(
    evidence: Evidence, *, temperature: float | None = None, cap: int = 10_000, seed: int = 0
) -> Value:
    """``temperature``.

    By default the model's, if the file tells, else 0.01. At most ``cap`` rows of each, drawn
    with ``seed``.
    """
    return _entropy(evidence, 0, temperature, cap, seed)


def _logit_entropy_text(
    evidence: Evidence, *, temperature: float | None = None, cap: int = 10_000, seed: int = 0
) -> Value:
    """``temperature``.

    By default the model's, if the file tells, else 0.01. At most ``cap`` rows of each, drawn
    with ``seed``.
    """
    return _entropy(evidence, 1, temperature, cap, seed)


logit_entropy_image = Measure(IMAGE, _logit_entropy_image)
logit_entropy_text = Measure(TEXT, _logit_entropy_text)
