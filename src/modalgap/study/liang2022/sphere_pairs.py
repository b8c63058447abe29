"""The loss of six pairs on a sphere against the gap.

With two mismatched pairs and a low temperature, the loss is lowest at a gap. Without mismatched
pairs it is lowest at the closed gap. See ``modalgap.simulate.sphere_pairs`` for the closed form.
Source: Liang et al. 2022, section 4.3 and figure 3b.
"""

from __future__ import annotations

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several
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
    question="Is the contrastive loss lowest at a gap if two pairs are mismatched?",
)


@checked
def plan(*, scales: Several[float] = (1, 5, 35, 50, 100)) -> Plan:
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


XLABEL = "Δθ, latitude of the texts in degrees"
GUESS = Reference(at=1.791759469228055, label="chance level, ln 6")
PARTS = (
    Part(
        head="With mismatched pairs and a low temperature, the loss is lowest at a gap",
        words=(
            "Six images are on the equator of a sphere, 20° apart. Each text has the longitude of"
            " its image and the latitude Δθ. At Δθ = 0 the gap is closed; at ±90° all texts are at"
            " a pole, and the loss is ln 6, the chance level.",
            "If the texts of two neighbouring images are swapped, the predictions for these images"
            " are confident and wrong. A gap multiplies all cosines by cos Δθ < 1, as a higher"
            " temperature would, and so makes these predictions less confident. Below τ = 1/21.2,"
            " the loss is lowest at a gap.",
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
                caption="At every temperature, the minimum is at the closed gap, Δθ = 0.",
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
NOTE = "the paper shows only curves; the numbers are an independent computation in its setting"
LOWEST = {1: (1.5477, 0), 5: (1.0952, 0), 35: (0.8095, 53), 50: (0.8095, 65), 100: (0.8096, 78)}
PUBLISHED: list[Published] = []
for _scale, (_loss, _angle) in LOWEST.items():
    _row = f"1/τ = {_scale}"
    PUBLISHED += [
        Number(
            claim=f"Two texts swapped: the lowest loss at 1/τ = {_scale} is {_loss:g}",
            where=FIGURE,
            against="reference",
            note=NOTE,
            cell=(_row, "lowest_swapped"),
            value=_loss,
            tolerance=0.0001,
        ),
        Number(
            claim=f"Two texts swapped: the loss at 1/τ = {_scale} is lowest at {_angle}°",
            where=FIGURE,
            against="reference",
            note=NOTE,
            cell=(_row, "angle_swapped"),
            value=_angle,
            tolerance=0.5,
        ),
        Number(
            claim=f"Two texts swapped: this angle at 1/τ = {_scale} is that of the closed form",
            where="closed form cos Δθ = β* τ",
            against="closed form",
            cell=(_row, "angle_swapped"),
            value=(_row, "closed_swapped"),
            tolerance=0.5,
        ),
        Number(
            claim=f"All pairs matched: the loss at 1/τ = {_scale} is lowest at the closed gap",
            where="Liang et al. 2022, appendix",
            cell=(_row, "angle_in_order"),
            value=0.0,
            tolerance=0.5,
        ),
    ]
PUBLISHED += [
    Number(
        claim="The loss at ±90° is ln 6, the chance level",
        where=FIGURE,
        against="closed form",
        cell=("1/τ = 100", "loss_at_pole"),
        value=1.7918,
        tolerance=0.0001,
    ),
    Order(
        claim="Two texts swapped: the lower the temperature, the larger the gap of the lowest loss",
        where=FIGURE,
        larger=("1/τ = 100", "angle_swapped"),
        smaller=("1/τ = 35", "angle_swapped"),
    ),
]
sphere_pairs = Study(
    card=CARD, plan=plan, run=run, parts=PARTS, published=tuple(PUBLISHED), minutes=0.1
)
