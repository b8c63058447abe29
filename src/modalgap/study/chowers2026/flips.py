"""Flips and the gap: the wider the gap, the less robust are answers to noise on stored texts.

Shows the simulation ``flip_robustness``: one image, two texts, noise on the texts.
Source: Chowers et al. 2026, figure 7, theorem 3.4.
Expected: Rob, the share of answers that stay, rises as the gap closes, for every variance of noise.
"""

from __future__ import annotations

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.panels import Curves, Part
from modalgap.result import Table, Value
from modalgap.simulate import flip_robustness
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order
from modalgap.trace import points, traced

KINDS = {"distance": "by distance", "product": "by inner product"}
VARIANCES = (0.005, 0.022, 0.04)
NOISES = tuple(f"σ² = {variance:g}" for variance in VARIANCES)
HEADS = {
    f"{kind}_{name}": f"{title}, {words}"
    for kind, words in KINDS.items()
    for name, title in (("rob", "Rob"), ("form", "Rob by formula"), ("closed", "Rob, closed gap"))
}
HEADS |= {"difference": "largest |counted − formula|", "half_width": "half of the widest interval"}
CARD = Card(
    name="flips",
    title="Flips and the gap",
    idea="Counts answers that stay the same under noise on two texts, for several gaps.",
    source="Chowers et al. 2026, figure 7, theorem 3.4",
    question="Why does a wide gap make answers less robust?",
    traits=("random",),
)


@checked
def plan(*, dim: int = 64, draws: int = 50_000, seed: int = 0) -> Plan:
    """Plan the simulation.

    Args:
        dim: number of dimensions.
        draws: draws of the noise.
        seed: seed of the noise.

    Raises:
        OptionError: a value outside its range.
    """
    whole("dim", dim, 2)
    whole("draws", draws, 100, 10**8)
    whole("seed", seed, 0)
    return Plan(settings={"dim": dim, "draws": draws, "seed": seed})


def run(work: Work) -> Table:
    """Count flips for every gap and noise."""
    found = flip_robustness(**work.settings, variances=VARIANCES)
    rows = {}
    for noise, values in found.rows.items():
        row = {}
        for kind in KINDS:
            row[f"{kind}_rob"] = _stays(values[kind])
            row[f"{kind}_form"] = _stays(values[f"{kind}_form"])
            row[f"{kind}_closed"] = Value(1 - points(values[kind])[1][0])
        rows[noise] = row | {
            "difference": values["largest_difference"],
            "half_width": values["half_width"],
        }
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="noise",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"Rob: share of {work.settings['draws']:,} draws in which the answer stays, at the"
            f" largest gap, {points(found.rows[NOISES[0]]['distance'])[0][-1]:g}; texts are 0.5"
            " apart, the image is 0.2 from their middle",
            *found.notes[1:],
        ],
    )


def _stays(flips: Value) -> Value:
    """One minus a traced share of flips."""
    x, y = points(flips)
    between = None if flips.interval is None else (1 - flips.interval[1], 1 - flips.interval[0])
    return traced(1 - flips.value, x, [1 - each for each in y], between)


def _falls(table: Table) -> str:
    row = table.rows[NOISES[0]]
    return (
        f"With σ² = {VARIANCES[0]:g}, {row['distance_closed'].value:.0%} of the answers stay"
        f" with a closed gap and {row['distance_rob'].value:.0%} at the largest gap. The difference"
        " of the two squared distances does not depend on the gap, but the effect of noise on this"
        " difference grows with the gap."
    )


PARTS = (
    Part(
        head="A wide gap makes answers less robust",
        words=(
            "An image has two stored texts, and its answer is the nearer one. The image is at a"
            " distance from the line through both texts: the gap. Noise of variance σ² in each"
            " dimension is added to the texts. Rob, the robustness, is the share of draws of the"
            " noise in which the answer stays the same.",
            _falls,
        ),
        panels=tuple(
            Curves(
                title=f"Answers that stay, {words}",
                trace=f"{kind}_rob",
                xlabel="gap between the image and the texts",
                ylabel="share of answers that stay (Rob)",
                caption="One curve per variance of the noise. Higher is better.",
                limits=(0.5, 1.0),
                zero=False,
            )
            for kind, words in KINDS.items()
        ),
    ),
)
PUBLISHED = (
    *(
        Order(
            claim=f"Closing the gap raises Rob, {words} ({noise})",
            where="Chowers et al. 2026, figure 7, theorem 3.4",
            larger=(noise, f"{kind}_closed"),
            smaller=(noise, f"{kind}_rob"),
        )
        for kind, words in KINDS.items()
        for noise in NOISES
    ),
    *(
        Number(
            claim=f"Rob is that of the {formula}, {KINDS[kind]} ({noise})",
            where="formulas for normal noise",
            against="closed form",
            cell=(noise, f"{kind}_rob"),
            value=(noise, f"{kind}_form"),
            tolerance=0.01,
        )
        for kind, formula in (("distance", "normal form"), ("product", "closed form"))
        for noise in NOISES
    ),
)
flips = Study(card=CARD, plan=plan, run=run, parts=PARTS, published=PUBLISHED, minutes=0.1)
