"""Filtered data: does filtering the training data change the gap and the performance?

Models of open_clip that were trained on CommonPool are compared by the size of the pool and by the
filter that selected the training pairs. By default small models are trained on MAD: a fraction of
the training digits has captions of other digits, which are wrong. A model that is trained on all
digits is the filter: it keeps the digits whose images and captions are most similar. Other models
are trained on these digits, on the same number of random digits, and on the digits with correct
captions, which is the best possible filter. Test digits have correct captions and are not filtered.
All models are trained for the same number of steps.
Source: Schrodi et al. 2025, table 4; the pools and filters: Gadre et al. 2023 (DataComp).
Expected: models trained on filtered data perform better (Gadre et al. 2023). The numbers of table 4
are unknown; that the gap is smaller too is a hypothesis of modalgap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import at_least, whole
from modalgap.encode import load_model
from modalgap.errors import InputError
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part
from modalgap.result import Table, Value
from modalgap.study import embedded, embedded_zoo
from modalgap.study.base import Study
from modalgap.study.embedded_zoo import TOP1
from modalgap.study.judge import IMAGES, classified, embed
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.study.schrodi2025.pools import Pool, make_pool, similarity
from modalgap.study.training import train_all, training_settings
from modalgap.train import Config, load_config
from modalgap.train.captions import captions_of
from modalgap.zoo import Zoo
from modalgap.zoo.cell import Settings, numbers

OWN = ("data", "seed", "model.start", "epochs")  # training settings of the study
STEPS = 200
MEASURES = {"rmg": "RMG", "l2m": "distance of means"}
PERFORMANCE = {
    "retrieval.image_to_text_r1": "R@1, image to text",
    "retrieval.text_to_image_r1": "R@1, text to image",
    TOP1: "top-1",
}
POOL = re.compile(r"(commonpool|datacomp)_(xl|[sml])(?:_(basic|text|image|laion|clip))?_s[0-9]")
SIZES = ("s", "m", "l", "xl")
NONE, RANDOM, MODEL, TRUE = "none", "random", "model", "right captions"
FILTERS = (NONE, "basic", "text", "image", "laion", "clip", "datacomp")
CARD = Card(
    name="filtered_data",
    title="Gap and performance after filtering the training data",
    idea="Compares models trained on one pool of pairs that different filters select from.",
    source="Schrodi et al. 2025, table 4",
    question="Does filtering the training data change the gap and the performance?",
    traits=("random",),
)


@checked
def plan(
    *,
    zoo: str | Path = "",
    wrong: float = 0.5,
    kept: float = 0.5,
    seed: int = 0,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan the models.

    Args:
        zoo: a folder made by ``modalgap zoo`` with models of CommonPool; by default small models
            are trained on MAD.
        wrong: for MAD, fraction of the training digits that get the captions of other digits.
        kept: for MAD, fraction of the training digits that a filter keeps.
        seed: seed of the wrong captions, the random filter and the models.
        train: training settings on top of the configuration "mad" with 200 steps; as
            train.KEY=VALUE, for example train.steps=600.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
        FileError: the folder has no results of a zoo.
    """
    at_least("wrong", wrong, 0, 0.9)
    at_least("kept", kept, 0.2, 1)
    whole("seed", seed, 0, 2**31 - 1)
    settings = training_settings(train, OWN)
    if zoo:
        found, _ = embedded_zoo.planned(zoo)
        return Plan(settings=found)
    own = {"wrong": wrong, "kept": kept, "seed": seed, "train": settings, "images": IMAGES}
    return Plan(settings=own)


def run(work: Work) -> Table:
    """The performance and the gap of every model."""
    if "folder" in work.settings:
        zoo = Zoo.read(work.settings["folder"])
        rows = _of_zoo(zoo)
        notes = ["a row: the model of this pool and filter, or the mean of several such models"]
    else:
        rows = _of_mad(work)
        notes = [
            f"training digits: {NONE}, all; {RANDOM}, a random sample; {MODEL}, those whose images"
            f" and captions are most similar by the model trained on all; {TRUE}, those with"
            " correct captions",
            "right captions: fraction of the training digits with correct captions",
            "intervals: 95 %, over held-out images and captions",
        ]
    known = {name for row in rows.values() for name in row}
    heads = {**PERFORMANCE, **MEASURES, "right": "right captions", "pairs": "training digits"}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="pool and filter",
        rows=rows,
        heads={name: head for name, head in heads.items() if name in known},
        settings=work.settings,
        notes=notes,
    )


def _of_zoo(zoo: Zoo) -> dict[str, dict[str, Value]]:
    """One row for each data set, size of the pool and filter.

    Raises:
        InputError: the zoo has no model of CommonPool with a measure of the gap or performance.
    """
    rows: dict[str, dict[str, Value]] = {}
    for data in zoo.data:
        for size in SIZES:
            for name in FILTERS:
                cells = [
                    sets[data]
                    for model, sets in zoo.values.items()
                    if data in sets and pool_of(model) == (size, name)
                ]
                row = {
                    number: _mean([cell[number] for cell in cells if number in cell])
                    for number in (*PERFORMANCE, *MEASURES)
                    if any(number in cell for cell in cells)
                }
                if row:
                    rows[f"{data}, {size}, {name}"] = row
    if not rows:
        raise InputError(
            "zoo must have models of CommonPool with rmg, l2m, R@1 or top-1, such as"
            " open_clip:ViT-B-32/commonpool_m_clip_s128m_b4k; found none"
        )
    return rows


def pool_of(model: str) -> tuple[str, str] | None:
    """Size of the pool and filter, from the name of a model of open_clip; None for others."""
    found = POOL.match(model.rpartition("/")[2])
    if found is None:
        return None
    kind, size, name = found.groups()
    return size, "datacomp" if kind == "datacomp" else name or NONE


