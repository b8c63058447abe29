"""The frozen gap: a contrastive loss removes the variance along the gap, and then keeps the gap.

Free points in four starts: two tight clusters, two wide ones (as wide as in all directions, so
nothing has collapsed), one centre, and one centre with points in few directions (collapsed).
Source: Chowers et al. 2026, figures 4 and 5, theorem 3.1.
Expected: from both starts with two centres, the variance along the gap vanishes before the loss is
low, and the distance of means stays; one centre stays one centre, collapsed or not.
"""

from __future__ import annotations

from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.panels import Curves, Part
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.chowers2026.running import dynamics_rows, reached
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order

STARTS: dict[str, dict[str, Any]] = {
    "tight clusters": {"spread": 0.03},
    "wide clusters": {"spread": 1.0},
    "one centre": {"start": "isotropic"},
    "one centre, flat": {"start": "isotropic", "directions": 2},
}
FAR = "far clusters, first step"  # where the form of theorem 3.1 must hold
TIGHT, WIDE, ONE, FLAT = STARTS
HEADS = {
    "gap_start": "gap at the start",
    "gap": "gap at the end",
    "kept": "gap, end/start",
    "variance_along_start": "variance along the gap, start",
    "variance_along": "variance along the gap, end",
    "variance_off": "variance across, end",
    "time_along": "time to 1 % of the variance along",
    "time_loss": "time to half of the loss",
    "matched_off": "distance of a match across the gap, end",
    "theorem_start": "error of theorem 3.1 at the start",
}
CARD = Card(
    name="frozen_gap",
    title="The frozen gap",
    idea="Moves free points from four starts, and traces the gap and the variance along it.",
    source="Chowers et al. 2026, figures 4 and 5, theorem 3.1",
    question="Why does a contrastive loss keep a gap, and does it need collapsed dimensions?",
    traits=("random",),
)


@checked
def plan(*, n: int = 100, dim: int = 10, steps: int = 2000, seed: int = 0) -> Plan:
    """Plan the runs.

    Args:
        n: number of matched pairs.
        dim: number of dimensions.
        steps: largest number of steps of the gradient flow.
        seed: seed of the starts.

    Raises:
        OptionError: a value outside its range.
    """
    whole("n", n, 2, 2000)
    whole("dim", dim, 3, 2000)
    whole("steps", steps, 1)
    whole("seed", seed, 0)
    return Plan(settings={"n": n, "dim": dim, "steps": steps, "seed": seed})


def run(work: Work) -> Table:
    """Run every start."""
    rows = dynamics_rows(STARTS, **work.settings)
    for row in rows.values():
        row["kept"] = Value(row["gap"].value / row["gap_start"].value)
        row["time_along"] = Value(reached(row["variance_along"], 0.01))
        row["time_loss"] = Value(reached(row["loss"], 0.5))
    first = {**work.settings, "steps": 1, "distance": 30.0, "spread": 0.001}
    far = dynamics_rows({FAR: first})[FAR]
    rows[FAR] = {name: far[name] for name in ("theorem_start", "gap_start", "variance_along_start")}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="start",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            "gradient flow of the mean symmetric InfoNCE of −‖x − y‖²/τ, τ = 1, points free in"
            " space; clusters are 5 apart",
            "time to 1 %, or to half: of the value at the start; the last time if never",
            "theorem 3.1: ∂L/∂y_i ≈ (2/(nτ²)) [g·(y_i − μ_y)] g for this loss; the error is the"
            " norm of the difference over the norm of the form",
        ],
    )


def _kept(table: Table) -> str:
    tight, wide, one = (table.rows[name] for name in (TIGHT, WIDE, ONE))
    return (
        f"From two tight clusters, the gap is {tight['gap_start'].value:.2f} at the start and"
        f" {tight['gap'].value:.2f} at the end; from two wide ones {wide['gap_start'].value:.2f}"
        f" and {wide['gap'].value:.2f}; from one centre {one['gap_start'].value:.2f} and"
        f" {one['gap'].value:.2f}. Collapsed dimensions are neither necessary (wide clusters keep"
        " the gap) nor sufficient (flat points around one centre open none): what matters is"
        " whether the start has two centres."
    )


