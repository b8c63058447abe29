"""Information imbalance: captions that name more attributes lead to a smaller gap and object bias.

Models are trained on MAD with captions that name the digit and k of five attributes, k = 0 … 5, and
measured on held-out digits. Training starts from random weights, with an open gap, or from the
amended start of the study ``amended_start``, with a closed gap.
Source: Schrodi et al. 2025, section 5 and figure 7.
Expected: for k = 1 … 5, ``rmg`` and both ``moad`` fall as k grows. For k = 0 the captions are class
labels, for which this trend is not expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, distinct, one_of, several, whole
from modalgap.data.mad.captions import MOST
from modalgap.errors import OptionError
from modalgap.extras import TRAIN
from modalgap.panels import Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.judge import IMAGES, heads, judged_run, mad_of, over_seeds
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Trend
from modalgap.study.training import training_settings
from modalgap.train import load_config

OWN = (
    "data.captions",
    "data.source",
    "data.digits",
    "model.amended",
    "seed",
)  # training settings of the study
HEADS = heads(
    "rmg", "l2m", "moad_image", "moad_text", "accuracy_object", "accuracy_attributes",
    "temperature", "logit_entropy_image",
)  # fmt: skip
STARTS = ("open", "closed")
CLOSED = ("rmg", "l2m", "moad_image", "moad_text", "accuracy_object", "accuracy_attributes")
CARD = Card(
    name="imbalance",
    title="Information imbalance, gap and object bias",
    idea="Trains models on captions that name 0 to 5 attributes; measures the gap and object bias.",
    source="Schrodi et al. 2025, section 5, figure 7",
    question="Do captions that omit information cause the gap and the object bias?",
    traits=("random",),
)


@checked
def plan(
    *,
    attributes: Several[int] = (0, 1, 2, 3, 4, 5),
    seeds: int = 1,
    starts: Several[str] = ("open",),
    digits: str | Path | None = None,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan one model per number of attributes, start and seed.

    Args:
        attributes: numbers of attributes in captions, each from 0 to 5.
        seeds: runs per number of attributes. Intervals are over held-out digits for one run, over
            runs for several.
        starts: "open", random weights, whose gap is open; and optionally "closed", the amended
            start, which doubles the number of models.
        digits: folder of the files of MNIST; by default the digits of scikit-learn.
        train: training settings on top of the configuration "mad"; as train.KEY=VALUE, for example
            train.steps=600 or train.optimiser.lr=0.002.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
    """
    counts = several("attributes", attributes)
    for count in counts:
        whole("attributes", count, 0, MOST)
    if len(set(counts)) < len(counts) or not counts:
        raise OptionError(f"attributes must be different numbers; got {list(counts)}")
    whole("seeds", seeds, 1, 1000)
    kinds = several("starts", starts)
    for kind in kinds:
        one_of("starts", kind, STARTS)
    distinct("starts", kinds)
    if "open" not in kinds:
        raise OptionError(f"starts must contain open; got {kinds}")
    settings = training_settings(train, OWN, digits=digits)
    models = {
        _name(count, seed, kind): load_config(
            "mad",
            [
                f"data.captions={f'object_attribute_{count}' if count else 'object_only'}",
                "watch.tensorboard=false",
                *settings,
                f"model.amended={'true' if kind == 'closed' else 'false'}",
                f"seed={seed}",
            ],
        )
        for kind in kinds
        for count in counts
        for seed in range(seeds)
    }
    return Plan(
        settings={"attributes": counts, "seeds": seeds, "starts": kinds, "images": IMAGES},
        models=models,
    )


def _name(count: int, seed: int, start: str = "open") -> str:
    return f"k{count}_seed{seed}" + ("_closed" if start == "closed" else "")


def run(work: Work) -> Table:
    """Measure every model on held-out digits."""
    counts, seeds = work.settings["attributes"], work.settings["seeds"]
    mad = mad_of(work.runs)
    judged: dict[str, dict[str, Value]] = {}
    with progress("measuring", len(work.runs)) as advance:
        for name, trained in work.runs.items():
            judged[name] = judged_run(trained, mad)
            advance(1)
    rows = {}
    closed = "closed" in work.settings["starts"]
    for count in counts:
        rows[str(count)] = over_seeds([judged[_name(count, seed)] for seed in range(seeds)])
        if closed:
            found = over_seeds([judged[_name(count, seed, "closed")] for seed in range(seeds)])
            rows[str(count)] |= {f"closed_{key}": found[key] for key in CLOSED if key in found}
    heads = {**HEADS, **{f"closed_{key}": f"{HEADS[key]}, closed start" for key in CLOSED}}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="attributes",
        rows=rows,
        heads={
            name: head for name, head in heads.items() if any(name in row for row in rows.values())
        },
        settings=work.settings,
        notes=[
            f"{len(mad.test)} held-out digits of {mad.name}, {IMAGES} images of each",
            "intervals: 95 %, " + ("over held-out digits" if seeds == 1 else f"over {seeds} runs"),
            *([_starts(work)] if closed else []),
        ],
    )


