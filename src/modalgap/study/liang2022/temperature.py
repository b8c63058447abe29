"""The temperature: after fine-tuning at several temperatures, the gap grows with 1/τ.

One trained model is fine-tuned on the same data at 1/τ = 1, 10, 20, 30, 50 and 100. At a low
temperature the loss depends on the hardest pairs only and the modalities stay apart; at a high
temperature they come closer.
Source: Liang et al. 2022, section 4. There CLIP is fine-tuned on 50,000 pairs of COCO. The authors'
code sets the temperature at the start, but leaves it learnable; here it is frozen by default, as in
the text of the paper. ``mode=learnable`` follows the code.
Expected: the distance of means grows with 1/τ.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, one_of, several
from modalgap.embeddings import Pair
from modalgap.encode import load_model
from modalgap.extras import TRAIN
from modalgap.panels import Curves, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.judge import (
    IMAGES,
    classified,
    digits_of,
    embed,
    heads,
    judge,
    logged,
    mad_of,
    share,
    temperature_of,
)
from modalgap.study.plan import Plan, Tuned, Work
from modalgap.study.published import Number, Trend
from modalgap.study.training import training_settings
from modalgap.trace import traced
from modalgap.train import Run, load_config
from modalgap.train.captions import captions_of

OWN = ("data.captions", "data.source", "data.digits", "model", "temperature", "seed")
MODES = ("frozen", "learnable")
SCALES = (1, 10, 20, 30, 50, 100)
STEPS, EVERY = 120, 30
HEADS = {
    **heads("l2m", "rmg"),
    "image_to_text_r1": "image → text R@1",
    "text_to_image_r1": "text → image R@1",
    **heads("accuracy_object", "accuracy_attributes"),
    "scale": "1/τ at the end",
}
CARD = Card(
    name="temperature",
    title="The gap after fine-tuning at several temperatures",
    idea="Fine-tunes one model at several temperatures; measures the gap, retrieval and accuracy.",
    source="Liang et al. 2022, section 4",
    question="Does a low temperature cause the gap?",
    traits=("random",),
)


@checked
def plan(
    *,
    scales: Several[float] = SCALES,
    mode: str = "frozen",
    digits: str | Path | None = None,
    start: Mapping[str, Any] | None = None,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a model, and for each temperature one that is fine-tuned from it.

    Args:
        scales: the values of 1/τ, each from 0.001 to 1000.
        mode: "frozen", or "learnable": then ``scales`` are the values at the first step, as in the
            authors' code.
        digits: folder of the files of MNIST; by default the digits of scikit-learn.
        start: training settings of the first model, as start.KEY=VALUE. By default it is the
            embedded model of other studies: full captions, 450 steps.
        train: training settings of the fine-tuning on top of the configuration "mad" with 120
            steps; as train.KEY=VALUE, for example train.steps=600.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
    """
    found = several("scales", scales, least=1)
    for scale in found:
        at_least("scales", scale, 1e-3, 1e3)
    names = [f"{scale:g}" for scale in found]
    distinct("scales", names)
    one_of("mode", mode, MODES)
    settings = training_settings(train, OWN, digits=digits)
    first = training_settings(start, OWN, "start", digits=digits)
    tuned = {
        name: Tuned(
            start="full",
            config=load_config(
                "mad",
                [
                    f"steps={STEPS}",
                    f"watch.measure={EVERY}",
                    "watch.tensorboard=false",
                    f"data.captions={embedded.CAPTIONS['full']}",
                    *settings,
                    f"temperature.mode={mode}",
                    f"temperature.initial={1 / scale:.9g}",
                    "temperature.lowest=0.001",
                ],
            ),
        )
        for name, scale in zip(names, found, strict=True)
    }
    return Plan(
        settings={"scales": names, "mode": mode, "images": IMAGES},
        models=embedded.models("full", settings=first),
        tuned=tuned,
    )


