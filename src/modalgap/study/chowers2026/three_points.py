"""The loss can be small although an image is far from its text, shown with three texts.

An image moves away from its text in four directions. See ``modalgap.simulate.three_points`` for the
closed form of the loss.
Source: Chowers et al. 2026, section 3 and figure 3.
"""

from __future__ import annotations

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, several
from modalgap.panels import Curves, Part
from modalgap.result import Table
from modalgap.simulate.three_points import DIRECTIONS
from modalgap.simulate.three_points import three_points as simulated
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published

CARD = Card(
    name="three_points",
    title="A small loss at a large distance",
    idea="Moves an image away from its text and computes the loss among three texts.",
    source="Chowers et al. 2026, section 3, figure 3",
    question="Does a small contrastive loss mean that an image is near its text?",
)


@checked
def plan(*, temperatures: Several[float] = (0.2, 0.5, 1.0), farthest: float = 10.0) -> Plan:
    """Plan the temperatures and distances.

    Args:
        temperatures: values of τ, in units of squared distance.
        farthest: the largest distance; texts are 1 apart.

    Raises:
        OptionError: a value outside its range.
    """
    taus = [float(each) for each in several("temperatures", temperatures, least=1)]
    at_least("number of temperatures", len(taus), 1, 10)
    for tau in taus:
        at_least("temperatures", tau, 1e-3, 1e6)
    distinct("temperatures", [f"{tau:g}" for tau in taus])
    at_least("farthest", farthest, 1e-3, 100)
    return Plan(settings={"temperatures": taus, "farthest": farthest})


def run(work: Work) -> Table:
    """Simulate."""
    return simulated(**work.settings)


WORDS = {
    "across": (
        "Orthogonal to the plane of the texts",
        "The loss does not depend on the distance at all.",
    ),
    "away": ("Away from the other texts", "The loss falls to 0 although the image is far away."),
    "beside": (
        "At a right angle to one side",
        "The loss tends to a constant above 0.",
    ),
    "toward": (
        "Toward the other texts",
        "Only here the loss grows, in proportion to the distance.",
    ),
}
PARTS = (
    Part(
        head="A small loss does not mean a short distance",
        words=(
            "Three texts are the corners of a triangle with sides of length 1. An image starts at"
            " its own text and moves away in a straight line. The softmax compares the squared"
            " distances to the three texts, and the square of the distance moved is common to all"
            " three: it cancels.",
            "So if the image moves orthogonally to the plane of the texts, the loss is constant and"
            " its gradient is 0. A gap that is orthogonal to all differences of texts does not"
            " change the loss, and training with this loss does not close it.",
        ),
        panels=tuple(
            Curves(
                title=WORDS[name][0],
                caption=WORDS[name][1],
                trace="end",
                match=name,
                xlabel="distance of the image from its text",
                ylabel="loss",
                limits=(0.0, None if name == "toward" else 0.6),
            )
            for name in DIRECTIONS
        ),
        columns=2,
    ),
)
FIGURE = "Chowers et al. 2026, figure 3"
NOTE = "taken from a summary of the paper: only the direction is compared"
TAU = "τ = 0.5"
PUBLISHED: list[Published] = []
for _name in DIRECTIONS:
    _row = f"{_name}, {TAU}"
    PUBLISHED += [
        Number(
            claim=f"The loss at the largest distance is that of the closed form ({_row})",
            where="closed form of the loss",
            against="closed form",
            cell=(_row, "end"),
            value=(_row, "closed"),
            tolerance=1e-9,
        ),
        Number(
            claim=f"The slope of the loss at the largest distance is its limit ({_row})",
            where="closed form of the loss",
            against="closed form",
            cell=(_row, "slope"),
            value=(_row, "closed_slope"),
            tolerance=1e-6,
        ),
    ]
PUBLISHED += [
    Number(
        claim="Orthogonal to the plane of the texts, the loss does not change with the distance",
        where=FIGURE,
        published="flat",
        note=NOTE,
        cell=(f"across, {TAU}", "end"),
        value=(f"across, {TAU}", "start"),
        tolerance=1e-9,
    ),
    Order(
        claim="Far away from the other texts, the loss is smaller than at the text of the image",
        where=FIGURE,
        published="small at a distance",
        note=NOTE,
        larger=(f"away, {TAU}", "start"),
        smaller=(f"away, {TAU}", "end"),
    ),
]
three_points = Study(
    card=CARD, plan=plan, run=run, parts=PARTS, published=tuple(PUBLISHED), minutes=0.1
)
