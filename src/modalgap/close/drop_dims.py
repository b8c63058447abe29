"""Drop dims: remove the columns in which the two means differ most.

Equation: with k the columns of largest |μ_x,k − μ_y,k|, e ↦ norm(e with these set to 0). The
number of columns stays the same, and so does the schema of a database.
Source: Schrodi et al. 2025, section 3, figure 4c.
Relations: center removes the difference of means in every column, and keeps the
variation in these columns.
Fails when: the gap is spread over many columns, or these columns carry content.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence
from modalgap.close.step import Step
from modalgap.errors import OptionError

CARD = Card(
    name="drop_dims",
    title="Dropping columns",
    idea="Sets to zero the few columns in which the means differ most, then normalises.",
    equation=r"e \mapsto \operatorname{norm}(e \odot [\,j \notin \text{top-}k\,|g_j|\,])",
    source="Schrodi et al. 2025, section 3, figure 4c",
    roles=("image", "text"),
    reads="means",
    use_when="A few columns hold the gap, and the system can only mask columns.",
    fails_when="The rest of the gap remains.",
)


def _fit(evidence: Evidence, *, k: int = 2) -> Fitted:
    """``k``: number of columns to drop."""
    checks.whole("k", k, 1)
    if k >= evidence.dim:
        raise OptionError(f"k must be below the {evidence.dim} columns; got {k}")
    gap = evidence.gap
    order = np.argsort(-np.abs(gap), kind="stable")[:k]
    mask = np.ones(evidence.dim)
    mask[order] = 0.0
    held = float((gap[order] ** 2).sum() / (gap**2).sum()) if gap.any() else 0.0
    return Fitted(
        {known.role: (Step(mask),) for known in evidence.two},
        {"columns": [int(i) for i in order], "share_of_squared_gap": held},
    )


drop_dims = Closer(CARD, _fit)