def run(work: Work) -> Table:
    """Measure the model of each temperature on held-out digits."""
    mad = mad_of(work.runs)
    names = work.settings["scales"]
    rows: dict[str, dict[str, Value]] = {}
    with progress("measuring", len(names)) as advance:
        for name in names:
            trained = work.runs[name]
            captions = captions_of(trained.config.data.captions)
            encoder = load_model(trained.spec)
            pair = embed(trained, mad, captions)
            judged = judge(pair, classified(pair, encoder, captions), temperature_of(encoder))
            rows[name] = {**judged, **retrieval(pair), "scale": Value(encoder.logit_scale or 0.0)}
            rows[name]["l2m"] = _over_steps(trained, judged["l2m"])
            advance(1)
    start = work.runs["full"]
    frozen = work.settings["mode"] == "frozen"
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="1/τ",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"{len(mad.test)} held-out digits of {mad.name}, {IMAGES} images of each; intervals:"
            " 95 %, over held-out digits",
            f"start: the model of full captions, {start.steps} steps, 1/τ ="
            f" {1 / start.last['temperature']:.1f}, distance of means {start.last['l2m']:.3f};"
            f" each row: {work.runs[names[0]].steps} more steps",
            "one run per row: other seeds can differ by more than the intervals",
            "τ is frozen; in the authors' code it is learnable (mode=learnable)"
            if frozen
            else "τ is set before the first step and then learnable, as in the authors' code",
            "R@1: the nearest item has the same digit and the same five attributes",
            "curves over steps: from the log of the run, which has other images of the same digits",
        ],
    )


def _over_steps(trained: Run, value: Value) -> Value:
    return traced(value.value, *logged(trained, "l2m"), value.interval)


def retrieval(pair: Pair) -> dict[str, Value]:
    """R@1 in both directions: whether the nearest item has all factors of the query.

    Args:
        pair: made by ``embed``, with captions that name every factor. Several images have equal
            factors, and their captions the same words in another order; each counts as correct.
    """
    names = sorted(pair.image.factors)
    codes = [np.unique(np.asarray(pair.image.factors[name]), return_inverse=True)[1]
             for name in names]  # fmt: skip
    item: NDArray[np.int64] = np.unique(np.stack(codes, 1), axis=0, return_inverse=True)[1].ravel()
    digit = digits_of(pair)
    x, y = pair.image.unit(), pair.text.unit()
    found = {}
    for name, queries, stored in (("image_to_text", x, y), ("text_to_image", y, x)):
        best = (queries @ stored.T).argmax(1).numpy()
        found[f"{name}_r1"] = share(item[best] == item, digit)
    return found


LABEL = "1/τ"
BARS = "Vertical bars: 95 % intervals."
HIGHER = f"Higher is better. {BARS}"
PARTS = (
    Part(
        head="The gap against 1/τ",
        words=(
            "Each point is a model that is fine-tuned from the same start at another temperature."
            " In the paper, the distance of means of images and texts grows with 1/τ, from 0.24 at"
            " 1/τ = 1 to 1.00 at 1/τ = 100.",
        ),
        panels=(
            Curves(title="The gap", caption=f"0 is a closed gap. {BARS}", xlabel=LABEL, log="x",
                   ylabel="distance of means, RMG",
                   ys={"l2m": "distance of means", "rmg": "RMG"}),
            Curves(title="Retrieval", caption=HIGHER, xlabel=LABEL, ylabel="R@1", log="x",
                   ys={"image_to_text_r1": "image → text", "text_to_image_r1": "text → image"}),
            Curves(title="Accuracy", caption=HIGHER, xlabel=LABEL, ylabel="accuracy", log="x",
                   ys={"accuracy_object": "digit", "accuracy_attributes": "attributes"}),
            Curves(title="The gap during fine-tuning", trace="l2m", xlabel="step",
                   ylabel="distance of means",
                   caption="One line per value of 1/τ. The lines separate as the learning rate"
                   " falls to 0."),
        ),
        columns=2,
    ),
)  # fmt: skip
WHERE = "Liang et al. 2022, section 4"
COCO = {"1": 0.2384, "10": 0.3028, "20": 0.5524, "30": 0.6352, "50": 0.7961, "100": 1.0006}
NEEDS = "50,000 pairs of COCO train2017 and the weights of CLIP ViT-B/16"
PUBLISHED = (
    Trend(
        claim="The distance of means grows with 1/τ",
        where=WHERE,
        published=" → ".join(f"{value:.3f}" for value in COCO.values()),
        column="l2m",
        direction="rises",
        rows=tuple(COCO),
        note="other data and models: only the direction is compared",
    ),
    *(
        Number(
            claim=f"CLIP on COCO at 1/τ = {scale}: the distance of means is {value:g}",
            where=WHERE,
            cell=(f"COCO, {scale}", "l2m"),
            value=value,
            tolerance=0.05,
            needs=NEEDS,
        )
        for scale, value in COCO.items()
    ),
)
temperature = Study(
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
            f"modalgap train coco_temperature -o runs/coco_{scale} --set data.root=/data"
            f" --set epochs=5 --set temperature.initial={1 / scale:.9g}"
            " --set temperature.mode=frozen"
            for scale in SCALES
        ),
    ),
)