def _starts(work: Work) -> str:
    """The gap before training of both starts."""
    said = []
    for kind in STARTS:
        found = [
            run.first["l2m"]
            for name, run in work.runs.items()
            if name.endswith("_closed") == (kind == "closed")
        ]
        said.append(f"{kind} {min(found):.3f} to {max(found):.3f}")
    return f"distance of means before training: {', '.join(said)}"


XLABEL = "attributes in the caption"
BARS = "Vertical bars: 95 % intervals."
PARTS = (
    Part(
        head="What captions omit",
        words=(
            "The models differ only in their training captions, which name the digit and 0 to 5 of"
            " its five attributes. In the paper, captions that omit more information about the"
            " image lead to a larger gap and a larger object bias: embeddings are more similar by"
            " object than by attribute. Captions without attributes are class labels, for"
            " which this trend is not expected.",
        ),
        panels=(
            Curves(
                title="The gap",
                caption=f"0 is a closed gap. {BARS}",
                ys={"rmg": "RMG", "l2m": "distance of means"},
                xlabel=XLABEL,
                ylabel="RMG, distance of means",
            ),
            Curves(
                title="Object bias (MOAD)",
                caption=f"Above 0, embeddings are more similar by digit than by attribute. {BARS}",
                ys={"moad_image": "images", "moad_text": "texts"},
                xlabel=XLABEL,
                ylabel="MOAD",
            ),
            Curves(
                title="Accuracy",
                caption=f"Higher is better. {BARS}",
                ys={"accuracy_object": "digit", "accuracy_attributes": "attributes"},
                xlabel=XLABEL,
                ylabel="accuracy",
            ),
            Curves(
                title="The gap, closed start",
                caption=f"At the start, texts are rotated onto images: almost no gap. {BARS}",
                ys={"closed_rmg": "RMG", "closed_l2m": "distance of means"},
                xlabel=XLABEL,
                ylabel="RMG, distance of means",
            ),
            Curves(
                title="Object bias (MOAD), closed start",
                caption=f"Above 0, embeddings are more similar by digit than by attribute. {BARS}",
                ys={"closed_moad_image": "images", "closed_moad_text": "texts"},
                xlabel=XLABEL,
                ylabel="MOAD",
            ),
            Curves(
                title="Accuracy, closed start",
                caption=f"Higher is better. {BARS}",
                ys={
                    "closed_accuracy_object": "digit",
                    "closed_accuracy_attributes": "attributes",
                },
                xlabel=XLABEL,
                ylabel="accuracy",
            ),
        ),
    ),
)
STEPS = ("1", "2", "3", "4", "5")
FIGURE = "Schrodi et al. 2025, figure 7"
NOTE = "other digits and models: only the direction is compared"
PUBLISHED = (
    Trend(
        claim="RMG falls with the number of attributes",
        where=FIGURE,
        column="rmg",
        direction="falls",
        rows=STEPS,
        note=NOTE,
    ),
    Trend(
        claim="The distance of means falls with the number of attributes",
        where=FIGURE,
        column="l2m",
        direction="falls",
        rows=STEPS,
        note=NOTE,
        why="one model per number of attributes: the model of 4 attributes is above that of 3, and"
        " the others fall",
    ),
    Trend(
        claim="The object bias of images falls with the number of attributes",
        where=FIGURE,
        column="moad_image",
        direction="falls",
        rows=STEPS,
        note=NOTE,
    ),
    Trend(
        claim="The object bias of texts falls with the number of attributes",
        where=FIGURE,
        column="moad_text",
        direction="falls",
        rows=STEPS,
        note=NOTE,
    ),
    *(
        Trend(
            claim=f"Closed start: {what} falls with the number of attributes",
            where=FIGURE,
            column=f"closed_{column}",
            direction="falls",
            rows=STEPS,
            note=NOTE,
            needs="models with a closed start (--set starts=open,closed)",
        )
        for column, what in (
            ("rmg", "RMG"),
            ("l2m", "the distance of means"),
            ("moad_image", "the object bias of images"),
            ("moad_text", "the object bias of texts"),
        )
    ),
)
imbalance = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=6,
    extras=("train", *TRAIN),
)
