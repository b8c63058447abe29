"""Ridge map: a linear map from one modality to the other, fitted on pairs.

Equation: x ↦ μ_y + W (x − μ_x) with W = C_yx (C_xx + α t I)⁻¹, t being the mean of the diagonal of
C_xx. Relations: ``close.ridge``, which maps both sides of a pair. Fails with fewer pairs than
dimensions unless α is large, and on data that differ from the pairs.
"""

from __future__ import annotations

from torch import Tensor

from modalgap import checks, linalg
from modalgap.card import Card
from modalgap.errors import NotApplicable
from modalgap.invert.base import InversionContext, Inverter
from modalgap.invert.maps import Mapped, pairs_of
from modalgap.invert.method import Inversion

LEAST = 1e-12  # variance per dimension, of unit rows

CARD = Card(
    name="ridge_map",
    title="Ridge map",
    idea="A linear map from one modality to the other, fitted to pairs by ridge regression.",
    equation=r"x \mapsto \mu_y + C_{yx} (C_{xx} + \alpha t I)^{-1} (x - \mu_x),\ "
    r"t = \mathrm{tr}\, C_{xx} / d",
    source="a baseline",
    roles=("image", "text"),
    needs=("bank",),
    reads="pairs",
    use_when="There are many pairs similar to the queries.",
    fails_when="There are fewer pairs than dimensions.",
)


def _ridge_map(context: InversionContext, *, alpha: float = 0.1) -> Inverter:
    """Fit a linear map by ridge regression.

    Args:
        context: provides the bank.
        alpha: α, strength of the regularisation of W.
    """
    checks.at_least("alpha", alpha, 0)
    source, target, bank = pairs_of(context)
    first, second = bank.matches
    if source is not bank.image:
        first, second = second, first
    x, y = source.take(first).double(), target.take(second).double()
    mx, my = x.mean(0), y.mean(0)
    x, y = x - mx, y - my
    within = x.T @ x
    spread = float(within.diagonal().mean())
    if spread < LEAST * len(x):
        raise NotApplicable(f"bank: must hold {context.modality}s that differ; all are equal")
    within.diagonal().add_(max(alpha, 1e-9) * spread)
    weights: Tensor = linalg.solve(within, x.T @ y)  # (d, d), multiplied from the right

    def mapped(rows: Tensor) -> Tensor:
        centred = rows.double() - mx
        return (centred @ weights + my).float()

    return Mapped({"alpha": alpha}, mapped)


ridge_map = Inversion(CARD, _ridge_map)
