"""Standardize: subtract the mean of each column and divide by its standard deviation.

Equation: e ↦ norm((e − μ)/σ), per modality. With ``to``, the other modality gets the statistics
of that one: norm((e − μ)/σ · σ_to + μ_to). Source: the first form is batch normalisation after
training (I0T, 2412.14384); the second form is TOMCap (2512.04309).
Relations: center does not divide by σ; whiten also rotates the axes.
Fails when: there are few rows, because σ is then noisy. A constant column becomes zero.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks
from modalgap.card import Card
from modalgap.close.base import Closer, Fitted
from modalgap.close.statistics import Evidence, Statistics
from modalgap.close.step import Floats, Step
from modalgap.errors import NotApplicable

CARD = Card(
    name="standardize",
    title="Standardising",
    idea=(
        "Subtracts the mean of each column and divides by its standard deviation, then normalises."
    ),
    equation=r"e \mapsto \operatorname{norm}((e - \mu) / \sigma)",
    source="I0T, arXiv 2412.14384; TOMCap, arXiv 2512.04309",
    roles=("image", "text"),
    reads="variances",
    traits=("invertible", "any role"),
    use_when=(
        "A few columns hold most of the gap or of the variance; indexes with few bits per column."
    ),
    fails_when="Columns of low variance are mostly noise, and get the same weight as the others.",
)


def _fit(evidence: Evidence, *, to: str | None = None) -> Fitted:
    """``to``: the role whose statistics the others get; by default mean 0 and variance 1."""
    spreads = {role: _spread(known) for role, known in evidence.roles.items()}
    facts = {
        "constant_columns": {role: int((s == 0).sum()) for role, s in spreads.items()},
    }
    if to is None:
        return Fitted(
            {
                role: (_scaled(evidence.roles[role].mean, spread),)
                for role, spread in spreads.items()
            },
            facts,
        )
    checks.one_of("to", to, tuple(evidence.roles))
    target, goal = evidence.roles[to].mean, spreads[to]
    roles = {}
    for role, spread in spreads.items():
        step = _scaled(evidence.roles[role].mean, spread)
        matrix, offset = step.matrix, step.offset
        assert matrix is not None and offset is not None  # noqa: S101, PT018 - _scaled gives both
        roles[role] = () if role == to else (Step(matrix * goal, offset * goal + target),)
    return Fitted(roles, facts)


def _spread(known: Statistics) -> Floats:
    """σ of each column; 0 if it is below rounding error."""
    spread = np.sqrt(known.variance)
    spread[spread < 1e-6] = 0.0
    if not spread.any():
        raise NotApplicable(f"all rows of the {known.role}s are the same")
    return spread


def _scaled(mean: Floats, spread: Floats) -> Step:
    inverse = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 0)
    return Step(inverse, -mean * inverse)


standardize = Closer(CARD, _fit)
