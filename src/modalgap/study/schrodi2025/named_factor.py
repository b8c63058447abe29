"""The named factor: embeddings are most similar by the factor that captions always name.

Captions usually name the object and often omit attributes. Here models are trained on MAD with
captions that always name one factor, for instance the colour, and one of the five other factors at
random. For each model, MOAD is computed with each factor in the role of the object.
Source: Schrodi et al. 2025, section 5 and figure 6.
Expected: the object bias is not about objects. In each model the factor that is always named has
the largest MOAD, if the model recognises it at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, several, whole
from modalgap.data.mad import FACTORS, Captions, Mad
from modalgap.data.mad.captions import MOST
from modalgap.embeddings import Pair
from modalgap.encode import load_model
from modalgap.errors import OptionError, quoted
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Bars, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.judge import IMAGES, classified, embed, judge, mad_of, temperature_of
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order, Published
from modalgap.study.training import training_settings
from modalgap.train import Run, load_config
from modalgap.train.captions import captions_of

OWN = ("data.captions", "data.source", "data.digits", "seed")  # training settings of the study
FIVE = ("digit", "colour", "thickness", "scale", "swelling")
SIDES = {"image": "images", "text": "texts"}
STEPS = 200
CARD = Card(
    name="named_factor",
    title="Bias towards the factor that captions always name",
    idea="Trains one model per factor that captions always name; measures the bias by factor.",
    source="Schrodi et al. 2025, section 5, figure 6",
    question="Is the object bias a bias towards objects, or towards what captions name?",
    traits=("random",),
)


@checked
def plan(
    *,
    factors: Several[str] = FIVE,
    attributes: int = 1,
    digits: str | Path | None = None,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan one model for each factor that captions always name.

    Args:
        factors: the factors, one model each: digit, colour, thickness, swelling, fracture, scale.
        attributes: number of other factors in each caption, drawn at random.
        digits: folder of the files of MNIST; by default the digits of scikit-learn.
        train: training settings on top of the configuration "mad" with 200 steps; as
            train.KEY=VALUE, for example train.steps=600.

    Raises:
        OptionError: a value outside its range, or a training setting that the study sets itself.
    """
    names = several("factors", factors)
    for name in names:
        if not isinstance(name, str):
            raise OptionError(f"factors must be names of factors; got {quoted(name)}")
        if name not in FACTORS:
            raise OptionError.unknown("factor", name, FACTORS)
    if len(set(names)) < len(names) or not names:
        raise OptionError(f"factors must be different names; got {names}")
    whole("attributes", attributes, 0, MOST)
    settings = training_settings(train, OWN, digits=digits)
    models = {
        name: load_config(
            "mad",
            [
                f"steps={STEPS}",
                f"data.captions={{object: {name}, attributes: {attributes}}}",
                "watch.measure=0",
                "watch.tensorboard=false",
                *settings,
                "seed=0",
            ],
        )
        for name in names
    }
    return Plan(
        settings={"factors": names, "attributes": attributes, "images": IMAGES}, models=models
    )


def run(work: Work) -> Table:
    """Measure the bias towards every factor in every model."""
    mad = mad_of(work.runs)
    rows = {}
    with progress("measuring", len(work.runs)) as advance:
        for name, trained in work.runs.items():
            rows[name] = _row(trained, mad)
            advance(1)
    steps = {each.steps for each in work.runs.values()}
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="always named",
        rows=rows,
        heads={
            **{f"image_{name}": f"MOAD by {name}, images" for name in FACTORS},
            **{f"text_{name}": f"MOAD by {name}, texts" for name in FACTORS},
            "accuracy_named": "accuracy, named factor",
            "accuracy_others": "accuracy, other factors",
        },
        settings=work.settings,
        notes=[
            f"{len(mad.test)} held-out digits of {mad.name}, {IMAGES} images of each; intervals:"
            " 95 %, over held-out digits",
            f"{', '.join(map(str, sorted(steps)))} steps of training for each model",
            "MOAD by F: MOAD with F as the object and the five other factors as attributes",
        ],
    )


