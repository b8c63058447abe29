"""Gap and retrieval: does the size of the gap predict how well a model retrieves?

The study computes Kendall's τ over the models of a zoo between a measure of the gap and R@1, and
the partial τ with a confounder held fixed: the number of parameters, the amount of training data,
or the number of samples seen in training.
Source: a question of users, mteb issue 5359; partial τ: Kendall 1942.
Expected: the partial τ, with the size of models or data held fixed, is small.
"""

from __future__ import annotations

from pathlib import Path

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.errors import InputError
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference, Scatter
from modalgap.result import Table, Value
from modalgap.study import embedded_zoo
from modalgap.study.base import Study
from modalgap.study.correlation import LEAST, NOTE, partial, tau
from modalgap.study.plan import Plan, Work
from modalgap.zoo import Zoo

GAPS = {"rmg": "RMG", "l2m": "distance of means", "matched_cosine": "cosine of a match"}
R1 = {
    "retrieval.image_to_text_r1": "image to text",
    "retrieval.text_to_image_r1": "text to image",
}
CONFOUNDERS = {
    "parameters": "parameters",
    "training_pairs": "training pairs",
    "samples_seen": "samples seen",
}
CARD = Card(
    name="gap_and_retrieval",
    title="Does the size of the gap predict retrieval?",
    idea="Correlates the gap of many models with R@1, with confounders held fixed.",
    source="a question of users, mteb issue 5359",
    question="Can I choose a model for retrieval by the size of its gap?",
    traits=("random",),
)


@checked
def plan(*, zoo: str | Path = "", emoji: bool = False) -> Plan:
    """Plan the comparison of the models of a zoo.

    Args:
        zoo: a folder made by ``modalgap zoo``; by default twelve small models trained on MAD.
        emoji: whether to add seven models that are trained on the data set emoji.

    Raises:
        OptionError: emoji is given with a zoo.
        MissingData: the data set emoji is not there.
        FileError: the folder has no results of a zoo.
    """
    settings, models = embedded_zoo.planned(zoo, emoji=emoji)
    return Plan(settings=settings, models=models)


def run(work: Work) -> Table:
    """Correlate each measure of the gap with R@1 on the same data."""
    zoo = embedded_zoo.zoo_of(work)
    rows = {
        f"{data}, {words}: {head}": row
        for data in zoo.data
        for number, words in R1.items()
        for gap, head in GAPS.items()
        if (row := _row(zoo, data, gap, number))
    }
    if not rows:
        raise InputError(
            f"zoo must have at least {LEAST} models with a measure of the gap and the task"
            " retrieval on the same data; found fewer"
        )
    known = {name for row in rows.values() for name in row}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="data, direction: gap",
        rows=rows,
        heads={
            "models": "models",
            "tau": "τ with R@1",
            "p": "p",
            **{n: f"partial τ, {head} fixed" for n, head in CONFOUNDERS.items() if n in known},
        },
        settings=work.settings,
        notes=[
            NOTE,
            "partial τ: Kendall's partial τ, which removes the influence of one confounder",
            "larger RMG and distance of means: larger gap; larger cosine of a match: smaller gap",
        ],
    )


def _row(zoo: Zoo, data: str, gap: str, number: str) -> dict[str, Value]:
    """Empty if fewer than four models have both numbers."""
    cells = zoo.having(data, gap, number)
    if len(cells) < LEAST:
        return {}
    x = {model: cell[gap].value for model, cell in cells.items()}
    y = {model: cell[number].value for model, cell in cells.items()}
    found = tau(list(x.values()), list(y.values()))
    row = {"models": Value(float(len(cells))), "tau": found, "p": Value(found.details["p"])}
    for fact in CONFOUNDERS:
        z = {m: float(zoo.models[m][fact]) for m in cells if fact in zoo.models[m]}
        if len(z) >= LEAST and len(set(z.values())) > 1:
            row[fact] = partial([x[m] for m in z], [y[m] for m in z], list(z.values()))
    return row


PARTS = (
    Part(
        head="The gap and retrieval",
        words=(
            "Each point is a model. τ is the rank correlation over models between a measure of the"
            " gap and R@1. If τ is near 0, or its interval contains 0, the gap does not predict"
            " which of these models retrieves better. A partial τ near 0 means that the confounder,"
            " such as the number of parameters, explains the correlation.",
        ),
        panels=(
            Bars(
                title="Rank correlation with R@1",
                caption="Kendall's τ, and partial τ with a confounder held fixed. Black lines: 95 %"
                " intervals over models.",
                ys={"tau": "τ", **{n: f"{head} fixed" for n, head in CONFOUNDERS.items()}},
                xlabel="τ",
                references=(Reference(at=0, axis="x"),),
            ),
            Scatter(
                title="Each model",
                caption="RMG and R@1 of each model.",
                trace="tau",
                match="RMG",
                xlabel="RMG",
                ylabel="R@1",
            ),
        ),
    ),
)


gap_and_retrieval = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    minutes=12,
    extras=("train", *TRAIN),
    real=(
        "modalgap zoo -m 'open_clip:*' -d coco -d flickr30k -o zoo"
        " --measures rmg,l2m,matched_cosine --tasks retrieval --disk 20",
        "modalgap study gap_and_retrieval -o gap_and_retrieval --set zoo=zoo",
    ),
)
