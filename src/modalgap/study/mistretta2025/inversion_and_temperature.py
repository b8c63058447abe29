"""Inversion and temperature: OTI helps only if the model has a gap.

One trained model is fine-tuned at τ = 1, which closes the gap, and at τ = 0.01, which widens it; a
third model is fine-tuned at τ = 0.01 with an additional loss within images, as SLIP is trained.
Image queries among images are native, or inverted by OTI.
Source: Mistretta et al. 2025, table 4, and table 3 for SLIP. There: CLIP ViT-B/32 fine-tuned on
COCO.
Expected: without a gap OTI lowers the mAP; with a gap it raises it. With a loss within images it
gains less, since their cosines are trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.data.mad.captions import MOST
from modalgap.extras import TRAIN
from modalgap.invert import invert
from modalgap.measure import measure
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.judge import classified, embed, mad_of
from modalgap.study.mistretta2025.retrieval import (
    PROTOCOL,
    encoder_of,
    evaluate,
    split_pair,
    with_gains,
)
from modalgap.study.plan import Plan, Tuned, Work
from modalgap.study.published import Order
from modalgap.study.training import training_settings
from modalgap.train import load_config
from modalgap.train.captions import captions_of

OWN = ("data.captions", "data.source", "data.digits", "model", "temperature", "seed", "losses")
STEPS = 120  # of the fine-tuning
START = "start"
INTRA = "τ = 0.01, loss within images"
TUNED: Mapping[str, tuple[float, str]] = {  # name: temperature and losses
    "τ = 1": (1.0, "{infonce: 1.0}"),
    "τ = 0.01": (0.01, "{infonce: 1.0}"),
    INTRA: (0.01, "{infonce: 1.0, intra_simclr: 1.0}"),
}
CARD = Card(
    name="inversion_and_temperature",
    title="Inversion after fine-tuning at two temperatures",
    idea="Fine-tunes a model at τ = 1 and τ = 0.01; compares native queries with OTI.",
    source="Mistretta et al. 2025, tables 3 and 4",
    question="Does inversion help if there is no gap?",
    traits=("random",),
)


@checked
def plan(
    *,
    attributes: int = 3,
    steps: int = 150,
    seed: int = 0,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan a model and those that are fine-tuned from it.

    Args:
        attributes: attributes in the captions, from 1 to 5.
        steps: steps of OTI.
        seed: seed of the noise of OTI.
        train: training settings of the fine-tuning on top of the configuration "mad" with 120
            steps; as train.KEY=VALUE, for example train.steps=600.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
    """
    whole("attributes", attributes, 1, MOST)
    whole("steps", steps, 1)
    whole("seed", seed, 0)
    captions = f"data.captions=object_attribute_{attributes}"
    own = [f"steps={STEPS}", "watch.measure=0", "watch.tensorboard=false", captions]
    settings = training_settings(train, OWN)
    tuned = {
        name: Tuned(
            start=START,
            config=load_config(
                "mad",
                [
                    *own,
                    *settings,
                    f"losses={losses}",
                    "temperature.mode=frozen",
                    f"temperature.initial={temperature}",
                ],
            ),
        )
        for name, (temperature, losses) in TUNED.items()
    }
    return Plan(
        settings={"attributes": attributes, "steps": steps, "seed": seed},
        models=embedded.models(START, settings=[captions]),
        tuned=tuned,
    )


