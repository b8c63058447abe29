"""Gap and gain: do models with a larger gap gain more from centring or standardised scores?

The study computes, for each model of a zoo, the gain of a correction in mixed search (NDCG@10) and
in retrieval across modalities (R@1), and Kendall's τ over models between the gain and the size of
the gap. Mixed search has one index of images, texts and documents of both.
Source: modalgap's own question; standardised scores: arXiv 2511.22141.
Expected: mixed search gains more if the gap is larger; R@1 across modalities hardly changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.errors import InputError
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference, Scatter
from modalgap.result import Table, Value
from modalgap.study import embedded_zoo
from modalgap.study.base import Study
from modalgap.study.correlation import LEAST, NOTE, tau
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.trace import traced
from modalgap.zoo import Zoo

SIDES = {"text": "text queries", "image": "image queries"}
CARD = Card(
    name="gap_and_gain",
    title="Does a correction help more if the gap is larger?",
    idea="Correlates the gap of many models with the gains of centring and of standardised scores.",
    source="modalgap's own question",
    question="Do models with a larger gap gain more from centring or standardised scores?",
    traits=("random",),
)


@dataclass(frozen=True)
class Gain:
    """The difference of two numbers of a cell.

    Attributes:
        title: the correction and the task.
        before: the number without the correction.
        after: the number with it.
    """

    title: str
    before: str
    after: str


def _gains() -> list[Gain]:
    found = []
    for side, words in SIDES.items():
        mixed = f"mixed.{side}_ndcg10"
        found += [
            Gain(f"standardised scores, mixed search, {words}", mixed, f"{mixed}_zscore"),
            Gain(f"centring, mixed search, {words}", mixed, f"center.{mixed}"),
        ]
    for a, b in (("image", "text"), ("text", "image")):
        number = f"retrieval.{a}_to_{b}_r1"
        found.append(Gain(f"centring, R@1, {a} to {b}", number, f"center.{number}"))
    return found


@checked
def plan(*, zoo: str | Path = "", emoji: bool = False) -> Plan:
    """Plan the comparison of the models of a zoo.

    Args:
        zoo: a folder made by ``modalgap zoo --tasks retrieval,mixed --closers center``; by default
            twelve small models trained on MAD.
        emoji: whether to add seven models that are trained on the data set emoji.

    Raises:
        OptionError: emoji is given with a zoo.
        MissingData: the data set emoji is not there.
        FileError: the folder has no results of a zoo.
    """
    settings, models = embedded_zoo.planned(zoo, emoji=emoji)
    return Plan(settings=settings, models=models)


def run(work: Work) -> Table:
    """The gain of each correction, and its correlation with the gap."""
    zoo = embedded_zoo.zoo_of(work)
    rows = {
        gain.title if data == embedded_zoo.PAIRS else f"{data}, {gain.title}": row
        for data in zoo.data
        for gain in _gains()
        if (row := _row(zoo, data, gain))
    }
    if not rows:
        raise InputError(
            f"zoo must have at least {LEAST} models with the tasks retrieval or mixed and the"
            " closer center; found fewer: modalgap zoo --tasks retrieval,mixed --closers center"
        )
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="correction and task",
        rows=rows,
        heads={
            "models": "models",
            "before": "mean before",
            "gain": "mean gain",
            "tau": "τ of RMG and gain",
            "p": "p",
            "tau_before": "τ of score before and gain",
        },
        settings=work.settings,
        notes=[
            "before, gain: NDCG@10 for mixed search, R@1 for retrieval across modalities; mean over"
            " models; the interval of the gain is its smallest and its largest value",
            NOTE,
            "the corrections are fitted on the embeddings on which they are evaluated",
        ],
    )


def _row(zoo: Zoo, data: str, gain: Gain) -> dict[str, Value]:
    """Empty if fewer than four models have the numbers."""
    cells = zoo.having(data, "rmg", gain.before, gain.after)
    if len(cells) < LEAST:
        return {}
    gaps = [cell["rmg"].value for cell in cells.values()]
    before = [cell[gain.before].value for cell in cells.values()]
    gains = [cell[gain.after].value - cell[gain.before].value for cell in cells.values()]
    with_gap = tau(gaps, gains)
    return {
        "models": Value(float(len(cells))),
        "before": Value(float(np.mean(before))),
        "gain": traced(float(np.mean(gains)), gaps, gains, (min(gains), max(gains))),
        "tau": with_gap,
        "p": Value(with_gap.details["p"]),
        "tau_before": tau(before, gains),
    }


PARTS = (
    Part(
        head="Gain against gap",
        words=(
            "Each point is a model. The gap is measured before the correction; a gain above 0 means"
            " that the correction helps. A τ above 0 means that models with a larger gap gain"
            " more.",
        ),
        panels=(
            Scatter(
                title="Mixed search",
                caption="Gain of NDCG@10 in one index of images, texts and documents of both.",
                trace="gain",
                match="mixed search",
                xlabel="RMG",
                ylabel="gain of NDCG@10",
                references=(Reference(at=0),),
            ),
            Scatter(
                title="Retrieval across modalities",
                caption="Gain of R@1, from images to texts and from texts to images.",
                trace="gain",
                match="R@1",
                xlabel="RMG",
                ylabel="gain of R@1",
                references=(Reference(at=0),),
            ),
            Bars(
                title="Rank correlation with the gain",
                caption="Kendall's τ; black lines: 95 % intervals over models.",
                ys={"tau": "gain and RMG", "tau_before": "gain and score before"},
                xlabel="τ",
                references=(Reference(at=0, axis="x"),),
            ),
        ),
    ),
)


def _published() -> list[Published]:
    return [
        Order(
            claim=f"Models with a larger gap gain more in mixed search: {words}, {correction}",
            where="a hypothesis of modalgap; no paper states it",
            against="reference",
            larger=(f"{correction}, mixed search, {words}", "tau"),
            smaller=0.0,
        )
        for correction in ("standardised scores", "centring")
        for words in SIDES.values()
    ]


gap_and_gain = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=12,
    extras=("train", *TRAIN),
    real=(
        "modalgap zoo -m 'open_clip:ViT-*/*' -d coco -d flickr30k -o zoo --measures rmg"
        " --tasks retrieval,mixed --closers center --disk 20",
        "modalgap study gap_and_gain -o gap_and_gain --set zoo=zoo",
    ),
)
