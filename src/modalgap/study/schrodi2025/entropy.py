"""Entropy: fine-tuning on short captions raises it, by the temperature or by the gap.

A model that was trained on full captions is fine-tuned on captions that name fewer attributes. Then
one caption fits many images, and a good model must be less certain. With a learnable temperature, τ
rises. With a frozen temperature, only the embeddings can raise the entropy, and the gap grows.
Equation: H = mean_i H(softmax_j(⟨x_i, y_j⟩ / τ)) over the rows of images, all held-out pairs.
Source: Schrodi et al. 2025, section 6.2 and figure 8.
Expected: both runs reach the same entropy; the gap of the frozen run grows more.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.data.mad import Captions
from modalgap.data.mad.captions import MOST
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.judge import IMAGES, heads, judged_run, logged, mad_of
from modalgap.study.plan import Plan, Tuned, Work
from modalgap.study.published import Number, Order
from modalgap.study.training import training_settings
from modalgap.trace import traced
from modalgap.train import Run, load_config

OWN = ("data.captions", "data.source", "data.digits", "model", "temperature", "seed")
MODES = ("learnable", "frozen")
STEPS, EVERY = 150, 15
CURVES = ("logit_entropy_image", "temperature", "l2m", "rmg")
HEADS = heads(
    "logit_entropy_image", "logit_entropy_text", "temperature", "l2m", "rmg",
    "accuracy_object", "accuracy_attributes",
)  # fmt: skip
CARD = Card(
    name="entropy",
    title="Entropy, temperature and gap on shorter captions",
    idea="Fine-tunes a model of full captions on short ones, with learnable and with frozen τ.",
    source="Schrodi et al. 2025, section 6.2, figure 8",
    question="Does the gap grow to make the model less certain?",
    traits=("random",),
)


@checked
def plan(
    *,
    attributes: int = 1,
    digits: str | Path | None = None,
    start: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a model of full captions, and two that are fine-tuned from it on short captions.

    Args:
        attributes: number of attributes in the short captions; full captions have five.
        digits: folder of the files of MNIST; by default the digits of scikit-learn.
        start: training settings of the model of full captions, as start.KEY=VALUE, for example
            start.steps=600. By default it is the embedded model of other studies: 450 steps.
        train: training settings of the fine-tuning on top of the configuration "mad" with 150
            steps; as train.KEY=VALUE, for example train.steps=600.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
    """
    whole("attributes", attributes, 0, MOST - 1)
    settings = training_settings(train, OWN, digits=digits)
    first = training_settings(start, OWN, "start", digits=digits)
    captions = f"object_attribute_{attributes}" if attributes else "object_only"
    tuned = {
        mode: Tuned(
            start="full",
            config=load_config(
                "mad",
                [
                    f"steps={STEPS}",
                    f"watch.measure={EVERY}",
                    "watch.tensorboard=false",
                    f"data.captions={captions}",
                    *settings,
                    f"temperature.mode={mode}",
                ],
            ),
        )
        for mode in MODES
    }
    return Plan(
        settings={"attributes": attributes, "images": IMAGES},
        models=embedded.models("full", settings=first),
        tuned=tuned,
    )


def run(work: Work) -> Table:
    """Measure the start and both runs on short captions of held-out digits."""
    mad = mad_of(work.runs)
    count = work.settings["attributes"]
    captions = Captions(attributes=count)
    rows = {}
    with progress("measuring", 1 + len(MODES)) as advance:
        for name in ("full", *MODES):
            judged = judged_run(work.runs[name], mad, captions)
            rows["start" if name == "full" else name] = judged
            advance(1)
    for mode in MODES:
        rows[mode] |= with_curves(work.runs[mode], rows[mode])
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="temperature",
        rows=rows,
        heads={name: head for name, head in HEADS.items() if name in rows["start"]},
        settings=work.settings,
        notes=[
            f"{len(mad.test)} held-out digits of {mad.name}, {IMAGES} images of each, with captions"
            f" of the digit and {count} attributes; intervals: 95 %, over held-out digits",
            f"start: the model of full captions, {work.runs['full'].steps} steps; learnable and"
            f" frozen: {work.runs['frozen'].steps} more steps on short captions",
            "one run per row: other seeds can differ by more than the intervals",
            "entropy, in nats: of the softmax over all held-out captions, mean over images (image"
            " to text), and the reverse (text to image)",
            "curves: from the log of the run, which has other images of the same digits",
        ],
    )