XLABEL = "time of the gradient flow"
PARTS = (
    Part(
        head="The gap stays",
        words=(
            "Matched points move down the gradient of InfoNCE. Two far clusters first lose their"
            " variance along the gap, because points ahead of the others are pushed back. Then all"
            " matches and non-matches are equally far along the gap, nothing pulls on it any more,"
            " and the pairs match across it.",
            _kept,
        ),
        panels=(
            Curves(title="Variance along the gap", trace="variance_along", xlabel=XLABEL,
                   ylabel="variance along the gap", log="xy", zero=False,
                   caption="Falls first from two clusters; grows from one centre."),
            Curves(title="The gap", trace="gap", xlabel=XLABEL, ylabel="‖g‖", log="x",
                   caption="Distance between the means: frozen."),
            Curves(title="Distance of a match across the gap", trace="matched_off", xlabel=XLABEL,
                   ylabel="mean distance", log="xy", zero=False,
                   caption="Pairs match in all other directions."),
            Curves(title="Loss", trace="loss", xlabel=XLABEL, ylabel="InfoNCE", log="x",
                   caption="From two clusters it falls only after the variance along the gap."),
        ),
        columns=2,
    ),
)  # fmt: skip
WHERE, THEOREM = "Chowers et al. 2026, figures 4 and 5", "Chowers et al. 2026, theorem 3.1"
PUBLISHED = (
    Number(
        claim="Early gradient of far clusters: 2/(nτ²) [g·(y − μ)] g; relative error",
        where=THEOREM,
        cell=(FAR, "theorem_start"),
        value=0.0,
        tolerance=0.03,
        note="the source has the factor −2/τ for the motion of a point; for the mean InfoNCE that"
        " is used here, the same derivation gives 2/(nτ²) for the gradient",
    ),
    Order(
        claim="Tight clusters: the variance along the gap vanishes before the loss is low",
        where=THEOREM,
        larger=(TIGHT, "time_loss"),
        smaller=(TIGHT, "time_along"),
    ),
    Order(
        claim="Wide, isotropic clusters: the variance along the gap vanishes too",
        where=WHERE,
        larger=(WIDE, "variance_along_start"),
        smaller=(WIDE, "variance_along"),
        margin=0.05,
        published="vanishes",
    ),
    *(
        Number(
            claim=f"The gap is frozen: end/start ({name})",
            where=WHERE,
            published="frozen",
            cell=(name, "kept"),
            value=1.0,
            tolerance=0.05,
        )
        for name in (TIGHT, WIDE)
    ),
    Order(
        claim="Collapse is not necessary: wide clusters keep more of a gap than one centre",
        where=WHERE,
        larger=(WIDE, "gap"),
        smaller=(ONE, "gap"),
        margin=1.0,
        published="larger",
    ),
    Order(
        claim="Collapse is not sufficient: flat points around one centre open no gap",
        where=WHERE,
        larger=(FLAT, "gap_start"),
        smaller=(FLAT, "gap"),
    ),
    Order(
        claim="A gap forms from an isotropic start around one centre",
        where=WHERE,
        larger=(ONE, "gap"),
        smaller=(ONE, "gap_start"),
        note="the wording of the source is second-hand; it may mean isotropic clouds around two"
        " centres, which keep their gap (wide clusters)",
        why="two isotropic clouds around one centre have no gap to keep, and the loss opens none;"
        " the gap forms from two isotropic clouds around two centres",
    ),
)
frozen_gap = Study(card=CARD, plan=plan, run=run, parts=PARTS, published=PUBLISHED, minutes=0.2)