def run(work: Work) -> Table:
    """Search with native and with inverted queries, for every model."""
    mad = mad_of(work.runs)
    steps, seed = work.settings["steps"], work.settings["seed"]
    rows: dict[str, dict[str, Value]] = {}
    with progress("inverting", len(work.runs)) as advance:
        for name in (START, *TUNED):
            trained = work.runs[name]
            captions = captions_of(trained.config.data.captions)
            pair, encoder = embed(trained, mad, captions), encoder_of(work, name)
            spoken = [each for each in classified(pair, encoder, captions) if each != "object"]
            queries, gallery = split_pair(pair)
            native = evaluate(queries, gallery, spoken, None)
            made = invert(queries, "oti", encoder, seed=seed, steps=steps)
            found = with_gains(evaluate(made.features, gallery, spoken, None), native)
            before = with_gains(native, native)
            rows[name] = {
                **measure(pair, ("l2m",)).measures,
                "native": before["map_object"],
                "oti": found["map_object"],
                "gain": found["gain_object"],
                "gain_attributes": found["gain_attributes"],
                "cosine": Value(float(made.cosines.mean())),
            }
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="model",
        rows=rows,
        heads={
            "l2m": "distance of means",
            "native": "mAP, native",
            "oti": "mAP, OTI",
            "gain": "gain of mAP",
            "gain_attributes": "gain of mAP, attributes",
            "cosine": "cosine with native",
        },
        settings=work.settings,
        notes=[
            f"mAP by digit: {PROTOCOL}",
            f"captions of the digit and {work.settings['attributes']} attributes; OTI: {steps}"
            " steps of AdamW, one token",
            f"start: 450 steps with a learnable τ; the others: {work.runs['τ = 1'].steps} more"
            " steps with a frozen τ; one run per row",
            "gain: mAP of OTI minus mAP of native queries, on the same digits; intervals: 95 %,"
            " over digits",
        ],
    )


PARTS = (
    Part(
        head="Inversion needs a gap",
        words=(
            "All models are fine-tuned from one model (start). At τ = 1 the gap gets smaller; at"
            " τ = 0.01 it gets wider. OTI replaces the features of image queries by text features,"
            " so that the search compares texts with images, as the loss does. Without a gap this"
            " has no advantage. The loss within images trains the cosine of two images directly, so"
            " OTI should gain less.",
        ),
        panels=(
            Bars(
                title="The gap",
                caption="Distance of the means of the modalities; 0 is a closed gap.",
                ys={"l2m": "distance of means"},
                xlabel="distance of means",
            ),
            Bars(
                title="Retrieval of images by images",
                caption="mAP by digit; higher is better. Black lines: 95 % intervals.",
                ys={"native": "native queries", "oti": "OTI"},
                xlabel="mAP",
            ),
            Bars(
                title="Gain of OTI",
                caption="Above 0, inversion helps. Black lines: 95 % intervals over digits.",
                ys={"gain": "by digit", "gain_attributes": "by attributes"},
                xlabel="gain of mAP",
                references=(Reference(at=0, axis="x"),),
            ),
        ),
    ),
)
WHERE = "Mistretta et al. 2025, table 4"
NOTE = "other data and models: only the direction is compared"
PUBLISHED = (
    Order(
        claim="The gap is smaller after fine-tuning at τ = 1 than at τ = 0.01",
        where=WHERE,
        larger=("τ = 0.01", "l2m"),
        smaller=("τ = 1", "l2m"),
        note=NOTE,
    ),
    Order(
        claim="Without a gap (τ = 1), OTI lowers the mAP",
        where=WHERE,
        published="mAP 27.0 → 24.2 (mean of five data sets)",
        larger=0.0,
        smaller=("τ = 1", "gain"),
        note=f"{NOTE}; the interval of the gain includes 0",
    ),
    Order(
        claim="With a gap (τ = 0.01), OTI raises the mAP",
        where=WHERE,
        published="mAP 39.3 → 40.2 (mean of five data sets)",
        larger=("τ = 0.01", "gain"),
        smaller=0.0,
        note=NOTE,
    ),
    Order(
        claim="OTI gains more with a gap than without one",
        where=WHERE,
        published="+0.9 against −2.8",
        larger=("τ = 0.01", "gain"),
        smaller=("τ = 1", "gain"),
        note=NOTE,
    ),
    Order(
        claim="With a loss within images, OTI gains less",
        where="Mistretta et al. 2025, tables 1 and 3",
        published="SLIP ViT-B/16 35.1 → 35.3, CLIP ViT-B/32 39.2 → 41.2",
        larger=("τ = 0.01", "gain"),
        smaller=(INTRA, "gain"),
        note=NOTE,
    ),
)
inversion_and_temperature = Study(
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
            f"modalgap train coco_temperature -o runs/coco_tau{name} --set data.root=/data --set"
            f" model.start=open_clip:ViT-B-32/openai --set temperature.initial={value} --set"
            " temperature.mode=frozen"
            for name, value in (("1", 1), ("001", 0.01))
        ),
        "# then the commands of the study inversion_data_sets, with these models",
    ),
)
