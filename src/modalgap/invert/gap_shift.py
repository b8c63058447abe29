"""Gap shift: move features by the gap vector, the difference of the modality means.

Equation: x ↦ x − λ (μ_x − μ_y), made unit. Relations: ``close.shift``. A search in a native gallery
y subtracts λ (μ_x − μ_y)·y from every score: items far along the gap rank lower, equally for every
query. Fails when the gap is not a constant vector.
"""

from __future__ import annotations

from torch import Tensor

from modalgap import checks
from modalgap.card import Card
from modalgap.invert.base import InversionContext, Inverter
from modalgap.invert.maps import Mapped, pairs_of
from modalgap.invert.method import Inversion

CARD = Card(
    name="gap_shift",
    title="Shift by the gap",
    idea="Adds the difference of the means of both modalities.",
    equation=r"x \mapsto x - \lambda (\mu_x - \mu_y)",
    source="a baseline",
    roles=("image", "text"),
    needs=("bank",),
    reads="means",
    use_when="Only the means are known.",
    fails_when="It changes the scores of an item equally for all queries.",
)


def _gap_shift(context: InversionContext, *, amount: float = 1.0) -> Inverter:
    """Shift by the gap vector.

    Args:
        context: provides the bank.
        amount: λ; 1 moves one mean onto the other.
    """
    checks.finite("amount", amount)
    source, target, _ = pairs_of(context)
    gap = source.unit().double().mean(0) - target.unit().double().mean(0)

    def shifted(rows: Tensor) -> Tensor:
        return (rows.double() - amount * gap).float()

    return Mapped({"amount": amount}, shifted)


gap_shift = Inversion(CARD, _gap_shift)
