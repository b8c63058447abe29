"""Closing over models: accuracy and robustness of every model of a zoo, before and after closing.

A class set is a data set with classes. For each model and class set, the study computes the best of
40 shifts along the gap (Liang et al. 2022, table 1), harmful predictions after a shift of the
images (table 2), and accuracy and robustness (Rob) under noise, rounding and rephrasing, with the
open gap and with the gap closed by ``project`` (Chowers et al. 2026, figures 8 to 10, algorithm 1).
The numbers are defined in the studies ``zero_shot_shift``, ``fairness_shift``, ``robustness_shift``
and ``quantised_and_rephrased``, which run on one model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalgap import checks
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.embeddings import Pair
from modalgap.embeddings.store import load_any
from modalgap.encode import load_model
from modalgap.errors import InputError
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table
from modalgap.study import embedded_zoo
from modalgap.study.across_models.closing import (
    GROUP,
    KIND,
    STAYS,
    Row,
    better,
    harm,
    heads,
    numbers,
    rewording,
)
from modalgap.study.base import Study
from modalgap.study.chowers2026.quantised_and_rephrased import PAPER as BINS
from modalgap.study.chowers2026.quantised_and_rephrased import REPHRASED
from modalgap.study.chowers2026.robustness_shift import VARIANCES
from modalgap.study.judge import classified, embed, mad_of
from modalgap.study.liang2022.best_shift import by_digit
from modalgap.study.liang2022.fairness_shift import STAND_INS, stand_ins
from modalgap.study.liang2022.zero_shot_shift import FEWEST
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.train.captions import captions_of
from modalgap.zoo.features import stored

SETS = {"object": "digits", "colour": "colours"}  # embedded class sets
BETWEEN = " | "  # between a model and its data set, as in tables of a zoo
BETTER = "share of models that improve"  # the row of a class set over all models
Extra = Callable[[], Row]  # numbers that only some sets have
CARD = Card(
    name="closing_over_models",
    title="Closing the gap over many models",
    idea="Compares accuracy and robustness of many models before and after closing the gap.",
    source="Liang et al. 2022, tables 1 and 2; Chowers et al. 2026, figures 8 to 10",
    question="Do the effects of closing the gap hold for most models?",
    traits=("random",),
)


@checked
def plan(*, zoo: str | Path = "", explained_variance: float = 1.0, seed: int = 0) -> Plan:
    """Plan the comparison of the models of a zoo.

    Args:
        zoo: a folder made by ``modalgap zoo`` with the features of data sets with classes; by
            default twelve small models trained on MAD.
        explained_variance: the directions V, along which closing moves nothing, explain this
            fraction of the variance of the prompts. 1 preserves every ranking, but needs fewer
            prompts than dimensions.
        seed: seed of halves, noise and intervals.

    Raises:
        OptionError: a value outside its range.
        FileError: the folder has no features.
        InputError: no data set with classes.
    """
    checks.share("explained_variance", explained_variance)
    checks.whole("seed", seed, 0)
    own = {"explained_variance": explained_variance, "seed": seed}
    if not zoo:
        settings, models = embedded_zoo.planned("")
        return Plan(settings=settings | own, models=models)
    prints = {name: pair.fingerprint for name, pair in _stored(Path(zoo)).items()}
    return Plan(settings={"folder": str(zoo), "fingerprints": prints, **own})


def _stored(folder: Path) -> dict[str, Pair]:
    """Model and data set to the pair, of the data sets with classes.

    Raises:
        FileError: the folder has no features.
        InputError: no data set with classes, or too few images.
    """
    found: dict[str, Pair] = {}
    for cell, paths in stored(folder).items():
        pair = load_any(list(paths))
        if not isinstance(pair, Pair) or pair.labels is None or pair.image.n < FEWEST:
            continue
        about = pair.image.provenance
        name = f"{about.get('model', cell)}{BETWEEN}{about.get('data', cell)}"
        found[cell if name in found else name] = pair
    if not found:
        raise InputError(
            f"{folder}: must have features of a data set with classes and {FEWEST} images; found"
            " none"
        )
    return found


def run(work: Work) -> Table:
    """Every model on every class set."""
    settings = work.settings
    rows: dict[str, Row] = {}
    with progress("closing", len(work.runs) or len(settings["fingerprints"])) as advance:
        for name, pair, clusters, extra in _sets(work):
            rows[name] = numbers(pair, clusters, settings)
            for each in extra:
                rows[name] |= each()
            advance(1)
    between = ", " if work.runs else BETWEEN
    for data in dict.fromkeys(name.rpartition(between)[2] for name in rows):
        own = [row for name, row in rows.items() if name.endswith(f"{between}{data}")]
        rows[_all(data)] = better(own)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="model and class set",
        rows=rows,
        heads=heads(),
        settings=settings,
        notes=[
            f"rows “{BETTER}”: the share of models whose number is better with the closed gap than"
            f" with the open one; for accuracies, not worse by more than {STAYS:g}; for α = 2"
            " (moved beyond the closed gap), worse than closed; for the distance of means at the"
            " best shift, larger than without a shift; for the best shift, above 0",
            "best shift: δ > 0 moves images and prompts toward each other",
            "gain of the best shift: the shift is chosen and scored on all images, as in the paper,"
            " so the gain is optimistic; gain on the other half: chosen on one half of the images,"
            " scored on the other",
            "intervals: 95 %",
            "Rob: share of images whose nearest prompt stays the same; closed: by project, which"
            " removes the gap except its part in the principal directions of the prompts; leakage:"
            " the share of this part",
            *(
                [
                    "MAD shows no people, so other prompts take the place of harmful ones: those of"
                    f" {' and '.join(STAND_INS)}"
                ]
                if work.runs
                else []
            ),
        ],
    )


def _all(data: str) -> str:
    """The row over all models; panels of models leave it out."""
    return f"{BETTER} ({data})"


Set = tuple[str, Pair, NDArray[np.int64], list[Extra]]


def _sets(work: Work) -> Iterator[Set]:
    """The name, the pair, the clusters and further numbers of each model and class set."""
    seed = work.settings["seed"]
    if "folder" in work.settings:
        for name, pair in _stored(Path(work.settings["folder"])).items():
            known = KIND in pair.text.factors and GROUP in pair.image.factors
            extra: list[Extra] = [lambda pair=pair: harm(pair, GROUP, seed)] if known else []  # type: ignore[misc]
            yield name, pair, np.arange(pair.image.n), extra
        return
    mad = mad_of(work.runs)
    for model, run in work.runs.items():
        captions, encoder = captions_of(run.config.data.captions), load_model(run.spec)
        found = classified(embed(run, mad, captions), encoder, captions)
        for factor, title in SETS.items():
            if factor not in found:
                continue
            extra = []
            if factor == "object" and set(STAND_INS) <= found.keys():
                extra = [
                    lambda found=found: harm(stand_ins(found, KIND), "colour", seed),  # type: ignore[misc]
                    lambda found=found, encoder=encoder: rewording(  # type: ignore[misc]
                        found["object"], encoder, work.settings
                    ),
                ]
            yield f"{model}, {title}", found[factor], by_digit(found[factor]), extra


# the rows of a panel: text in their names to the title
SHOWN = {**{f", {title}": f": {title}" for title in SETS.values()}, BETWEEN: ""}
PARTS = (
    Part(
        head="The best shift along the gap",
        words=(
            "Images and class prompts of each model are moved along the gap, by 40 shifts. If the"
            " best shift is chosen on the images on which it is scored, its gain cannot be"
            " negative. The gain on the other half of the images tells whether the shift helps on"
            " new images.",
        ),
        panels=tuple(
            Bars(
                title=f"Gain in top-1{title}",
                ys={"paper_gain": "same images", "gain": "other half"},
                xlabel="gain",
                match=match,
                caption="Above 0, the shift helps. Same images: chosen and scored on all images."
                " Other half: chosen on one half, scored on the other. Black lines: 95 %"
                " intervals.",
                references=(Reference(at=0.0, axis="x"),),
            )
            for match, title in SHOWN.items()
        ),
        columns=2,
    ),
    Part(
        head="Robustness with the open and the closed gap",
        words=(
            "Rob is the share of images whose nearest prompt stays the same after a change of the"
            " stored prompts: noise, or rounding to few bins. The gap is closed by project. Without"
            " such a change, project preserves the nearest prompt of every image.",
        ),
        panels=tuple(
            Bars(
                title=f"Rob, {change}{title}",
                ys={f"{column}_open": "open", column: "closed"},
                xlabel="share of answers that stay (Rob)",
                match=match,
                caption="Higher is better.",
                in_figure=column in (f"rob_{VARIANCES[1]:g}", f"bins_{BINS[-1]}"),
            )
            for match, title in SHOWN.items()
            if "colours" not in title
            for column, change in (
                *((f"rob_{variance:g}", f"noise of σ² = {variance:g}") for variance in VARIANCES),
                (f"bins_{BINS[-1]}", f"{BINS[-1]} bins"),
            )
        ),
        columns=2,
    ),
)
NOTE = "other data and models: only the direction is compared"
NEEDS = "the class sets of MAD: run the study without the option zoo"
TABLE1, TABLE2 = ("Liang et al. 2022, table 1", "Liang et al. 2022, table 2")
FIGURE8 = "Chowers et al. 2026, figure 8"
FIGURES = "Chowers et al. 2026, figures 9 and 10"
MOST = 0.5


def _most(
    claim: str, where: str, column: str, why: str = "", sets: Iterable[str] = tuple(SETS.values())
) -> list[Published]:
    """The claim holds for more than half of the models, on each class set."""
    return [
        Order(
            claim=f"In most models, {claim} ({data})",
            where=where,
            larger=(_all(data), column),
            smaller=MOST,
            published="true for the models of the paper",
            note=NOTE,
            needs=NEEDS,
            why=why,
        )
        for data in sets
    ]


FEW = "with so few prompts, this change alters hardly any prediction of these models"
TRAINED = (
    "the models were trained on captions in every order and with every attribute, so rephrasing"
    " costs little"
)
PUBLISHED: list[Published] = [
    *_most("the best of 40 shifts, chosen on the test set, raises top-1", TABLE1, "paper_gain"),
    *(
        Order(
            claim="Fewer models gain from the best shift on the other half of the images than on"
            f" the images on which it was chosen ({data})",
            where="a hypothesis of modalgap; no paper states it",
            against="reference",
            larger=(_all(data), "paper_gain"),
            smaller=(_all(data), "gain"),
            needs=NEEDS,
        )
        for data in SETS.values()
    ),
    *(
        Order(
            claim=f"For some models, the best shift makes the gap {words} ({data})",
            where=TABLE1,
            larger=(_all(data), column),
            smaller=0.0,
            published="wider for three of five data sets, narrower for two",
            note=NOTE,
            needs=NEEDS,
            why="the accuracy of most models hardly depends on the shift, and if several shifts"
            " have the same accuracy, the smallest one counts as the best",
        )
        for data in SETS.values()
        for words, column in (("wider", "best_gap"), ("narrower", "best_shift"))
    ),
    Order(
        claim="In most models, δ = -1 lowers the accuracy with harmful prompts (digits)",
        where=TABLE2,
        larger=MOST,
        smaller=(_all("digits"), "harm_accuracy_far"),
        published="from 0.5817 to 0.408",
        note=NOTE,
        needs=NEEDS,
    ),
    *(
        each
        for variance in VARIANCES
        for each in _most(
            f"closing the gap raises Rob (σ² = {variance:g})",
            FIGURE8,
            f"rob_{variance:g}",
            "in most of these models, most of the gap of the digits is in the principal directions"
            " of the prompts (leakage) and is not closed",
        )
    ),
    *_most("closing the gap does not lower top-1", "Chowers et al. 2026, theorem 3.5", "accuracy"),
    *_most(
        f"Rob falls if the features move beyond the closed gap (σ² = {VARIANCES[0]:g})",
        FIGURE8,
        f"rob_{VARIANCES[0]:g}_beyond",
    ),
    *(
        each
        for count in BINS
        for each in _most(
            f"closing the gap raises Rob under rounding ({count} bins)",
            FIGURES,
            f"bins_{count}",
            FEW,
        )
    ),
    *(
        each
        for kind in REPHRASED
        for each in _most(
            f"rephrasing lowers top-1 less with the closed gap (other {kind})",
            FIGURES,
            f"{kind}_drop",
            TRAINED,
            sets=("digits",),
        )
    ),
]
REAL = (
    "modalgap zoo -m open_clip:ViT-B-16/openai -m open_clip:ViT-L-14/openai"
    " -m open_clip:ViT-B-16-SigLIP/webli -m open_clip:ViT-B-16-quickgelu/metaclip_fullcc"
    " -m open_clip:ViT-B-32/openai -d cifar10 -d cifar100 -d eurosat -d svhn -d fairface -o zoo",
    "modalgap study closing_over_models -o closing_over_models --set zoo=zoo",
)
closing_over_models = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(PUBLISHED),
    minutes=14,
    extras=("train", *TRAIN),
    real=REAL,
)
