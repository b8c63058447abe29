"""The demo: two models with different captions, their gaps, and the effect of closing a gap.

One model is trained on short captions (the digit and one attribute), the other on full captions.
Both are measured, the gap of the first model is closed by centring, and all are tested under noise.
Source: Schrodi et al. 2025, section 5; closing and noise: Chowers et al. 2026, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from modalgap.arguments import checked
from modalgap.atomic import replacing
from modalgap.card import Card
from modalgap.close import fit
from modalgap.data.mad import Mad, contact_sheet
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.store import save
from modalgap.encode import load_model
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.panels import Clouds, Curves, Image, Part
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.judge import (
    classified,
    embed,
    embedded_images,
    heads,
    judge,
    mad_of,
    temperature_of,
)
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order
from modalgap.study.training import training_settings
from modalgap.train.captions import captions_of

ROWS = {"short": "short captions", "full": "full captions", "closed": "short, centred"}
SIGMAS = (0.05, 0.1, 0.2)
METHOD = "center"
DIGIT = 3  # whose variants are shown
OWN = ("data.captions", "data.source")  # training settings of the study
HEADS = {
    **heads("rmg", "l2m", "matched_cosine"),
    "moad_image": "object bias, images",
    **heads("accuracy_object", "accuracy_attributes"),
    **{f"noise_{sigma:g}": f"digit accuracy, noise {sigma:g}" for sigma in SIGMAS},
}


CARD = Card(
    name="demo",
    title="Where a modality gap comes from",
    idea="Trains two small models, measures both, and closes the gap of one.",
    source="Schrodi et al. 2025, section 5; Chowers et al. 2026, section 3",
    question="What causes a modality gap, and what does closing it change?",
    traits=("random",),
)
SHEET = "sheet.png"
PAGE = "explore.html"  # interactive, of the first model
PAGE_POINTS = 1000  # half of the default, in half the time; docs/explore.md says so


@checked
def plan(*, train: Mapping[str, Any] | None = None) -> Plan:
    """Plan two models, of short and of full captions.

    Args:
        train: training settings on top of the configuration "mad" with 450 steps; as
            train.KEY=VALUE, for example train.steps=600.

    Raises:
        OptionError: a training setting that the study sets itself, or an unknown one.
    """
    settings = training_settings(train, OWN)
    models = embedded.models("short", "full", settings=settings)
    return Plan(settings={"method": METHOD, "sigmas": list(SIGMAS)}, models=models)


def run(work: Work) -> Table:
    """Measure both models, close the gap of the first, test all under noise."""
    mad = mad_of(work.runs)
    rows: dict[str, dict[str, Value]] = {}
    pairs = {}
    for name, trained in work.runs.items():
        captions = captions_of(trained.config.data.captions)
        encoder = load_model(trained.spec)
        pair = embed(trained, mad, captions)
        classes = classified(pair, encoder, captions)
        tau = temperature_of(encoder)
        pairs[name] = pair
        rows[ROWS[name]] = judge(pair, classes, tau) | _under_noise(classes["object"])
        if name == "short":
            closing = fit(pair, METHOD)
            pairs["closed"] = closing.apply(pair)
            closed = {
                factor: Pair(
                    pairs["closed"].image,
                    Embeddings(closing.text(each.text.unit()), "text", names=each.text.names),
                    labels=each.labels,
                )
                for factor, each in classes.items()
            }
            rows[ROWS["closed"]] = judge(pairs["closed"], closed, tau) | _under_noise(
                closed["object"]
            )
    for name in ROWS:
        save(pairs[name], work.folder / f"{name}.safetensors", overwrite=True)
    if find_spec("bokeh") is not None:
        from modalgap.explore import explore  # not for lists of studies: it loads matplotlib

        shown = embedded_images(work.runs["short"], mad)
        explore(
            pairs["short"],
            work.folder / PAGE,
            media=shown,
            points=PAGE_POINTS,
            title="Short captions",
            overwrite=True,
        )
    with replacing(work.folder / SHEET, overwrite=True) as file:
        contact_sheet(mad, _example(mad)).save(file, "PNG", optimize=True)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="model",
        rows={row: rows[row] for row in ROWS.values()},
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"{len(mad.test)} held-out digits of {mad.name}, in several variants each",
            "intervals: 95 %, over held-out digits",
            f"closed: {METHOD}, fitted on the same images and captions",
        ],
    )


def _example(mad: Mad) -> int:
    """The first image of that digit, or the first of all."""
    return int((mad.labels == DIGIT).argmax())


def _under_noise(classes: Pair) -> dict[str, Value]:
    """Digit accuracy with Gaussian noise added to images and prompts."""
    found = evaluate(classes, "robustness", sigmas=SIGMAS, bins=(16,), indexes=())
    return {
        f"noise_{sigma:g}": found[f"robustness.gaussian_{sigma:g}_accuracy"] for sigma in SIGMAS
    }


def _compared(table: Table) -> str:
    short, full = (table.rows[ROWS[name]] for name in ("short", "full"))
    return (
        f"The relative modality gap is {short['rmg'].value:.2f} with short captions and"
        f" {full['rmg'].value:.2f} with full ones. Object bias, how much more similar images are by"
        f" digit than by attribute, is {short['moad_image'].value:.2f} and"
        f" {full['moad_image'].value:.2f}. Digit accuracy is {short['accuracy_object'].value:.1%}"
        f" with short captions and {full['accuracy_object'].value:.1%} with full ones: in the same"
        " number of steps, the second model has four more attributes to learn."
    )


def _closing(table: Table) -> str:
    before, after = (table.rows[ROWS[name]] for name in ("short", "closed"))
    noise = f"noise_{max(SIGMAS):g}"

    def change(name: str, form: str = ".2f") -> str:
        return f"{before[name].value:{form}} to {after[name].value:{form}}"

    return (
        "Centring subtracts the mean of each modality, here computed on the same images and"
        f" captions. The distance of means changes from {change('l2m')}, the relative gap"
        f" from {change('rmg')}, and the cosine of a match from {change('matched_cosine')}:"
        " the rest of the gap is not a shift. Digit accuracy changes from"
        f" {change('accuracy_object', '.1%')}, and from {change(noise, '.1%')} under noise of"
        f" {max(SIGMAS):g}."
    )


LIMITS = (0.75, 1.05)  # of the axes along and across the gap
CAPTION = (
    "x: along the line between the means of images and texts. y: the component with the largest"
    " variance across this line. Thin lines connect pairs; two separate clouds are a gap."
)
PARTS = (
    Part(
        head="The data",
        words=(
            "Handwritten digits, each in 24 shapes and 7 colours. A caption names the digit and"
            " some of its five attributes, for example “three-red-thick”. The models below differ"
            " only in how many attributes their captions name.",
        ),
        panels=(
            Image(
                title="",
                caption="All variants of one digit: columns are shapes, rows are colours.",
                file=SHEET,
                alt="168 small images of one handwritten digit.",
            ),
        ),
    ),
    Part(
        head="Captions that omit attributes cause the gap",
        words=(
            "Two models of the same size are trained with the same settings from the same start."
            " The captions of one name the digit and one attribute, those of the other the digit"
            " and all five attributes.",
            _compared,
        ),
        panels=(
            Clouds(title="Short captions", caption=CAPTION, file="short.safetensors",
                   limits=LIMITS),
            Clouds(title="Full captions", caption=CAPTION, file="full.safetensors", limits=LIMITS),
        ),
    ),
    Part(
        head="Closing the gap after training",
        words=(_closing,),
        panels=(
            Clouds(
                title="Short captions, centred",
                caption=CAPTION,
                file="closed.safetensors",
                along="short.safetensors",
                limits=LIMITS,
                in_figure=False,
            ),
            Curves(
                title="Accuracy under noise",
                caption="Digit accuracy with Gaussian noise added to the features of images and"
                " prompts; higher is better.",
                across={"accuracy_object": 0.0, **{f"noise_{sigma:g}": sigma for sigma in SIGMAS}},
                xlabel="σ of the noise",
                ylabel="digit accuracy",
                limits=(0, 1),
                in_figure=False,
            ),
        ),
    ),
)  # fmt: skip
NOTE = "other data and models: only the direction is compared"
PUBLISHED = (
    Order(
        claim="RMG is larger with short captions",
        where="Schrodi et al. 2025, figure 7",
        larger=(ROWS["short"], "rmg"),
        smaller=(ROWS["full"], "rmg"),
        note=NOTE,
    ),
    Order(
        claim="The object bias of images is larger with short captions",
        where="Schrodi et al. 2025, figure 7",
        larger=(ROWS["short"], "moad_image"),
        smaller=(ROWS["full"], "moad_image"),
        note=NOTE,
    ),
    Order(
        claim="Closing the gap raises the accuracy under noise",
        where="Chowers et al. 2026, section 3",
        larger=(ROWS["closed"], f"noise_{max(SIGMAS):g}"),
        smaller=(ROWS["short"], f"noise_{max(SIGMAS):g}"),
        note=NOTE,
    ),
)
demo = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=2,
    extras=("train", *TRAIN),
)
