"""Figure 3b of Liang et al. 2022: the loss of six pairs on a sphere against the gap.

With two mismatched pairs and a low temperature, the loss is lowest at a gap. Without them it is
lowest where the gap is closed. See ``modalgap.simulate.sphere_pairs`` for the closed form.
"""

from __future__ import annotations

from collections.abc import Sequence

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.panels import Curves, Part, Reference
from modalgap.result import Table
from modalgap.simulate.circle import scales_of
from modalgap.simulate.sphere_pairs import sphere_pairs as simulated
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published

CARD = Card(
    name="sphere_pairs",
    title="The loss of mismatched pairs on a sphere",
    idea="Computes InfoNCE of six pairs on a sphere at every gap, with and without a mismatch.",
    source="Liang et al. 2022, section 4.3, figure 3b",
    question="Does the contrastive loss prefer a gap when two pairs are mismatched?",
)


@checked
def plan(*, scales: Sequence[float] = (1, 5, 35, 50, 100)) -> Plan:
    """Plan the temperatures.

    Args:
        scales: values of 1/τ.

    Raises:
        OptionError: a value outside its range.
    """
    return Plan(settings={"scales": scales_of(scales)})


def run(work: Work) -> Table:
    """Simulate."""
    return simulated(**work.settings)


XLABEL = "Δθ in degrees, of the texts above the images"
GUESS = Reference(at=1.791759469228055, label="chance, ln 6")
PARTS = (
    Part(
        head="A mismatch and a low temperature open a gap",
        words=(
            "Six images lie on the equator of a sphere, 20° apart. Each text has the longitude of"
            " its image and is lifted by Δθ. At Δθ = 0 there is no gap; at ±90° all texts are at a"
            " pole, and the loss is that of guessing, ln 6.",
            "If the texts of two neighbouring images are swapped, the model is confident and wrong"
            " there. A gap lowers all cosines by the factor cos Δθ, as a higher temperature would,"
            " and so softens these mistakes. Below τ = 1/21.2, the loss is lowest at a gap.",
        ),
        panels=(
            Curves(
                title="Two texts swapped",
                caption="One curve per temperature. At low temperatures, the minimum is at a gap.",
                trace="lowest_swapped",
                xlabel=XLABEL,
                ylabel="InfoNCE",
                limits=(0.0, 2.3),
                references=(GUESS,),
            ),
            Curves(
                title="All pairs matched",
                caption="At every temperature, the loss is lowest without a gap.",
                trace="lowest_in_order",
                xlabel=XLABEL,
                ylabel="InfoNCE",
                limits=(0.0, 2.3),
                references=(GUESS,),
            ),
        ),
        columns=2,
    ),
)
FIGURE = "Liang et al. 2022, figure 3b"
NOTE = "the paper shows curves; the numbers are an independent computation of its setting"
LOWEST = {1: (1.5477, 0), 5: (1.0952, 0), 35: (0.8095, 53), 50: (0.8095, 65), 100: (0.8096, 78)}
PUBLISHED: list[Published] = []
for _scale, (_loss, _angle) in LOWEST.items():
    _row = f"1/τ = {_scale}"
    PUBLISHED += [
        Number(
            claim=f"The lowest loss at 1/τ = {_scale}, two texts swapped",
            where=FIGURE,
            note=NOTE,
            cell=(_row, "lowest_swapped"),
            value=_loss,
            tolerance=0.0001,
        ),
        Number(
            claim=f"The angle of the lowest loss at 1/τ = {_scale}, two texts swapped",
            where=FIGURE,
            note=NOTE,
            cell=(_row, "angle_swapped"),
            value=_angle,
            tolerance=0.5,
        ),
        Number(
            claim=f"That angle at 1/τ = {_scale} follows from the closed form",
            where="closed form cos Δθ = β* τ",
            cell=(_row, "angle_swapped"),
            value=(_row, "closed_swapped"),
            tolerance=0.5,
        ),
        Number(
            claim=f"Without the swap the loss at 1/τ = {_scale} is lowest without a gap",
            where="Liang et al. 2022, appendix",
            cell=(_row, "angle_in_order"),
            value=0.0,
            tolerance=0.5,
        ),
    ]
PUBLISHED += [
    Number(
        claim="The loss at ±90° is that of guessing, ln 6",
        where=FIGURE,
        cell=("1/τ = 100", "loss_at_pole"),
        value=1.7918,
        tolerance=0.0001,
    ),
    Order(
        claim="A lower temperature prefers a larger gap",
        where=FIGURE,
        larger=("1/τ = 100", "angle_swapped"),
        smaller=("1/τ = 35", "angle_swapped"),
    ),
]
sphere_pairs = Study(
    card=CARD, plan=plan, run=run, parts=PARTS, published=tuple(PUBLISHED), minutes=0.1
)
