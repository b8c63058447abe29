"""The amended start: training that starts without a gap ends with a smaller gap.

The means of images and texts of an untrained model are far apart. The amended start rotates the
texts onto the images once, before the first step; the ordinary start does not. Nothing else
differs.
Equation: R = UVᵀ from the SVD UΣVᵀ of XᵀY at the start; y ↦ R y during all of training.
Source: Liang et al. 2022, section 4 (three seeds). There the gap ends at .746 instead of 1.299.
Expected: the amended start ends with a smaller gap, and this gap grows during training. It depends
on the training: the convolutional network mad_cnn with a learning rate of 0.003 loses the
difference of the starts within 20 steps, and ends with similar gaps.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.judge import IMAGES, heads, judged_run, logged, mad_of, over_seeds
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order
from modalgap.study.training import training_settings
from modalgap.trace import traced
from modalgap.train import Run, load_config

OWN = ("data.source", "data.digits", "model.amended", "seed")
STARTS = {"ordinary": False, "amended": True}
STEPS, EVERY = 150, 25
RATE, WARMUP = 0.002, 20  # with 0.003 and 3 steps of warm-up, the network does not learn
HEADS = {
    "l2m_start": "distance of means, start",
    "l2m": "distance of means, end",
    "sd_start": "standard deviation over seeds, start",
    "sd": "standard deviation over seeds, end",
    "rmg": "RMG, end",
    **heads("accuracy_object", "accuracy_attributes"),
}
CARD = Card(
    name="amended_start",
    title="The amended start",
    idea="Trains from an ordinary start and from one whose texts are rotated onto the images.",
    source="Liang et al. 2022, section 4",
    question="Does the gap at the start decide the gap at the end?",
    traits=("random",),
)


@checked
def plan(
    *,
    seeds: int = 3,
    digits: str | Path | None = None,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan one model per start and seed.

    Args:
        seeds: runs per start. Intervals are over runs; over held-out digits for one run.
        digits: folder of the files of MNIST; by default the digits of scikit-learn.
        train: training settings on top of the configuration "amended_start" with 150 steps; as
            train.KEY=VALUE, for example train.steps=600.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
    """
    whole("seeds", seeds, 1, 1000)
    settings = training_settings(train, OWN, digits=digits)
    models = {
        f"{start}_seed{seed}": load_config(
            "amended_start",
            [
                f"steps={STEPS}",
                f"optimiser.lr={RATE}",
                f"optimiser.warmup={WARMUP}",
                f"watch.measure={EVERY}",
                "watch.tensorboard=false",
                *settings,
                f"model.amended={str(amended).lower()}",
                f"seed={seed}",
            ],
        )
        for start, amended in STARTS.items()
        for seed in range(seeds)
    }
    return Plan(settings={"seeds": seeds, "images": IMAGES}, models=models)


def run(work: Work) -> Table:
    """Measure all models on held-out digits."""
    mad, seeds = mad_of(work.runs), work.settings["seeds"]
    rows = {}
    with progress("measuring", len(work.runs)) as advance:
        for start in STARTS:
            runs = [work.runs[f"{start}_seed{seed}"] for seed in range(seeds)]
            judged = []
            for each in runs:
                judged.append(judged_run(each, mad))
                advance(1)
            rows[start] = row_of(runs, judged)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="start",
        rows=rows,
        heads={name: head for name, head in HEADS.items() if name in rows["amended"]},
        settings=work.settings,
        notes=[
            f"{len(mad.test)} held-out digits of {mad.name}, {IMAGES} images of each",
            "intervals: 95 %, " + ("over held-out digits" if seeds == 1 else f"over {seeds} runs"),
            f"{next(iter(work.runs.values())).steps} steps; the start and the curves are from the"
            " log of the runs, which has other images of the same digits",
            *(["standard deviation over seeds: divided by the number of runs, not by one less"]
              if seeds > 1 else []),
        ],
    )  # fmt: skip


