"""Ideal words: does closing the gap between words and images help to recognise attributes?

An ideal word is the mean of the unit texts of all prompts that have the word, such as "an image of
a sliced OBJECT." for all objects. An ideal image is the mean of the unit training images that have
the word as a label. The vector u0 is the mean of all prompts; for ideal images, of all training
images. The gap vector of the paper is the mean training image minus the mean real word, the text of
a word alone. The prompt gap vector, an addition of modalgap, is the mean training image minus u0.
Source: Schrodi et al. 2025, table 5; ideal words: Trager et al. 2023.
Expected: the gap vector closes the gap between ideal words and ideal images and raises their
cosine, but not the accuracy.
The code of the paper compares images with ideal words by the dot product. A vector that is added
to all words adds the same score to each of them, so neither u0 nor the gap vector can change a
prediction. Here the accuracy of normalised words, by the cosine, is computed too. For the cosine of
real words, the code of the paper takes the word of an object from the rows of the attributes; both
are computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several
from modalgap.errors import OptionError, quoted
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.judge import mad_of, share
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order, Published
from modalgap.study.schrodi2025.words import OBJECT, Data, Rows, of_files, of_mad

REAL, IDEAL, CENTRED = "real words", "ideal", "ideal − u0"
MOVED, BOTH = "ideal + gap", "ideal − u0 + gap"
TITLES = {"short": "MAD short", "full": "MAD full"}  # captions of the embedded models
OWN, IMAGE = "ideal + prompt gap", "ideal images"
CARD = Card(
    name="ideal_words",
    title="Ideal words and the gap",
    idea="Classifies images by means of prompts (ideal words), before and after closing the gap.",
    source="Schrodi et al. 2025, table 5",
    question="Does closing the gap between words and images help to recognise attributes?",
    traits=("random",),
)


@checked
def plan(
    *,
    classes: Several[str | Path] = (),
    train_images: str | Path = "",
    prompts: str | Path = "",
) -> Plan:
    """Plan the words.

    Args:
        classes: two files with the same test images and their labels; the first has the words of
            attributes as texts, the second those of objects. By default words and images are of
            MAD, encoded by small models that the study trains.
        train_images: file of training images, with the attribute and the object as factors.
        prompts: file of the prompts of all pairs of an attribute and an object, with both as
            factors.

    Raises:
        OptionError: not two files, or a file is missing.
        InputError: a file does not have what is described above.
    """
    files = embedded.files("classes", classes)
    if not files:
        if train_images or prompts:
            raise OptionError("classes must be two files if train_images or prompts are set")
        settings, models = embedded.planned("", "short", "full")
        return Plan(settings=settings, models=models)
    if len(files) != 2 or not train_images or not prompts:
        raise OptionError(
            "classes must be two files, of attributes and of objects, with train_images and"
            f" prompts; got {len(files)} of classes, train_images={quoted(str(train_images))},"
            f" prompts={quoted(str(prompts))}"
        )
    _, prints = of_files(files, str(train_images), str(prompts))
    return Plan(
        settings={
            "classes": files,
            "train_images": str(train_images),
            "prompts": str(prompts),
            "fingerprints": prints,
        }
    )


def run(work: Work) -> Table:
    """Classify with every kind of words."""
    rows: dict[str, dict[str, Value]] = {}
    found = _data(work)
    with progress("classifying", len(found)) as advance:
        for name, data in found.items():
            rows |= {f"{name}, {kind}": row for kind, row in rows_of(data).items()}
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="model, and words that images are compared with",
        rows=rows,
        heads={
            "attribute": "attributes, dot product",
            "object": "objects, dot product",
            "attribute_cosine": "attributes, cosine",
            "object_cosine": "objects, cosine",
            "cosine": "cosine of words and images",
            "gap": "distance of means",
            "cosine_code": "cosine, code of the paper",
        },
        settings=work.settings,
        notes=[
            "real words: texts of a word alone; ideal: the mean of all prompts with the word; ideal"
            " images: the mean of the training images of the word",
            "u0: the mean of all prompts; gap: mean training image − mean real word, as in the"
            " paper; prompt gap: mean training image − u0, an addition of modalgap",
            "attributes, objects: fraction of test images whose correct word has the largest dot"
            " product or cosine; for several attributes, the mean",
            "cosine, distance of means: between ideal words and ideal images; for real words,"
            " between test images and their words; with − u0, the images are centred too",
            "cosine, code of the paper: it takes the word of an object from the rows of the"
            " attributes",
            "intervals: 95 %, over images; for MAD, over digits",
        ],
    )


def rows_of(data: Data) -> dict[str, dict[str, Value]]:
    """The row of every kind of words."""
    words = data.words
    real = {name: each.real for name, each in words.items()}
    ideal = {name: each.ideal for name, each in words.items()}
    gap = data.mean - np.concatenate(list(real.values())).mean(0)
    rows = {REAL: {**_accuracy(data, real), **_own(data)}}
    for kind, move, centre in (
        (IDEAL, np.zeros_like(gap), np.zeros_like(gap)),
        (CENTRED, -data.u0, data.mean),
        (MOVED, gap, np.zeros_like(gap)),
        (BOTH, gap - data.u0, data.mean),
        (OWN, data.mean - data.u0, np.zeros_like(gap)),
    ):
        moved = {name: each + move for name, each in ideal.items()}
        own = np.concatenate([moved[name][each.known] for name, each in words.items()])
        seen = np.concatenate([each.images[each.known] for each in words.values()]) - centre
        rows[kind] = {**_accuracy(data, moved), **_between(own, seen)}
    images = {
        name: np.where(each.known[:, None], each.images, np.nan) for name, each in words.items()
    }
    rows[IMAGE] = _accuracy(data, images)
    return rows


def _accuracy(data: Data, vectors: Mapping[str, Rows]) -> dict[str, Value]:
    """Accuracy by the dot product and by the cosine; words without a vector are never chosen."""
    found = {}
    for end, normed in (("", False), ("_cosine", True)):
        right = {}
        for name, rows in vectors.items():
            scores = data.images @ (_unit(rows) if normed else rows).T
            best = np.where(np.isnan(scores), -np.inf, scores).argmax(1)
            right[name] = best == data.words[name].labels
        found[f"object{end}"] = share(right.pop(OBJECT), data.groups)
        found[f"attribute{end}"] = share(np.mean(list(right.values()), axis=0), data.groups)
    return found


def _own(data: Data) -> dict[str, Value]:
    """Cosine of each image and its own words, and what the code of the paper computes."""
    attributes = [each.real for name, each in data.words.items() if name != OBJECT]
    stacked = np.concatenate([*attributes, data.words[OBJECT].real])
    own = [np.einsum("nd,nd->n", data.images, e.real[e.labels]) for e in data.words.values()]
    wrong = [
        np.einsum("nd,nd->n", data.images, (stacked if n == OBJECT else e.real)[e.labels])
        for n, e in data.words.items()
    ]
    real = np.concatenate([each.real for each in data.words.values()])
    gap = np.linalg.norm(data.images.mean(0) - real.mean(0))
    return {
        "cosine": Value(float(np.mean(own))),
        "gap": Value(float(gap)),
        "cosine_code": Value(float(np.mean(wrong))),
    }


def _between(words: Rows, images: Rows) -> dict[str, Value]:
    """Mean cosine of ideal words and ideal images, and the distance of their means."""
    cosine = (_unit(words) * _unit(images)).sum(1).mean()
    gap = np.linalg.norm(words.mean(0) - images.mean(0))
    return {"cosine": Value(float(cosine)), "gap": Value(float(gap))}


def _unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _data(work: Work) -> dict[str, Data]:
    settings = work.settings
    if "classes" in settings:
        files = settings["classes"]
        found, _ = of_files(files, settings["train_images"], settings["prompts"])
        return {embedded.stem(files[0]): found}
    mad = mad_of(work.runs)
    return {TITLES[name]: of_mad(work.runs[name], mad) for name in settings["embedded"]}


ACCURACY = {"attribute": "attributes", "object": "objects"}
PARTS = (
    Part(
        head="Accuracy",
        words=(
            "An ideal word is the mean of all prompts that contain the word; an ideal image is the"
            " mean of its training images. u0 is the mean of all prompts. Test images are"
            " classified by the word with the largest score. If the score is the dot product, as in"
            " the code of the paper, a vector that is added to all words adds the same number to"
            " each score: subtracting u0 or adding a gap vector changes no prediction. With the"
            " cosine it can.",
        ),
        panels=(
            Bars(
                title="Accuracy by the dot product",
                caption="Higher is better. Black lines: 95 % intervals.",
                ys=ACCURACY,
                xlabel="accuracy",
                in_figure=False,
            ),
            Bars(
                title="Accuracy by the cosine",
                caption="Words are normalised. Higher is better. Black lines: 95 % intervals.",
                ys={f"{name}_cosine": head for name, head in ACCURACY.items()},
                xlabel="accuracy",
            ),
        ),
    ),
    Part(
        head="Gap",
        words=(
            "The gap vector of the paper (+ gap) points from the mean real word, a word without a"
            " prompt, to the mean training image. It moves ideal words to ideal images only if real"
            " words and prompts have the same mean. The prompt gap vector (+ prompt gap) points"
            " from"
            " the mean prompt to the mean training image.",
        ),
        panels=(
            Bars(
                title="Cosine and gap",
                caption="Mean cosine of a word and its images: higher is closer. Distance of the"
                " means"
                " of words and images: 0 is a closed gap.",
                ys={"cosine": "cosine", "gap": "distance of means"},
                xlabel="cosine or distance",
            ),
        ),
    ),
)
WHERE = "Schrodi et al. 2025, table 5"
SETS = ("mit-states", "ut-zappos")
WHY = (
    "these models were never trained on a word alone, so their mean real word is far from their"
    " mean prompt; with the prompt gap vector, the gap closes and the cosine rises"
)
OTHER = "a model trained on MAD: only the direction is compared"
MODEL = "open_clip:ViT-L-14/openai"


def _real(data: str) -> list[str]:
    """The commands for one data set; the first writes the prompts of all compositions."""
    encode = f"modalgap encode {data} -m {MODEL}"
    return [
        'python -c "import csv, modalgap as mg; s = [mg.data.read('
        f"'{data}', split=p) for p in ('train', 'val', 'test')]; a, o = (sorted({{v for e in s for"
        " v in e.text_factors[f]}) for f in ('attribute', 'object'));"
        f" csv.writer(open('{data}_prompts.csv', 'w')).writerows([('caption', 'attribute',"
        " 'object'), *((f'an image of a {x} {y}.', x, y) for x in a for y in o)])\"",
        f"modalgap encode {data}_prompts.csv --factors attribute,object -m {MODEL} -o"
        f" {data}_prompts.safetensors",
        f"{encode} --label-column attribute --template 'an image of a {{}} object' -o"
        f" {data}.safetensors",
        f"{encode} --label-column object --template 'image of a {{}}' -o"
        f" {data}_objects.safetensors",
        f"{encode} --split train -o {data}_train.safetensors",
        f"modalgap study ideal_words -o ideal_words_{data} --set"
        f" classes={data}.safetensors,{data}_objects.safetensors --set"
        f" train_images={data}_train.safetensors --set prompts={data}_prompts.safetensors",
    ]


def _published() -> list[Published]:
    result: list[Published] = []
    for data in (*SETS, *TITLES.values()):
        real = data in SETS
        needs = "test images, training images and prompts: see the commands on its page"
        ideal, moved = f"{data}, {IDEAL}", f"{data}, {MOVED}"
        result += [
            Order(
                claim=f"The gap vector closes the gap of ideal words and ideal images: {data}",
                where=WHERE,
                larger=(ideal, "gap"),
                smaller=(moved, "gap"),
                note="" if real else OTHER,
                needs=needs if real else "",
                why="" if real else WHY,
            ),
            Order(
                claim=f"The gap vector raises the cosine of ideal words and ideal images: {data}",
                where=WHERE,
                larger=(moved, "cosine"),
                smaller=(ideal, "cosine"),
                note="" if real else OTHER,
                needs=needs if real else "",
                why="" if real else WHY,
            ),
        ]
        result += [
            Number(
                claim=f"The gap vector does not change the accuracy of {head}: {data}",
                where=WHERE,
                published="no improvement",
                cell=(moved, name),
                value=(ideal, name),
                tolerance=0.005,
                note="" if real else OTHER,
                needs=needs if real else "",
            )
            for name, head in ACCURACY.items()
        ]
    for data in TITLES.values():
        ideal, moved = f"{data}, {IDEAL}", f"{data}, {OWN}"
        result += [
            Order(
                claim="The prompt gap vector closes the gap of ideal words and ideal images:"
                f" {data}",
                where="a hypothesis of modalgap; no paper states it",
                against="reference",
                larger=(ideal, "gap"),
                smaller=(moved, "gap"),
            ),
            Order(
                claim="The prompt gap vector raises the cosine of ideal words and ideal images:"
                f" {data}",
                where="a hypothesis of modalgap; no paper states it",
                against="reference",
                larger=(moved, "cosine"),
                smaller=(ideal, "cosine"),
            ),
        ]
    result += [
        Number(
            claim=f"A vector that is added to all words changes no prediction by the dot product:"
            f" {kind}, {head}",
            where="adding v adds ⟨x, v⟩ to the score of every word",
            against="closed form",
            cell=(f"{TITLES['full']}, {kind}", name),
            value=(f"{TITLES['full']}, {IDEAL}", name),
            tolerance=0.001,
        )
        for kind in (CENTRED, MOVED, BOTH, OWN)
        for name, head in ACCURACY.items()
    ]
    return result


ideal_words = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=tuple(_published()),
    minutes=2,
    extras=("train", *TRAIN),
    real=tuple(line for data in SETS for line in _real(data)),
)