def _row(trained: Run, mad: Mad) -> dict[str, Value]:
    captions: Captions = captions_of(trained.config.data.captions)
    encoder = load_model(trained.spec)
    pair = embed(trained, mad, captions)
    judged = judge(pair, classified(pair, encoder, captions), temperature_of(encoder))
    row = by_factor(pair, captions.object)
    row["accuracy_named"] = judged["accuracy_object"]
    if "accuracy_attributes" in judged:
        row["accuracy_others"] = judged["accuracy_attributes"]
    return row


def by_factor(pair: Pair, named: str) -> dict[str, Value]:
    """MOAD of each modality with each factor in the role of the object.

    Args:
        pair: with the factors of MAD; ``named`` is its factor "object".
        named: the factor that captions always name.

    Returns:
        ``image_F`` and ``text_F`` for each factor F; ``image_named`` and ``text_named``, those of
        the named factor; ``image_next`` and ``text_next``, the largest of the others.
    """
    found = {}
    for name in FACTORS:
        role = "object" if name == named else name
        measured = measure(pair, ["moad"], object_factor=role)
        for side in SIDES:
            value = measured[f"moad_{side}"]
            found[f"{side}_{name}"] = Value(value.value, value.interval)
    for side in SIDES:
        others = [found[f"{side}_{name}"] for name in FACTORS if name != named]
        found[f"{side}_named"] = found[f"{side}_{named}"]
        found[f"{side}_next"] = max(others, key=lambda value: value.value)
    return found


def _most(table: Table) -> str:
    """Which factor has the largest MOAD in each model, as a sentence."""
    said = []
    for row, values in table.rows.items():
        image, text = (_first(values, side) for side in SIDES)
        both = image if image == text else f"{image} (images), {text} (texts)"
        said.append(f"{row}: {both}")
    return f"Factor with the largest MOAD, by the factor that is always named: {'; '.join(said)}."


def _first(values: Mapping[str, Value], side: str) -> str:
    return max(FACTORS, key=lambda name: values[f"{side}_{name}"].value)


LABELS = {"named": "always named", "next": "largest other"}
PARTS = (
    Part(
        head="The bias follows the captions",
        words=(
            "Each row is a model; its captions always name the factor of the row, and one other"
            " factor at random by default. MOAD above 0 means that embeddings with the same value"
            " of a factor are more similar than embeddings with the same value of other factors.",
            _most,
        ),
        panels=(
            *(
                Bars(
                    title=f"Bias of {words}",
                    caption="MOAD of the factor that captions always name, and the largest MOAD of"
                    " the five other factors; higher is more bias. Black lines: 95 % intervals.",
                    ys={f"{side}_{key}": label for key, label in LABELS.items()},
                    xlabel=f"MOAD, {words}",
                )
                for side, words in SIDES.items()
            ),
            Bars(
                title="Accuracy",
                caption="Fraction of held-out images whose nearest prompt has the true value: of"
                " the named factor, and the mean over the other factors. The chance level is 1 /"
                " number of values: 0.10 for digits, 0.14 for colours, 0.33 for thickness, 0.50"
                " for others.",
                ys={"accuracy_named": "always named", "accuracy_others": "others"},
                xlabel="accuracy",
            ),
        ),
    ),
)
NOTE = "other digits and models: only the direction is compared"
WHY = "these models hardly recognise the swelling: its accuracy is near 0.5, the chance level"
LAION = "Schrodi et al. 2025, figure 6a"


def _published() -> list[Published]:
    result: list[Published] = [
        Order(
            claim=f"If captions always name the {name}, its MOAD is the largest of all factors"
            f" ({words})",
            where="Schrodi et al. 2025, figure 6b",
            larger=(name, f"{side}_named"),
            smaller=(name, f"{side}_next"),
            note=NOTE,
            why=WHY if name == "swelling" else "",
        )
        for name in FIVE
        for side, words in SIDES.items()
    ]
    result.append(
        Order(
            claim="Captions of LAION-2B name objects more often than attributes",
            where=LAION,
            larger=("LAION-2B", "object_words"),
            smaller=("LAION-2B", "attribute_words"),
            needs="the captions of LAION-2B",
        )
    )
    return result


named_factor = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=3,
    extras=("train", *TRAIN),
)
