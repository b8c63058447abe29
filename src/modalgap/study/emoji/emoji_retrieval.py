"""Retrieval, gap and zero-shot classification on emoji, for new things and a new style.

A vision transformer and a convolutional network are trained on images of emoji and their captions.
They are evaluated on things without any training image, on a style without any, and on both. On
new things, closers that are fitted on training images are evaluated too.
Source: modalgap's own; the questions are those of Liang et al. 2022, section 5, Schrodi et al.
2025, section 3, and Chowers et al. 2026.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.close import fit
from modalgap.embeddings import Pair
from modalgap.evaluate import evaluate
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Bars, Image, Part, Scatter
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.emoji.examples import draw_results
from modalgap.study.emoji.models import (
    BOTH,
    FETCH,
    NEEDS,
    NEW,
    NOTE,
    SAMPLE,
    SPLITS,
    encoded,
    planned,
    sample,
    source,
    zero_shot,
)
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order

CARD = Card(
    name="emoji_retrieval",
    title="Emoji: retrieval and gap",
    idea="Evaluates models trained on emoji on new things and on a style that was not trained on.",
    source="modalgap's own; questions of Liang et al. 2022, section 5, and Chowers et al. 2026",
    question="How good are small models on real images, how large is their gap, and what does"
    " closing it change?",
    traits=("random",),
)
CLOSERS = ("center", "standardize", "erase_gap")
MEASURES = ("rmg", "l2m", "matched_cosine")
EXAMPLES = "results.png"
ROWS = "rows of the search results"  # the start of the note with their captions
SEED = 0  # of the bootstrap
FACTORS = ("category", "skin_tone", "gender")
NEITHER = ("none", "mixed", "person")  # values that state no single tone or gender
HEADS = {
    "image_to_text_r1": "image → text R@1",
    "text_to_image_r1": "text → image R@1",
    "rmg": "RMG",
    "l2m": "distance of means",
    "matched_cosine": "cosine of a match",
    **{name: f"{name.replace('_', ' ')}, zero-shot" for name in FACTORS},
}


@checked
def plan(
    *,
    root: str | Path | None = None,
    models: Sequence[str] = BOTH,
    train: Mapping[str, Any] | None = None,
) -> Plan:
    """Plan the models.

    Args:
        root: folder that holds the data set ``emoji``; by default ``$MODALGAP_DATA``, or ``data``.
        models: "ViT", "CNN", or both.
        train: training settings on top of the configurations ``emoji_vit`` and ``emoji_cnn``; as
            train.KEY=VALUE, for example train.steps=600.

    Raises:
        MissingData: the data set is not there.
        OptionError: an unknown model or training setting.
    """
    settings, configs = planned(root, models, train)
    return Plan(settings={**settings, "closers": list(CLOSERS)}, models=configs)


def run(work: Work) -> Table:
    """Encode and evaluate every split with every model."""
    rows: dict[str, dict[str, Value]] = {}
    notes = [NEW, NOTE]
    with progress("evaluating", len(work.runs) * (len(SPLITS) + len(CLOSERS))) as advance:
        for name, trained in work.runs.items():
            fitted = sample(work, trained)
            for split, title in SPLITS.items():
                found = source(work, split)
                pair = encoded(trained, found)
                rows[f"{name}, {title}"] = _row(pair, fitted)
                if split == "test" and len(rows) == 1:
                    shown = draw_results(pair, found, work.folder / EXAMPLES)
                    notes.append(f"{ROWS}, {name}: {', '.join(shown)}")
                notes.append(f"{name}, {title}: {pair.image.n:,} images, {pair.text.n:,} captions")
                advance(1)
                for closer in CLOSERS if split == "test" else ():
                    map_ = fit(fitted, closer)
                    rows[f"{name}, {closer}"] = _row(map_.apply(pair), map_.apply(fitted))
                    advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="model, and test images or closer",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            *dict.fromkeys(notes),
            f"{', '.join(CLOSERS)}: on new things, fitted on {SAMPLE:,} training images",
            "zero-shot: the text of a class is the mean of the training captions with this value;"
            " skin tone and gender: only images whose caption states one",
        ],
    )


def _row(pair: Pair, fitted: Pair) -> dict[str, Value]:
    """All numbers of a pair; classes are made from the captions in ``fitted``."""
    retrieval = evaluate(pair, "retrieval", ks=(1,))
    row = {
        each: retrieval[f"retrieval.{each}"] for each in ("image_to_text_r1", "text_to_image_r1")
    }
    row |= dict(measure(pair, MEASURES).measures)
    for name in FACTORS:
        without = () if name == "category" else NEITHER
        row[name] = zero_shot(pair, fitted, name, without).number(SEED)
    return row


RECALL = {"image_to_text_r1": "image → text", "text_to_image_r1": "text → image"}


def _names(table: Table) -> str:
    """The captions of the search results."""
    note = next((note for note in table.notes if note.startswith(ROWS)), "")
    return f"From top to bottom: {note.partition(': ')[2]}." if note else ""


PARTS = (
    Part(
        head="Retrieval and gap",
        columns=2,
        words=(
            "A thing is one emoji, whatever its style; its name in Unicode is the caption of its"
            " images. New things have no image in the training data; many are new combinations of"
            " known objects and attributes, such as a profession with another skin tone. The new"
            " style has no image in the training data either, but shows things of the training"
            " data. “Both new” are new things in the new style. R@1 is the fraction of queries"
            " whose first result is correct: the caption of the image, or any image of the thing.",
        ),
        panels=(
            Bars(
                title="Recall at 1",
                caption="Higher is better. Black lines: 95 % intervals over things.",
                ys=RECALL,
                xlabel="R@1",
            ),
            Bars(
                title="Gap",
                caption="0 is a closed gap. Closers are fitted on training images.",
                ys={"rmg": "RMG", "l2m": "distance of means"},
                xlabel="RMG, distance of means",
            ),
            Bars(
                title="Zero-shot classification",
                caption="Fraction of images with the correct category, skin tone or gender.",
                ys={name: name.replace("_", " ") for name in FACTORS},
                xlabel="accuracy",
            ),
            Scatter(
                title="Gap and recall",
                caption="One point per row of the table. Upper left: small gap, good retrieval.",
                x="rmg",
                y="text_to_image_r1",
                named=True,
                in_figure=False,
            ),
        ),
    ),
    Part(
        head="What a search finds",
        words=(_names,),
        panels=(
            Image(
                title="",
                caption="One row per caption: its first eight results. Blue frame: correct.",
                file=EXAMPLES,
                alt="Eight rows of eight emoji; the correct ones have a blue frame.",
            ),
        ),
    ),
)
_NEW, _CENTRED = "ViT, new things", "ViT, center"
PUBLISHED = (
    Order(
        claim="Emoji: centring lowers the distance of the means on new things",
        where="Chowers et al. 2026",
        larger=(_NEW, "l2m"),
        smaller=(_CENTRED, "l2m"),
        needs=NEEDS,
        note="emoji and small models: only the direction is compared",
    ),
)
emoji_retrieval = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=25,
    extras=("train", *TRAIN),
    real=(*FETCH, "modalgap study emoji_retrieval -o emoji_retrieval"),
)
