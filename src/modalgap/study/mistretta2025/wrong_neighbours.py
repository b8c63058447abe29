"""Right class, wrong neighbours: image search among images that prompts classify correctly.

The study keeps the images whose nearest class prompt is that of their class. Each of them is a
query for the other kept images of its class. If the cosine of two images were as good as that of
image and text, the mAP and the R-precision would be near 1.
Source: Mistretta et al. 2025, section 2. There: photographs of dogs and cats.
Expected: mAP and R-precision are clearly below 1, although every image is classified correctly.
The code of the paper counts R for mAP@R before the query is removed, which is one too many if the
query is in the gallery; here R counts the items that can be found.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, distinct
from modalgap.embeddings import Pair
from modalgap.errors import InputError, NotApplicable
from modalgap.evaluate.base import Floats, Ints, Scores
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Relevant
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study import embedded
from modalgap.study.base import Study
from modalgap.study.judge import digits_of
from modalgap.study.mistretta2025.retrieval import SEED
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Order

TITLES = {"short": "short captions", "full": "full captions"}
FACTOR = {"object": "digit"}
BLOCK = 1024  # queries
CARD = Card(
    name="wrong_neighbours",
    title="Right class, wrong neighbours",
    idea="Searches among images that prompts classify correctly; measures mAP and R-precision.",
    source="Mistretta et al. 2025, section 2",
    question="Are images that prompts classify correctly nearest to images of their class?",
    traits=("random",),
)


@checked
def plan(*, classes: Several[str | Path] = ()) -> Plan:
    """Plan the class sets.

    Args:
        classes: files of images, class prompts and labels; by default the factors of MAD that
            captions name, encoded by two small models that the study trains.

    Raises:
        OptionError: two files of the same name.
        InputError: a file without labels.
    """
    files = embedded.files("classes", classes)
    distinct("names of classes", [embedded.stem(each) for each in files])
    if not files:
        settings, models = embedded.planned("", *TITLES)
        return Plan(settings=settings, models=models)
    prints = {}
    for file in files:
        pair = embedded.paired(file)
        if pair.labels is None:
            raise InputError(f"{file}: must hold class prompts and labels of the images")
        prints[file] = pair.fingerprint
    return Plan(settings={"classes": files, "fingerprints": prints})


def run(work: Work) -> Table:
    """Classify the images of each class set, and search among those with the correct class."""
    rows = {}
    sets = _sets(work)
    with progress("searching", len(sets)) as advance:
        for name, (pair, groups) in sets.items():
            try:
                rows[name] = _row(pair, groups)
            except NotApplicable as error:
                raise InputError(f"{name}: {error}") from error
            advance(1)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="class set",
        rows=rows,
        heads={
            "accuracy": "accuracy by prompts",
            "images": "correct images",
            "random": "mAP in random order",
            "map": "mAP",
            "map_at_r": "mAP@R",
            "r_precision": "R-precision",
            "r1": "R@1",
        },
        settings=work.settings,
        notes=[
            "accuracy by prompts: over all images; the other numbers: over correct images, those"
            " whose nearest prompt is that of their class; each is a query for the others of its"
            " class"
            + ("" if "classes" in work.settings else "; variants of the same digit are ignored"),
            "R: the number of relevant images in the gallery; the code of the paper counts the"
            " query too",
            "random order: the mean fraction of relevant images in the gallery",
            "intervals: 95 %, bootstrap over "
            + ("images" if "classes" in work.settings else "held-out digits"),
        ],
    )


def _sets(work: Work) -> dict[str, tuple[Pair, NDArray[np.int64]]]:
    """Name to pair, and the group of each image: images of one group are dependent."""
    if "classes" in work.settings:
        pairs = {embedded.stem(file): embedded.paired(file) for file in work.settings["classes"]}
        return {name: (pair, np.arange(pair.image.n)) for name, pair in pairs.items()}
    return {
        f"MAD, {title}: {FACTOR.get(factor, factor)}": (pair, digits_of(pair))
        for model, title in TITLES.items()
        for factor, pair in embedded.classes(work, model).items()
        if factor == "object" or model == "full"
    }


def _row(pair: Pair, groups: Ints) -> dict[str, Value]:
    assert pair.labels is not None  # noqa: S101 - checked by the plan
    labels = np.asarray(pair.labels)
    right = _nearest(pair) == labels
    kept = np.flatnonzero(right)
    labels, groups = labels[kept], groups[kept]
    images = pair.image.unit()[torch.from_numpy(kept)]
    parts = [_searched(images, labels, groups, at) for at in range(0, len(kept), BLOCK)]
    found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    asking = found.pop("group").astype(np.int64)
    if not len(asking):
        raise NotApplicable("no two images of one class have the right nearest prompt")
    return {
        "accuracy": _value(right.astype(np.float64), np.arange(len(right))),
        "images": Value(float(len(kept))),
        "random": Value(float(found.pop("random").mean())),
        **{name: _value(each, asking) for name, each in found.items()},
    }


def _searched(images: Tensor, labels: Ints, groups: Ints, at: int) -> dict[str, Floats]:
    """The numbers of a block of queries; relevant items of all queries may not fit in memory."""
    part = slice(at, at + BLOCK)
    relevant = Relevant.same_class(labels[part], labels, itself=False)
    mine = groups[part]
    relevant = relevant.where(groups[relevant.items] != mine[relevant.queries])
    own = Relevant.same_class(mine, groups, itself=False)
    found = ranks(images[part], images, relevant, ignored=own)
    chance = relevant.counts / (len(images) - own.counts).clip(1)
    return {
        "group": mine[found.queries].astype(np.float64),
        "random": chance[found.queries],
        "map": found.average_precision(),
        "map_at_r": found.average_precision_at_r(),
        "r_precision": found.precision_at_r(),
        "r1": found.within(1),
    }


def _nearest(pair: Pair) -> Ints:
    """(n,) the row of the nearest prompt of each image."""
    texts = pair.text.unit()
    blocks = [(block @ texts.T).argmax(1) for _, block in pair.image.chunks()]
    found: Ints = torch.cat(blocks).numpy()
    return found


def _value(values: Floats, clusters: Ints) -> Value:
    return Scores(values, clusters).number(SEED)


PARTS = (
    Part(
        head="A correct class is not enough",
        words=(
            "Queries and gallery are images whose nearest class prompt is the correct one: the"
            " cosine of image and text classifies all of them correctly. A query searches for"
            " images of its class by the cosine of two images, which a contrastive loss does not"
            " train. If this cosine were as good, mAP and R-precision would be near 1.",
        ),
        panels=(
            Bars(
                title="Search by image",
                caption="Among images that prompts classify correctly; 1 is perfect. Black lines:"
                " 95 % intervals.",
                ys={"map": "mAP", "r_precision": "R-precision", "random": "mAP, random order"},
                xlabel="mAP, R-precision",
                references=(Reference(at=1, axis="x"),),
            ),
        ),
    ),
)
WHERE = "Mistretta et al. 2025, section 2"
NEEDS = "photographs of dogs and cats encoded by CLIP: see the commands on its page"
SECOND = "the number comes from a summary of the paper; the tolerance was chosen by modalgap"
PUBLISHED = (
    *(
        Order(
            claim=f"Images that prompts classify correctly have a {head} below .9: {row}",
            where=WHERE,
            published=published,
            larger=0.9,
            smaller=(row, column),
            note="other data and models; the limit of .9 was chosen by modalgap",
        )
        for row in ("MAD, short captions: digit", "MAD, full captions: digit")
        for head, column, published in (
            ("mAP", "map", "mAP .814 (dogs and cats)"),
            ("R-precision", "r_precision", "R-precision .715 (dogs and cats)"),
        )
    ),
    Number(
        claim="mAP of dogs and cats",
        where=WHERE,
        cell=("dogs_cats", "map"),
        value=0.814,
        tolerance=0.02,
        needs=NEEDS,
        note=SECOND,
    ),
    Number(
        claim="R-precision of dogs and cats",
        where=WHERE,
        cell=("dogs_cats", "r_precision"),
        value=0.715,
        tolerance=0.02,
        needs=NEEDS,
        note=SECOND,
    ),
)
wrong_neighbours = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=2,
    extras=("train", *TRAIN),
    real=(
        "# ./dogs_cats has the folders cat and dog with the photographs",
        "modalgap encode ./dogs_cats -m open_clip:ViT-B-32/openai -o dogs_cats.safetensors",
        "modalgap study wrong_neighbours -o wrong_neighbours --set classes=dogs_cats.safetensors",
    ),
)
