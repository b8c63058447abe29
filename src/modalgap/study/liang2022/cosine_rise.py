"""Theorem 1: a wide random ReLU layer almost always raises the cosine of two inputs.

The study plots the share of random layers that raise the cosine against the cosine of the inputs
divided by the threshold (½(r + 1/r))⁻¹, where r is the ratio of their norms.
Source: Liang et al. 2022, theorem 1.
Expected: below the threshold the share tends to 1 as the layer gets wider.
"""

from __future__ import annotations

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, several, whole
from modalgap.panels import Curves, Part, Reference
from modalgap.result import Table
from modalgap.simulate import cosine_rise as simulation
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Published, Trend

DIMS = (16, 64, 256, 1024)
RATIOS = (1, 2, 4)
CARD = Card(
    name="cosine_rise",
    title="One random layer raises a cosine",
    idea="Share of random ReLU layers that raise the cosine of two inputs, by width and cosine.",
    source="Liang et al. 2022, theorem 1",
    question="How often does one random layer raise the cosine of two inputs?",
    traits=("random",),
)


@checked
def plan(*, dims: Several[int] = DIMS, norm: float = 1.0, draws: int = 2000, seed: int = 0) -> Plan:
    """Plan the layers.

    Args:
        dims: widths.
        norm: norm of the shorter input.
        draws: layers for each width.
        seed: seed of the layers.

    Raises:
        OptionError: a value outside its range.
    """
    for width in several("dims", dims):
        whole("dims", width, 2, 2**31)
    at_least("norm", norm, 1e-6, 1e6)
    whole("draws", draws, 1, 2**31)
    whole("seed", seed, 0)
    return Plan(
        settings={"dims": several("dims", dims), "norm": norm, "draws": draws, "seed": seed}
    )


def run(work: Work) -> Table:
    """Simulate the layers of every width."""
    return simulation(ratios=RATIOS, **work.settings)


def _panel(r: int) -> Curves:
    return Curves(
        title=f"Norms {r} : 1" if r > 1 else "Equal norms",
        caption="Dashed: the threshold." if r > 1 else "The threshold is a cosine of 1.",
        trace="share",
        match=f"r={r}",
        xlabel="cosine of the inputs / threshold",
        ylabel="share of layers that raise the cosine",
        limits=(0, 1.03),
        references=(Reference(at=1, axis="x"),) if r > 1 else (),
    )


PARTS = (
    Part(
        head="Does a layer raise the cosine?",
        words=(
            "Two inputs u and v with ‖u‖ = r‖v‖ pass through one random ReLU layer of width d. Left"
            " of the threshold (½(r + 1/r))⁻¹ the theorem says that the cosine rises with a"
            " probability that tends to 1 as d grows. With unequal norms, wide layers raise the"
            " cosine of inputs above the threshold too.",
        ),
        panels=tuple(_panel(r) for r in RATIOS),
    ),
)
THEOREM = "Liang et al. 2022, theorem 1"
NOTE = (
    "the published shares are from 200 draws; the paper does not state the norm, which is 1 here;"
    " tolerance: 2.5 standard deviations of 200 draws, and rounding"
)
# (width, ratio): share at .95 of the threshold, and the tolerance
SHARES = {
    (64, 1): (0.995, 0.023),
    (64, 2): (0.92, 0.060),
    (64, 4): (0.945, 0.045),
    (256, 1): (1.00, 0.005),
    (256, 2): (0.99, 0.025),
    (256, 4): (0.99, 0.012),
}
PUBLISHED: tuple[Published, ...] = (
    *(
        Number(
            claim=f"Width {width}, norms {r} : 1: at .95 of the threshold, a share of {value:g} of"
            " the layers raises the cosine",
            where=THEOREM,
            cell=(f"d={width}, r={r}", "share"),
            value=value,
            tolerance=tolerance,
            note=NOTE,
        )
        for (width, r), (value, tolerance) in SHARES.items()
    ),
    *(
        Trend(
            claim=f"Norms {r} : 1: the share of layers that raise the cosine grows with the width",
            where=THEOREM,
            column="share",
            direction="rises",
            rows=tuple(f"d={width}, r={r}" for width in widths),
        )
        for r, widths in ((1, DIMS[:3]), (2, DIMS), (4, DIMS[:3]))
    ),
)
cosine_rise = Study(card=CARD, plan=plan, run=run, parts=PARTS, published=PUBLISHED, minutes=0.2)