def _mean(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else Value(float(np.mean([v.value for v in values])))


def _of_mad(work: Work) -> dict[str, dict[str, Value]]:
    """Train the filter, then the models of filtered data, and measure all on held-out digits."""
    settings, folder = work.settings, work.folder / "pools"
    folder.mkdir(parents=True, exist_ok=True)
    pool = make_pool(settings["wrong"], settings["seed"])
    every = pool.right.train
    count = round(settings["kept"] * len(every))
    random = np.random.default_rng((settings["seed"], 1))
    chosen = {
        NONE: every,
        RANDOM: np.sort(random.permutation(every)[:count]),
        TRUE: every[~pool.wrong[every]],
    }
    for name, rows in chosen.items():
        pool.write(folder / name, rows)
    runs = train_all(
        {name: _config(folder / name, settings) for name in chosen},
        work.folder / "runs",
        jobs=work.jobs,
    )
    captions = captions_of(runs[NONE].config.data.captions)
    scores = similarity(folder / NONE, runs[NONE], captions)
    chosen[MODEL] = np.sort(every[np.argsort(-scores, kind="stable")[:count]])
    pool.write(folder / MODEL, chosen[MODEL])
    last = {MODEL: _config(folder / MODEL, settings)}
    runs |= train_all(last, work.folder / "runs", jobs=work.jobs)
    return {
        f"MAD, {name}": _judged(pool, chosen[name], runs[name])
        for name in (NONE, RANDOM, MODEL, TRUE)
    }


def _config(folder: Path, settings: Mapping[str, Any]) -> Config:
    return load_config(
        "mad",
        [
            f"steps={STEPS}",
            "watch.measure=0",
            "watch.tensorboard=false",
            *settings["train"],
            f"data.captions={embedded.CAPTIONS['short']}",
            f'data.source="{folder.resolve()}"',
            f"seed={settings['seed']}",
        ],
    )


def _judged(pool: Pool, rows: Any, run: Any) -> dict[str, Value]:
    captions = captions_of(run.config.data.captions)
    pair = embed(run, pool.right, captions)
    classes = classified(pair, load_model(run.spec), captions)
    found = numbers(pair, Settings(measures=tuple(MEASURES), tasks=("retrieval",)))
    row = {name: found[name] for name in (*PERFORMANCE, *MEASURES) if name in found}
    return row | {
        TOP1: evaluate(classes["object"], "zero_shot")[TOP1],
        "right": Value(float((~pool.wrong[rows]).mean())),
        "pairs": Value(float(len(rows))),
    }


PARTS = (
    Part(
        head="Filters",
        words=(
            "Each row is a model. Its name contains the pool of training pairs and the filter that"
            " selected from it; none is the whole pool. On MAD, part of the captions in the pool"
            " are wrong.",
        ),
        panels=(
            Bars(
                title="Performance",
                caption="Higher is better. Black lines: 95 % intervals.",
                ys={TOP1: "top-1", "retrieval.image_to_text_r1": "R@1, image to text"},
                xlabel="top-1, R@1",
            ),
            Bars(
                title="Gap",
                caption="0 is a closed gap. Black lines: 95 % intervals.",
                ys=MEASURES,
                xlabel="RMG, distance of means",
            ),
        ),
    ),
)
EXPECTED, DATACOMP = "a hypothesis of modalgap; no paper states it", "Gadre et al. 2023, table 3"
SAME = "the expected direction is that of Gadre et al. 2023, table 3, for the same models"
OTHER = "models trained on MAD: only the direction is compared"


def _published() -> list[Published]:
    result: list[Published] = []
    needs = "a zoo of the models of CommonPool: see the commands on its page"
    for data, number in (("coco", "retrieval.image_to_text_r1"), ("imagenet", TOP1)):
        known = data == "imagenet"
        result += [
            Order(
                claim=f"The CLIP filter improves {PERFORMANCE[number]}: {data}, pool {size}",
                where=CARD.source if known else EXPECTED,
                against="paper" if known else "reference",
                larger=(f"{data}, {size}, clip", number),
                smaller=(f"{data}, {size}, {NONE}", number),
                needs=needs,
                note=SAME if known else "",
            )
            for size in SIZES
        ]
    for other, words in ((NONE, "all digits"), (RANDOM, "the same number of random digits")):
        result += [
            Order(
                claim=f"A model trained on filtered data has a higher top-1 than one of {words}:"
                " MAD",
                where=DATACOMP,
                larger=(f"MAD, {MODEL}", TOP1),
                smaller=(f"MAD, {other}", TOP1),
                note=OTHER,
            ),
            Order(
                claim=f"A model trained on filtered data has a smaller RMG than one of {words}:"
                " MAD",
                where=EXPECTED,
                against="reference",
                larger=(f"MAD, {other}", "rmg"),
                smaller=(f"MAD, {MODEL}", "rmg"),
            ),
        ]
    result.append(
        Order(
            claim="The model filter keeps a larger fraction of correct captions than a random"
            " sample: MAD",
            where=EXPECTED,
            against="reference",
            larger=(f"MAD, {MODEL}", "right"),
            smaller=(f"MAD, {RANDOM}", "right"),
        )
    )
    return result


filtered_data = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=3,
    extras=("train", *TRAIN),
    real=(
        "modalgap zoo -m 'open_clip:ViT-*/commonpool_*' -m 'open_clip:ViT-*/datacomp_*' -d coco"
        " -d imagenet -o zoo --measures l2m,rmg --disk 20",
        "modalgap study filtered_data -o filtered_data --set zoo=zoo",
    ),
)
