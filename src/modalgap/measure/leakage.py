"""Leakage: how much of the gap lies in the directions that carry content.

Equation: ‖VVᵀg‖ / ‖g‖, V the leading principal directions of the retrieved modality, which
explain the fraction ``explained_variance`` of its variance. Source: Chowers et al. 2026, section
3.5: a gap orthogonal to the retrieved items can be closed without changing a ranking.
Relations: class_bias_spread measures the same risk, in units of score.
Fails when: V is not truncated: with as many items as dimensions it spans everything and leakage is
1. ``details["chance"]`` is what a random direction would give.
"""

from __future__ import annotations

from modalgap import checks
from modalgap.card import Card
from modalgap.checks import needs
from modalgap.linalg import top_directions
from modalgap.measure.base import Measure, Seen
from modalgap.result import Value

CARD = Card(
    name="leakage",
    group="Is it safe to close?",
    reads="covariances",
    roles=("modality", "other"),
    title="Leakage",
    question="Is it safe to close the gap if this modality is retrieved?",
    idea=(
        "The fraction of the length of the gap vector in the principal directions of the"
        " retrieved modality; 0 means orthogonal to content."
    ),
    equation=r"\lVert V V^\top g \rVert / \lVert g \rVert",
    source="Chowers et al. 2026, section 3.5",
    direction="lower",
    low=0.0,
    high=1.0,
    interval="none: it depends on where the principal directions are cut",
)


def _leakage(seen: Seen, *, explained_variance: float = 0.9) -> Value:
    """``explained_variance``: fraction of the variance of this modality that V explains."""
    checks.share("explained_variance", explained_variance)
    gap, side = seen.evidence.gap, seen.side
    values, vectors = side.spectrum
    k = top_directions(values, explained_variance)
    needs(k > 0, "all rows of the retrieved modality are the same")
    needs(float(gap.norm()) > 1e-12, "there is no gap: the means coincide")
    inside = vectors[:, :k].T @ gap
    return Value(
        float((inside.norm() / gap.norm()).clamp(max=1.0)),
        details={"directions": k, "chance": (k / side.dim) ** 0.5},
    )


leakage = Measure(CARD, _leakage)
leakage_image, leakage_text = leakage.of("image"), leakage.of("text")
