"""The loss of nine pairs on a sphere against the gap between them.

Three assignments of texts to images: all in order; labels 3 and 8 swapped, as in the paper; and
the labels of the two nearest points swapped. See ``modalgap.simulate.nine_points``.
Source: Liang et al. 2022, appendix.
"""

from __future__ import annotations

from dataclasses import replace

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several
from modalgap.panels import Curves, Part, Reference
from modalgap.result import Table
from modalgap.simulate.circle import scales_of
from modalgap.simulate.nine_points import nine_points as simulated
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published

CARD = Card(
    name="nine_points",
    title="The loss of nine points on a sphere",
    idea="Computes InfoNCE of nine pairs at every gap, with and without two swapped labels.",
    source="Liang et al. 2022, appendix",
    question="Is the contrastive loss lowest at a gap if two labels are swapped?",
)
SCALES = (1, 5, 10, 50, 100, 500, 1000)
PAPER, NEAREST = (3, 8), (6, 8)  # points whose labels are swapped
HEADS = {
    "lowest_swapped": "lowest loss, 3 and 8 swapped",
    "height_swapped": "at |z|",
    "closed_swapped": "closed form of |z|",
    "lowest_near": "lowest loss, neighbours swapped",
    "height_near": "at |z|, neighbours",
    "closed_near": "closed form of |z|, neighbours",
    "lowest_in_order": "lowest loss, in order",
    "height_in_order": "at |z|, in order",
}


@checked
def plan(*, scales: Several[float] = SCALES) -> Plan:
    """Plan the temperatures.

    Args:
        scales: values of 1/τ.

    Raises:
        OptionError: a value outside its range.
    """
    return Plan(settings={"scales": scales_of(scales)})


def run(work: Work) -> Table:
    """Simulate both swaps of labels."""
    table = simulated(scales=work.settings["scales"], swap=PAPER)
    nearest = simulated(scales=work.settings["scales"], swap=NEAREST)
    rows = {}
    for name, row in table.rows.items():
        near = nearest.rows[name]
        rows[name] = {
            **row,
            **{f"{each}_near": near[f"{each}_swapped"] for each in ("lowest", "height", "closed")},
        }
    return replace(
        table,
        rows=rows,
        heads=HEADS,
        notes=[
            *table.notes,
            *(note.replace("swapped:", "neighbours:") for note in nearest.notes),
            "the paper has 100 values of z, from -1 to 1; here the curves have more values near the"
            " minimum, which is narrow if 1/τ is large",
        ],
    )


XLABEL = "z, height of the images; texts at -z"
GUESS = Reference(at=2.1972245773362196, label="chance level, ln 9")
PARTS = (
    Part(
        head="With swapped labels and a low temperature, the loss is lowest at a gap",
        words=(
            "Nine images lie on a circle at height z of the unit sphere, their texts on the circle"
            " at height -z. At z = 0 there is no gap; at z = ±1 all images are at one pole and all"
            " texts at the other, and the loss is ln 9, the chance level. The differences of"
            " cosines shrink by the factor 1 - z², so a gap acts like a higher temperature.",
            "The paper swaps labels 3 and 8. Numbered from 0, these points are 140° apart:"
            " a large mistake, for which the loss is lowest at a large gap. The two points whose"
            " labels are swapped in the second figure are 5.4° apart: a small mistake, which"
            " matters only at a low temperature.",
        ),
        panels=(
            Curves(
                title="Labels 3 and 8 swapped",
                caption="One curve per temperature; z = 0 is a closed gap. For 1/τ ≥ 5, the"
                " minimum is at a gap.",
                trace="lowest_swapped",
                xlabel=XLABEL,
                ylabel="InfoNCE",
                limits=(0.0, 5.0),
                references=(GUESS,),
            ),
            Curves(
                title="Labels of two neighbours swapped",
                caption="For 1/τ ≥ 50, the minimum is at a gap.",
                trace="lowest_near",
                xlabel=XLABEL,
                ylabel="InfoNCE",
                limits=(0.0, 2.5),
                references=(GUESS,),
            ),
            Curves(
                title="All labels in order",
                caption="At every temperature, the minimum is at the closed gap, z = 0.",
                trace="lowest_in_order",
                xlabel=XLABEL,
                ylabel="InfoNCE",
                limits=(0.0, 2.5),
                references=(GUESS,),
            ),
        ),
    ),
)
APPENDIX = "Liang et al. 2022, appendix"
EXACT, GRID = 1e-4, 2 / 99  # of z: tolerance of the search; step in the paper
PUBLISHED: list[Published] = []
for _scale in SCALES:
    _row = f"1/τ = {_scale}"
    PUBLISHED += [
        Number(
            claim=f"With all labels in order, the loss at 1/τ = {_scale} is lowest at the closed"
            " gap",
            where=APPENDIX,
            published="|z| = 0",
            cell=(_row, "height_in_order"),
            value=0.0,
            tolerance=EXACT,
        ),
        Number(
            claim=f"Labels 3 and 8 swapped: the minimum at 1/τ = {_scale} is that of the closed"
            " form",
            where="closed form 1 - z² = β* τ",
            against="closed form",
            cell=(_row, "height_swapped"),
            value=(_row, "closed_swapped"),
            tolerance=EXACT,
        ),
        Number(
            claim=f"Neighbours swapped: the minimum at 1/τ = {_scale} is that of the closed form",
            where="closed form 1 - z² = β* τ",
            against="closed form",
            cell=(_row, "height_near"),
            value=(_row, "closed_near"),
            tolerance=EXACT,
        ),
    ]
PUBLISHED += [
    Order(
        claim=f"With swapped labels ({name}), the loss at 1/τ = 100 is lowest at a gap",
        where=APPENDIX,
        larger=("1/τ = 100", column),
        smaller=GRID,
    )
    for column, name in (
        ("height_swapped", "labels 3 and 8"),
        ("height_near", "neighbours"),
    )
]
nine_points = Study(
    card=CARD, plan=plan, run=run, parts=PARTS, published=tuple(PUBLISHED), minutes=0.1
)
