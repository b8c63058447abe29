"""The frozen gap: a contrastive loss removes the variance along the gap, then the gap stays.

Free points from four starts: two tight clusters; two wide clusters, in which points vary in all
directions, so no dimension has collapsed; one centre; and one centre with points that vary in few
directions, so most dimensions have collapsed.
Source: Chowers et al. 2026, figures 4 and 5, theorem 3.1.
Expected: from both starts with two centres, the variance along the gap vanishes and the distance of
means stays. From tight clusters, the variance vanishes before the loss falls; from wide clusters,
after it. From one centre no gap forms, collapsed or not.
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
FAR = "far clusters, first step"  # where the closed form of theorem 3.1 must hold
TIGHT, WIDE, ONE, FLAT = STARTS
HEADS = {
    "gap_start": "distance of means, start",
    "gap": "distance of means, end",
    "kept": "distance of means, end/start",
    "variance_along_start": "variance along the gap, start",
    "variance_along": "variance along the gap, end",
    "variance_off": "variance across the gap, end",
    "time_along": "time until 1 % of the variance along the gap",
    "time_loss": "time until half of the loss",
    "matched_off": "distance of a match across the gap, end",
    "theorem_start": "relative error of theorem 3.1, start",
}
# a column with the time when another one is below this part of its start
EVENTS = (("time_along", "variance_along", 0.01), ("time_loss", "loss", 0.5))
CARD = Card(
    name="frozen_gap",
    title="The frozen gap",
    idea="Moves free points from four starts, and traces the gap and the variance along it.",
    source="Chowers et al. 2026, figures 4 and 5, theorem 3.1",
    question="Why does a contrastive loss keep a gap? Are collapsed dimensions the cause?",
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
        for name, column, part in EVENTS:
            if (time := reached(row[column], part)) is not None:
                row[name] = Value(time)
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
            "gradient flow of the mean symmetric InfoNCE of −‖x − y‖²/τ, τ = 1, of free points;"
            " the centres of clusters are 5 apart",
            "time until 1 %, or half, of the value at the start; – if never",
            "theorem 3.1: ∂L/∂y_i ≈ (2/(nτ²)) [g·(y_i − μ_y)] g for this loss; relative error: the"
            " norm of the difference divided by the norm of the right side",
        ],
    )


def _kept(table: Table) -> str:
    tight, wide, one = (table.rows[name] for name in (TIGHT, WIDE, ONE))
    return (
        f"From two tight clusters, the distance of means is {tight['gap_start'].value:.2f} at the"
        f" start and {tight['gap'].value:.2f} at the end; from two wide ones"
        f" {wide['gap_start'].value:.2f} and {wide['gap'].value:.2f}; from one centre"
        f" {one['gap_start'].value:.2f} and {one['gap'].value:.2f}. Collapsed dimensions are"
        " neither necessary (wide clusters keep the gap) nor sufficient (flat points around one"
        " centre do not open a gap): the condition is a start with two centres."
    )


XLABEL = "time of the gradient flow"
PARTS = (
    Part(
        head="The gap stays",
        words=(
            "Matched points move down the gradient of InfoNCE. Two tight clusters that are far"
            " apart first lose their variance along the gap; from wide clusters the loss falls"
            " first, and this variance follows. Without it, all pairs, matched or not, have the"
            " same distance along the gap, so the gradient along it is 0, and pairs match in all"
            " other directions.",
            _kept,
        ),
        panels=(
            Curves(title="Variance along the gap", trace="variance_along", xlabel=XLABEL,
                   ylabel="variance along the gap", log="xy", zero=False,
                   caption="From two clusters it falls; from tight ones it rises again for a short"
                   " time, as the loss falls. From one centre it grows."),
            Curves(title="The gap", trace="gap", xlabel=XLABEL, ylabel="distance of means",
                   log="x", caption="From two clusters it does not change."),
            Curves(title="Distance of a match across the gap", trace="matched_off", xlabel=XLABEL,
                   ylabel="mean distance", log="xy", zero=False,
                   caption="It falls: pairs match in all other directions."),
            Curves(title="Loss", trace="loss", xlabel=XLABEL, ylabel="InfoNCE", log="x",
                   caption="From tight clusters it falls later than the variance along the gap;"
                   " from wide clusters it falls first."),
        ),
        columns=2,
    ),
)  # fmt: skip
WHERE, THEOREM = "Chowers et al. 2026, figures 4 and 5", "Chowers et al. 2026, theorem 3.1"
PUBLISHED = (
    Number(
        claim="Far clusters: the first gradient is 2/(nτ²) [g·(y − μ)] g (relative error)",
        where=THEOREM,
        against="closed form",
        cell=(FAR, "theorem_start"),
        value=0.0,
        tolerance=0.03,
        note="the paper has the factor −2/τ for the motion of a point; for the mean InfoNCE that is"
        " used here, the same derivation gives 2/(nτ²) for the gradient",
    ),
    Order(
        claim="Tight clusters: the variance along the gap vanishes before the loss is low",
        where=THEOREM,
        larger=(TIGHT, "time_loss"),
        smaller=(TIGHT, "time_along"),
    ),
    Order(
        claim="Wide clusters: the variance along the gap falls too",
        where=WHERE,
        larger=(WIDE, "variance_along_start"),
        smaller=(WIDE, "variance_along"),
        margin=0.05,
        published="vanishes",
    ),
    *(
        Number(
            claim=f"The gap does not change, end/start is 1 ({name})",
            where=WHERE,
            published="frozen",
            cell=(name, "kept"),
            value=1.0,
            tolerance=0.05,
        )
        for name in (TIGHT, WIDE)
    ),
    Order(
        claim="Collapse is not necessary: wide clusters end with a larger gap than one centre",
        where=WHERE,
        larger=(WIDE, "gap"),
        smaller=(ONE, "gap"),
        margin=1.0,
        published="the first is larger",
    ),
    Order(
        claim="Collapse is not sufficient: flat points around one centre do not open a gap",
        where=WHERE,
        larger=(FLAT, "gap_start"),
        smaller=(FLAT, "gap"),
    ),
    Order(
        claim="A gap forms from an isotropic start around one centre",
        where=WHERE,
        larger=(ONE, "gap"),
        smaller=(ONE, "gap_start"),
        note="taken from a summary of the paper; the paper may mean isotropic clouds around two"
        " centres, which keep their gap (wide clusters)",
        why="two isotropic clouds around one centre have no gap, and the loss opens none; two"
        " isotropic clouds around two centres keep their gap",
    ),
)
frozen_gap = Study(card=CARD, plan=plan, run=run, parts=PARTS, published=PUBLISHED, minutes=0.2)