def row_of(runs: Sequence[Run], judged: Sequence[Mapping[str, Value]]) -> dict[str, Value]:
    """Means over the runs of one start, with the mean curve of the gap over steps."""
    curves = [logged(each, "l2m") for each in runs]
    firsts = [ys[0] for _, ys in curves]
    row = over_seeds([{**each, "l2m_start": Value(first)}
                      for each, first in zip(judged, firsts, strict=True)])  # fmt: skip
    middle = [statistics.fmean(values) for values in zip(*(ys for _, ys in curves), strict=True)]
    row["l2m"] = traced(row["l2m"].value, curves[0][0], middle, row["l2m"].interval)
    if len(runs) > 1:
        row["sd_start"] = Value(statistics.pstdev(firsts))
        row["sd"] = Value(statistics.pstdev([each["l2m"].value for each in judged]))
    return row


PARTS = (
    Part(
        head="Training from a start with a gap and without a gap",
        words=(
            "Before training, each tower of a model maps all of its inputs into a narrow cone, and"
            " the two cones are far apart. The amended start rotates the texts onto the images"
            " once. Training is the same from both starts.",
        ),
        panels=(
            Curves(title="The gap during training", trace="l2m", xlabel="step",
                   ylabel="distance of means",
                   caption="Mean over the runs of each start; 0 is a closed gap."),
            Bars(title="The gap", ys={"l2m_start": "start", "l2m": "end"},
                 xlabel="distance of means",
                 caption="Before and after training. Black lines: 95 % intervals."),
            Bars(title="Accuracy at the end", xlabel="accuracy",
                 ys={"accuracy_object": "digit", "accuracy_attributes": "attributes"},
                 caption="On held-out digits; higher is better. Black lines: 95 % intervals."),
        ),
    ),
)  # fmt: skip
WHERE = "Liang et al. 2022, section 4"
NOTE = "other data and models: only the direction is compared"
NEEDS = "the pairs on which the paper trains from scratch"
PUBLISHED = (
    Order(
        claim="The amended start has a smaller gap before training",
        where=WHERE,
        published="0.039 against 1.189",
        larger=("ordinary", "l2m_start"),
        smaller=("amended", "l2m_start"),
        note=NOTE,
    ),
    Order(
        claim="The amended start ends with a smaller gap",
        where=WHERE,
        published="0.746 against 1.299",
        larger=("ordinary", "l2m"),
        smaller=("amended", "l2m"),
        note=NOTE,
    ),
    Order(
        claim="The gap grows from the amended start",
        where=WHERE,
        published="0.039 → 0.746",
        larger=("amended", "l2m"),
        smaller=("amended", "l2m_start"),
        note=NOTE,
    ),
    Order(
        claim="The gap grows from the ordinary start",
        where=WHERE,
        published="1.189 → 1.299",
        larger=("ordinary", "l2m"),
        smaller=("ordinary", "l2m_start"),
        note=NOTE,
        why="in the small model, 150 steps close part of the gap of the ordinary start (see the"
        " curves)",
    ),
    *(
        Number(
            claim=f"{start.capitalize()} start: the distance of means is {value:g} at the {when}",
            where=WHERE,
            cell=(f"paper, {start}", column),
            value=value,
            tolerance=0.05,
            needs=NEEDS,
        )
        for start, when, column, value in (
            ("amended", "start", "l2m_start", 0.039),
            ("amended", "end", "l2m", 0.746),
            ("ordinary", "start", "l2m_start", 1.189),
            ("ordinary", "end", "l2m", 1.299),
        )
    ),
)
SCRATCH = "--set model.start=null --set model.architecture=ViT-B-16 --set optimiser.lr=0.0005"
amended_start = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=3,
    extras=("train", *TRAIN),
    real=(
        "modalgap data check coco --root /data",
        *(
            f"modalgap train coco_temperature -o runs/{start}_{seed} --set data.root=/data"
            f" {SCRATCH} --set model.amended={str(amended).lower()} --set seed={seed}"
            for start, amended in STARTS.items()
            for seed in range(3)
        ),
    ),
)
