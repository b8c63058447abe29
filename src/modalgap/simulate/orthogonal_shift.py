"""Orthogonal shift: which shifts of stored items preserve every ranking.

Unit-norm items are stored, queries of another modality rank them, and all items move by α g', the
gap without its part in V. The first k principal directions of the items span V.
Equation: with g' orthogonal to the affine span of the items, ‖y − x_i − αg'‖² − ‖y − x_j − αg'‖² =
‖y − x_i‖² − ‖y − x_j‖² for every query y; all items also have the same norm after the shift, so the
order by cosine does not change either. With fewer directions, a part of g' lies in the span, and
rankings change. Inner products never change their order: a shift of all items adds the
same number to all scores of a query.
Source: Chowers et al. 2026, theorem 3.5 and equation 45 (distances); the normalised form is ours.
Expected: no ranking changes if V spans all items; the fewer directions V has, the more change.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, fits, several, whole
from modalgap.errors import OptionError
from modalgap.linalg import svd
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation

CONTENT = 0.7  # decay of the spectrum: item directions have variances k^(-2 · CONTENT)
CARD = Card(
    name="orthogonal_shift",
    title="Orthogonal shift",
    idea="Moves stored items along a part of the gap, and counts the rankings that change.",
    equation=r"g' = g - V V^\top g,\quad x_i \mapsto x_i + \alpha g'",
    source="Chowers et al. 2026, theorem 3.5",
    question="When does closing a gap preserve every ranking?",
    traits=("random",),
)
HEADS = {
    "directions": "directions in V",
    "leakage": "fraction of the gap g in V",
    "left": "fraction of g' in the span of items",
    "moved": "‖g'‖/‖g‖",
    "distance_top1": "first item changed, by distance",
    "product_top1": "first item changed, by inner product",
    "cosine_top1": "first item changed, by cosine",
    "distance_ranking": "rankings changed, by distance",
    "product_ranking": "rankings changed, by inner product",
    "cosine_ranking": "rankings changed, by cosine",
}


@checked
def _orthogonal_shift(
    items: int = 50,
    dim: int = 128,
    *,
    queries: int = 500,
    alpha: float = 1.0,
    directions: Several[int] = (0, 1, 2, 5, 10, 20, 30, 40, 49),
    seed: int = 0,
) -> Table:
    """Shift items for each number of directions and count the rankings that change.

    Args:
        items: number of stored items.
        dim: number of dimensions; if it is below ``items``, V can contain the whole gap, and then
            nothing moves.
        queries: number of queries.
        alpha: fraction of g' by which all items move toward the queries; g' is the gap without its
            part in V.
        directions: numbers of principal directions of the items that span V; items − 1 directions
            span all items.
        seed: seed of items and queries.

    Returns:
        One row per number of directions: leakage, and shares of queries whose first item, or whose
        ranking of all items, changes.

    Raises:
        OptionError: an option outside its range.
    """
    counts = several("directions", directions)
    whole("items", items, 2)
    whole("dim", dim, 2)
    whole("queries", queries, 1)
    whole("seed", seed, 0)
    at_least("alpha", alpha, -1e4, 1e4)
    for count in counts:
        whole("directions", count, 0, min(items - 1, dim))
    if not counts or len(set(counts)) < len(counts):
        raise OptionError(f"directions must be different numbers; got {counts}")
    fits("items, dim, queries", 8.0 * (8 * items * queries + 4 * (items + queries) * dim))
    stored, asking = _made(items, queries, dim, torch.Generator().manual_seed(seed))
    centre = stored.mean(0)
    gap = asking.mean(0) - centre
    _, values, basis = svd(stored - centre, full=False)
    basis = basis[values > 1e-9 * values[0]]  # the directions of the affine span
    before = _scores(asking, stored)
    rows = {}
    for count in sorted(counts):
        inside = basis[:count].T @ (basis[:count] @ gap)
        by = gap - inside
        left = float((basis @ by).norm() / by.norm().clamp_min(1e-12))
        after = _scores(asking, stored + float(alpha) * by)
        row = {
            "directions": count,
            "leakage": float(inside.norm() / gap.norm()),
            "left": left,
            "moved": float(by.norm() / gap.norm()),
        }
        for name, old in before.items():
            top, whole_order = _changed(old, after[name])
            row |= {f"{name}_top1": top, f"{name}_ranking": whole_order}
        rows[str(count)] = {name: Value(float(value)) for name, value in row.items()}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="directions in V",
        rows=rows,
        heads={name: head for name, head in HEADS.items() if name != "directions"},
        settings={"items": items, "dim": dim, "queries": queries, "alpha": alpha,
                  "directions": counts, "seed": seed},
        notes=[f"{items} items span {len(basis)} directions; cosine: items are normalised again"],
    )  # fmt: skip


orthogonal_shift = Simulation(CARD, _orthogonal_shift)


def _made(items: int, queries: int, dim: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Unit items and unit queries, float64: one content, seen from two cones."""
    variances = torch.arange(1, dim + 1, dtype=torch.float64) ** -CONTENT
    axes = torch.randn(2, dim, generator=random, dtype=torch.float64)
    content = torch.randn(items, dim, generator=random, dtype=torch.float64) * variances
    picked = torch.arange(queries) % items
    noise = torch.randn(queries, dim, generator=random, dtype=torch.float64) * variances
    cones = normalize(axes, dim=1) * content.norm(dim=1).mean()
    return normalize(content + cones[0], dim=1), normalize(
        content[picked] + noise + cones[1], dim=1
    )


def _scores(asking: Tensor, stored: Tensor) -> dict[str, Tensor]:
    """(queries, items) scores of each kind; larger is nearer."""
    products = asking @ stored.T
    squares = (stored**2).sum(1)
    return {
        "distance": 2 * products - squares,
        "product": products,
        "cosine": products / squares.sqrt(),
    }


def _changed(before: Tensor, after: Tensor) -> tuple[float, float]:
    """Shares of queries whose first item changes, and whose order of all items changes."""
    old, new = before.argsort(1, descending=True), after.argsort(1, descending=True)
    # Two items whose scores are equal up to rounding may be in either order.
    tied = (before.gather(1, old) - before.gather(1, new)).abs() < 1e-12
    same = (old == new) | tied
    return float((~same[:, 0]).double().mean()), float((~same).any(1).double().mean())