def with_curves(trained: Run, judged: Mapping[str, Value]) -> dict[str, Value]:
    """Those of ``judged`` that the log of the run has too, with the curve over steps."""
    return {
        name: traced(value.value, *logged(trained, name), value.interval)
        for name, value in judged.items()
        if name in CURVES
    }


CAPTION = "Both runs start from the model of full captions. Dashed: frozen temperature."
PARTS = (
    Part(
        head="The temperature or the gap raises the entropy",
        words=(
            "The start is a model of full captions. It is fine-tuned on captions that name the"
            " digit and fewer attributes. Then several captions fit an image, and the best"
            " prediction is less certain: its entropy is higher. In the paper, a learnable"
            " temperature rises; with a frozen temperature only the embeddings can change, and the"
            " gap grows more.",
        ),
        panels=(
            Curves(title="Entropy, image to text", caption=CAPTION, trace="logit_entropy_image",
                   xlabel="step", ylabel="entropy (nats)", zero=False, dashed="frozen"),
            Curves(title="Temperature", caption=CAPTION, trace="temperature", xlabel="step",
                   ylabel="τ", zero=False, dashed="frozen"),
            Curves(title="The gap: distance of means", caption=CAPTION, trace="l2m", xlabel="step",
                   ylabel="distance of means", dashed="frozen"),
            Curves(title="The gap: RMG", caption=CAPTION, trace="rmg", xlabel="step", ylabel="RMG",
                   dashed="frozen"),
            Bars(title="The gap at the end", ys={"l2m": "distance of means", "rmg": "RMG"},
                 xlabel="distance of means, RMG",
                 caption="0 is a closed gap. Black lines: 95 % intervals."),
            Bars(title="Accuracy at the end", xlabel="accuracy",
                 ys={"accuracy_object": "digit", "accuracy_attributes": "attributes"},
                 caption="On held-out digits; higher is better. Black lines: 95 % intervals."),
        ),
        columns=2,
    ),
)  # fmt: skip
FIGURE = "Schrodi et al. 2025, figure 8"
NOTE = "other data and models: only the direction is compared"


def _order(claim: str, larger: str, smaller: str, column: str) -> Order:
    return Order(
        claim=claim, where=FIGURE, larger=(larger, column), smaller=(smaller, column), note=NOTE
    )


PUBLISHED = (
    _order("With a learnable τ, the entropy rises", "learnable", "start", "logit_entropy_image"),
    _order("With a frozen τ, the entropy rises", "frozen", "start", "logit_entropy_image"),
    Number(
        claim="The entropy ends at the same value with a learnable and a frozen τ",
        where=FIGURE,
        published="same curve",
        cell=("frozen", "logit_entropy_image"),
        value=("learnable", "logit_entropy_image"),
        tolerance=0.1,
        note="the tolerance was chosen by modalgap",
    ),
    _order("A learnable τ rises", "learnable", "start", "temperature"),
    _order("With a frozen τ, the distance of means grows", "frozen", "start", "l2m"),
    _order("The distance of means grows more with a frozen τ", "frozen", "learnable", "l2m"),
    _order("RMG grows more with a frozen τ", "frozen", "learnable", "rmg"),
)
START = "--set model.start=open_clip:runs/cc12m_rn50_full/model"
entropy = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=2,
    extras=("train", *TRAIN),
    real=(
        "modalgap data check cc12m --root /data",
        "modalgap train cc12m_rn50_full -o runs/cc12m_rn50_full --set data.root=/data",
        *(
            f"modalgap train cc12m_entropy_{mode} -o runs/{mode} --set data.root=/data {START}"
            for mode in MODES
        ),
    ),
)
