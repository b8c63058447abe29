"""The temperature law: how fast the gap closes with a learnable and with a frozen temperature.

Free points on the sphere start in two clusters. A learnable temperature falls as the points match,
so the loss becomes small and its gradient vanishes before the gap is closed.
Source: Yaras et al. 2024 (arXiv 2412.07909): with a learnable temperature, the gap is at least of
the order 1/log² t; Chowers et al. 2026 for the gap that stays.
Expected: with a frozen temperature the gap closes; with a learnable one it stays above C/log² t,
so the exponent p of C/logᵖ t, fitted to the late part of a trace, is at most 2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import at_least, whole
from modalgap.panels import Curves, Part
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.chowers2026.running import dynamics_rows
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order
from modalgap.trace import points, traced

LATE = 0.3  # the fit uses times above T to this power, T the last one
CLOSED = 1e-4  # a gap below this is zero up to the error of the flow; not fitted
LEARNABLE, SLOW, FROZEN = "flow, learnable τ", "flow, slow τ", "flow, frozen τ"
ADAM_LEARNABLE, ADAM_FROZEN = "Adam, learnable τ", "Adam, frozen τ"
HEADS = {
    "gap_start": "gap at the start",
    "gap": "gap at the end",
    "temperature": "τ at the end",
    "loss": "loss at the end",
    "time": "last time or step",
    "exponent": "exponent p of C/logᵖ t",
    "fit": "R² of C/logᵖ t",
    "power": "exponent q of C/t^q",
    "power_fit": "R² of C/t^q",
}
CARD = Card(
    name="temperature_law",
    title="The temperature and how fast the gap closes",
    idea="Traces the gap of free points with learnable and frozen temperatures; fits its decay.",
    source="Yaras et al. 2024 (arXiv 2412.07909); Chowers et al. 2026",
    question="Does a learnable temperature keep the gap open? Does the gap close like 1/log² t?",
    traits=("random",),
)


@checked
def plan(
    *,
    n: int = 50,
    dim: int = 10,
    temperature: float = 0.07,
    steps: int = 2500,
    until: float = 1e8,
    seed: int = 0,
) -> Plan:
    """Plan the runs.

    Args:
        n: number of matched pairs.
        dim: number of dimensions.
        temperature: τ at the start.
        steps: steps of Adam; largest number of steps of the gradient flow.
        until: time at which the gradient flow stops.
        seed: seed of the start.

    Raises:
        OptionError: a value outside its range.
    """
    whole("n", n, 2, 2000)
    whole("dim", dim, 3, 2000)
    at_least("temperature", temperature, 1e-3, 1e3)
    whole("steps", steps, 1)
    at_least("until", until, 1.0, 1e12)
    whole("seed", seed, 0)
    return Plan(settings={"n": n, "dim": dim, "temperature": temperature, "steps": steps,
                          "until": until, "seed": seed})  # fmt: skip


def run(work: Work) -> Table:
    """Run with each kind of temperature, and fit the decay of the gap."""
    learnable: dict[str, Any] = {"learn_temperature": True}
    runs: Mapping[str, Mapping[str, Any]] = {
        LEARNABLE: learnable,
        SLOW: learnable | {"temperature_rate": 1 / work.settings["n"]},
        FROZEN: {},
        ADAM_LEARNABLE: learnable | {"optimiser": "adam"},
        ADAM_FROZEN: {"optimiser": "adam"},
    }
    shared = {**work.settings, "space": "sphere", "distance": 1.0, "spread": 0.3}
    rows = dynamics_rows(runs, **shared)
    for row in rows.values():
        x, y = points(row["gap"])
        row["time"] = Value(x[-1])
        row |= fitted(x, y)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="temperature",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            "gradient flow of symmetric InfoNCE of cosines, or Adam with learning rate 0.01; the"
            " clusters are about 1 apart at the start",
            "slow τ: learnable, but log(1/τ) moves at 1/n of the rate of the points, as if the"
            " loss were a sum over the points",
            "fits: least squares of the logarithm of the gap, over times t > max(e², T^0.3), where"
            f" T is the last time, and gaps above {CLOSED:g}",
        ],
    )


def fitted(times: list[float], gaps: list[float]) -> dict[str, Value]:
    """Exponents of C/logᵖ t and C/t^q with R² and the fitted curves; empty for too few points.

    Args:
        times: ascending.
        gaps: as many.
    """
    t, gap = np.array(times), np.array(gaps)
    late = (t > max(math.e**2, times[-1] ** LATE)) & (gap > CLOSED)
    if late.sum() < 5:
        return {}
    t, log_gap = t[late], np.log(gap[late])
    found = {}
    for names, x in ((("exponent", "fit"), np.log(np.log(t))), (("power", "power_fit"), np.log(t))):
        slope, start = np.polyfit(x, log_gap, 1)
        rest = log_gap - (start + slope * x)
        spread = float(((log_gap - log_gap.mean()) ** 2).sum())
        curve = np.exp(start + slope * x)
        found[names[0]] = traced(-float(slope), t.tolist(), curve.tolist())
        found[names[1]] = Value(1 - float((rest**2).sum()) / spread if spread > 0 else 0.0)
    return found


def _law(table: Table) -> str:
    parts = []
    for name in (LEARNABLE, SLOW, ADAM_LEARNABLE):
        row = table.rows[name]
        if "exponent" in row:
            parts.append(f"{name}: p = {row['exponent'].value:.2f} (R² {row['fit'].value:.2f})")
    return (
        "The late part of each trace is fitted by C/logᵖ t: " + "; ".join(parts) + ". The law is a"
        " lower bound on the gap, so any p up to 2 agrees with it. A smaller p means that the gap"
        " closes more slowly."
    )


def _kept(table: Table) -> str:
    learnable, frozen = table.rows[LEARNABLE], table.rows[FROZEN]
    return (
        f"With a learnable temperature the gap ends at {learnable['gap'].value:.2f} and τ at"
        f" {learnable['temperature'].value:.4f}; with a frozen one the gap ends at"
        f" {frozen['gap'].value:.4f}. A lower temperature makes the loss small although the points"
        " have hardly moved, and then the gradient is too small to close the gap."
    )


TIME, STEPS = "time of the gradient flow", "steps of Adam"
PARTS = (
    Part(
        head="What the temperature does",
        words=(_kept, _law),
        panels=(
            Curves(title="The gap, gradient flow", trace="gap", xlabel=TIME,
                   ylabel="distance of means", log="x", match="flow",
                   caption="One curve per kind of temperature; 0 is a closed gap."),
            Curves(title="The gap, Adam", trace="gap", xlabel=STEPS,
                   ylabel="distance of means", log="x",
                   match="Adam", caption="As above, with Adam instead of the gradient flow."),
            Curves(title="Temperature, gradient flow", trace="temperature", xlabel=TIME, ylabel="τ",
                   log="xy", zero=False, match="flow",
                   caption="A learnable τ falls as the pairs match; a frozen one is a constant."),
            Curves(title="Loss, gradient flow", trace="loss", xlabel=TIME, ylabel="InfoNCE",
                   log="xy", zero=False, match="flow",
                   caption="A small loss has a small gradient, so the points stop moving."),
            Curves(title="The fit C/logᵖ t", trace="exponent", xlabel=TIME, log="x", match="flow",
                   ylabel="fitted distance of means", in_figure=False,
                   caption="Fitted curves of the gap over the late part of each trace."),
        ),
        columns=2,
    ),
)  # fmt: skip
WHERE = "Yaras et al. 2024, arXiv 2412.07909"
PUBLISHED = (
    Order(
        claim="Gradient flow: a learnable temperature leaves a larger gap than a frozen one",
        where=WHERE,
        larger=(LEARNABLE, "gap"),
        smaller=(FROZEN, "gap"),
    ),
    Order(
        claim="Adam: a learnable temperature leaves a larger gap than a frozen one",
        where=WHERE,
        larger=(ADAM_LEARNABLE, "gap"),
        smaller=(ADAM_FROZEN, "gap"),
    ),
    *(
        Order(
            claim=f"The gap is at least of the order 1/log² t: p is at most 2 ({name})",
            where=WHERE,
            larger=2.0,
            smaller=(name, "exponent"),
        )
        for name in (LEARNABLE, SLOW, ADAM_LEARNABLE)
    ),
    *(
        Number(
            claim=f"The gap closes like 1/log² t: p is 2 ({name})",
            where=WHERE,
            cell=(name, "exponent"),
            value=2.0,
            tolerance=0.25,
            why="the law is a lower bound: the gap of these free points closes more slowly",
        )
        for name in (LEARNABLE, SLOW, ADAM_LEARNABLE)
    ),
)
temperature_law = Study(
    card=CARD, plan=plan, run=run, parts=PARTS, published=PUBLISHED, minutes=0.4
)
