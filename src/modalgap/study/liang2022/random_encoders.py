"""Random encoders with different seeds embed the same inputs in different cones.

Small untrained encoders of several architectures embed real inputs and noise. Each seed is a
cluster; the clusters are measured, and shown in the coordinates of a joint PCA (not UMAP).
Source: Liang et al. 2022, section 2.3 and figure 2c.
Expected: one cluster per seed for every encoder, on real inputs and on noise, and a step in the
spectrum of the joint PCA after component (seeds − 1).
"""

from __future__ import annotations

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.panels import Curves, Part, Scatter
from modalgap.result import Table, Value
from modalgap.simulate import random_encoders as simulation
from modalgap.study.base import Study
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published

ENCODERS = {
    "mlp": "MLP",
    "clip_image": "CLIP image",
    "clip_text": "CLIP text",
    "resnet": "ResNet",
}
INPUTS = ("real", "noise")
HEADS = {
    "silhouette": "silhouette",
    "probe": "accuracy of a linear probe for the seed",
    "within": "mean cosine, one seed",
    "between": "mean cosine, two seeds",
    "variance": "share of variance between seeds",
    "step_at": "largest step after component",
    "step": "ratio of that step",
}
CARD = Card(
    name="random_encoders",
    title="Random encoders have different cones",
    idea="Embeds the same inputs by encoders with different seeds; measures how these separate.",
    source="Liang et al. 2022, section 2.3, figure 2c",
    question="Do two encoders start with a gap only because their weights differ?",
    traits=("random",),
)


@checked
def plan(*, n: int = 150, seeds: int = 8, seed: int = 0) -> Plan:
    """Plan the encoders.

    Args:
        n: number of inputs.
        seeds: encoders of each architecture. The paper draws 25.
        seed: seed of the inputs and of the first encoder.

    Raises:
        OptionError: a value outside its range.
    """
    whole("n", n, 4, 1797)
    whole("seeds", seeds, 2, 1000)
    whole("seed", seed, 0, 2**31)
    return Plan(settings={"n": n, "seeds": seeds, "seed": seed})


def run(work: Work) -> Table:
    """Simulate every encoder on real inputs and on noise."""
    summaries: dict[str, dict[str, Value]] = {}
    places: dict[str, dict[str, Value]] = {}
    for encoder, title in ENCODERS.items():
        for inputs in INPUTS:
            table = simulation(encoder=encoder, inputs=inputs, **work.settings)
            for row, values in table.rows.items():
                if row == "all seeds":
                    clusters = Value(float(work.settings["seeds"] - 1))
                    summaries[f"{title}, {inputs}"] = {**values, "clusters": clusters}
                elif inputs == "real":
                    places[f"{title}, {row}"] = dict(values)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="encoder",
        rows=summaries | places,
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"{work.settings['n']:,} inputs, {work.settings['seeds']} seeds of each encoder",
            "real: digits of scikit-learn, captions of MAD; noise: N(0, I), random tokens",
            "probe: a linear classifier of the seed, on held-out inputs; the chance level is"
            " 1 / number of seeds",
            f"{work.settings['seeds']} clusters span {work.settings['seeds'] - 1} directions",
        ],
    )


STEP = "One curve per encoder. Look for a step after component (seeds − 1)."
PARTS = (
    Part(
        head="One cluster per seed",
        words=(
            "Untrained encoders of one architecture embed the same inputs. They differ in the seed"
            " of their weights only. Each colour is one seed.",
        ),
        panels=tuple(
            Scatter(
                title=title,
                caption="Real inputs in the first two components of the joint PCA; separate clouds"
                " are separate cones.",
                trace="place",
                match=f"{title}, ",
                xlabel="component 1",
                ylabel="component 2",
            )
            for title in ENCODERS.values()
        ),
        columns=2,
    ),
    Part(
        head="The spectrum",
        words=(
            "The centres of s clusters span s − 1 directions. If encoders differ more than inputs,"
            " the share of variance falls sharply after component s − 1.",
        ),
        panels=(
            Curves(title="Real inputs", trace="spectrum", match=", real", xlabel="component",
                   ylabel="share of variance", log="y", caption=STEP),
            Curves(title="Noise", trace="spectrum", match=", noise", xlabel="component",
                   ylabel="share of variance", log="y", caption=STEP),
        ),
        columns=2,
    ),
)  # fmt: skip
FIGURE = "Liang et al. 2022, figure 2c"
NOTE = "other encoders and inputs: only the direction is compared"
ROWS = tuple(f"{title}, {inputs}" for title in ENCODERS.values() for inputs in INPUTS)
PUBLISHED: tuple[Published, ...] = (
    *(
        Order(
            claim=f"{row}: seeds are separate clusters (accuracy of the probe above .95)",
            where=FIGURE,
            larger=(row, "probe"),
            smaller=0.95,
            note=NOTE,
        )
        for row in ROWS
    ),
    *(
        Number(
            claim=f"{row}: the spectrum has its largest step after component (seeds − 1)",
            where=FIGURE,
            cell=(row, "step_at"),
            value=(row, "clusters"),
            tolerance=0.5,
            note=NOTE,
        )
        for row in ROWS
    ),
    Number(
        claim="25 CLIP image towers: the variance falls by a factor of 2.13 after component 24",
        where=FIGURE,
        cell=("CLIP B/32 image, 5,000 of COCO", "step"),
        value=(49.8 / 34.1) ** 2,
        tolerance=0.15,
        published="singular values 49.8 → 34.1",
        needs="25 untrained towers of CLIP B/32 and 5,000 images of COCO",
    ),
)
random_encoders = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=1.5,
    extras=("models", "open_clip", "torchvision"),
)
