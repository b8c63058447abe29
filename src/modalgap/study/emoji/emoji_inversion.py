"""Modality inversion on emoji: images retrieve images in other styles, captions retrieve captions.

Images of new things, which have no image in the training data, are queries for images of the same
thing in the other styles. Their captions are queries for captions of the same object with other
attributes. Queries are native, inverted by OTI or OVI, or mapped without optimisation; the gallery
is native.
Source: Mistretta et al. 2025, tables 1 and 2, with other models and data.
Expected: mAP within a modality rises with inverted queries, and zero-shot classification falls.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import whole
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.pick import pick
from modalgap.encode import load_model
from modalgap.evaluate.base import Ints, Scores
from modalgap.evaluate.ranking import ranks
from modalgap.evaluate.ranks import Relevant
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.emoji.models import (
    FETCH,
    NEEDS,
    NEW,
    codes,
    encoded,
    planned,
    sample,
    source,
)
from modalgap.study.mistretta2025.retrieval import invert_queries
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order

CARD = Card(
    name="emoji_inversion",
    title="Emoji: inversion across styles",
    idea="Inverts images and captions of new things; compares retrieval within a modality.",
    source="Mistretta et al. 2025, tables 1 and 2, with other models and data",
    question="Does inversion improve the retrieval of images in other styles, and of captions?",
    traits=("random",),
)
NATIVE = "native"
METHODS: Mapping[str, Mapping[str, Any]] = {
    NATIVE: {},
    "OTI": {"method": "oti", "template": "{}"},  # captions are names, not sentences
    "OTI to cosine .9": {"method": "oti", "template": "{}", "wanted": 0.9},
    "OVI": {"method": "ovi"},
    "OVI to cosine .9": {"method": "ovi", "wanted": 0.9},
    "ridge map": {"method": "ridge_map"},
    "gap shift": {"method": "gap_shift"},
}
HEADS = {
    "cosine": "cosine with native",
    "map": "mAP",
    "r1": "R@1",
    "gain": "gain of mAP",
    "zero_shot": "image → text R@1",
    "gain_zero_shot": "gain of image → text R@1",
}


@checked
def plan(
    *,
    root: str | Path | None = None,
    names: int = 300,
    train: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> Plan:
    """Plan the model.

    Args:
        root: folder that holds the data set ``emoji``; by default ``$MODALGAP_DATA``, or ``data``.
        names: largest number of captions that are queries, because OVI takes a second for each.
        train: training settings on top of the configuration ``emoji_vit``; as
            train.KEY=VALUE, for example train.steps=600.
        seed: seed of the inversions, of the choice of captions, and of the intervals.

    Raises:
        MissingData: the data set is not there.
        OptionError: a value outside its range, or an unknown training setting.
    """
    whole("names", names, 10)
    whole("seed", seed, 0)
    settings, configs = planned(root, ("ViT",), train)
    methods = {name: dict(options) for name, options in METHODS.items()}
    return Plan(settings={**settings, "methods": methods, "names": names, "seed": seed},
                models=configs)  # fmt: skip


def run(work: Work) -> Table:
    """Invert with every method; a row per modality and method."""
    trained = work.runs["ViT"]
    encoder = load_model(trained.spec)
    bank, pair = sample(work, trained), encoded(trained, source(work, "test"))
    seed = work.settings["seed"]
    rows: dict[str, dict[str, Value]] = {}
    texts = _queries(pair.text, work.settings["names"], seed)
    notes = [NEW]
    with progress("inverting", 2 * len(METHODS)) as advance:
        for side, index, factor, other in (
            (pair.image, np.arange(pair.image.n), "thing", "ovi"),
            (pair.text, texts, "object", "oti"),
        ):
            native: dict[str, Scores] = {}
            for name, options in METHODS.items():
                advance(1)
                if options.get("method") == other:
                    continue
                found, cosine = invert_queries(pick(side, index), options, encoder, bank, seed)
                scores = _scores(found, side, index, factor)
                if side is pair.image:
                    scores["zero_shot"] = _named(found, pair)
                native = native or scores
                row = {each: values.number(seed) for each, values in scores.items()}
                if name != NATIVE:
                    row["gain"] = scores["map"].gain(native["map"], seed)
                    if "zero_shot" in scores:
                        row["gain_zero_shot"] = scores["zero_shot"].gain(native["zero_shot"], seed)
                rows[f"{side.modality}s, {name}"] = {"cosine": cosine, **row}
            there = len(native["map"].values)
            notes.append(
                f"{side.modality}s: {side.n:,} in the gallery, {there:,} of them queries; relevant:"
                f" other {side.modality}s of the same {factor}"
            )
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="queries",
        rows=rows,
        heads=HEADS,
        settings=work.settings,
        notes=[
            *notes,
            "gain: minus the number of the native queries; intervals: 95 %, over things for images"
            " and over objects for texts",
            "methods without optimisation are fitted on training images and captions",
        ],
    )


def _queries(side: Embeddings, most: int, seed: int) -> Ints:
    """Rows with another row of the same object, at most ``most`` of them."""
    (own,) = codes(side.factors["object"])
    several = np.flatnonzero(np.bincount(own)[own] > 1)
    return np.sort(np.random.default_rng(seed).permutation(several)[:most])


def _scores(
    queries: Embeddings, gallery: Embeddings, index: Ints, factor: str
) -> dict[str, Scores]:
    """Retrieval of rows of the same class, by queries that are rows ``index`` of the gallery."""
    (own,) = codes(gallery.factors[factor])
    same = Relevant.same_class(own[index], own, itself=False)
    ignored = same.where(same.items == np.repeat(index, same.counts))
    relevant = same.without(index)
    ranked = ranks(queries.unit(), gallery.unit(), relevant, ignored=ignored, what="retrieval")
    clusters = own[index][ranked.queries]
    return {
        "map": Scores(ranked.average_precision(), clusters),
        "r1": Scores(ranked.within(1), clusters),
    }


def _named(queries: Embeddings, pair: Pair) -> Scores:
    """Whether the nearest caption of an image is its own; each image has one caption."""
    images, texts = (index.numpy() for index in pair.matches)
    own = np.empty(pair.image.n, np.int64)
    own[images] = texts
    found = (queries.unit() @ pair.text.unit().T).argmax(1).numpy()
    return Scores((found == own).astype(np.float64), own)


GAIN = (Reference(at=0, axis="x"),)
PARTS = (
    Part(
        head="Gain over native queries",
        columns=2,
        words=(
            "OTI replaces the feature of an image by a feature of the text tower. OVI replaces the"
            " feature of a caption by a feature of the image tower. The gallery keeps its native"
            " features. Above 0, inverted queries retrieve better than native ones. All images and"
            " captions are of new things, which have no image in the training data.",
        ),
        panels=(
            Bars(
                title="Images retrieve other styles",
                caption="Images of the same thing. Black lines: 95 % intervals over things.",
                ys={"gain": "mAP"},
                match="images",
                xlabel="gain of mAP",
                references=GAIN,
            ),
            Bars(
                title="Captions retrieve captions",
                caption="Captions of the same object. Black lines: 95 % intervals over objects.",
                ys={"gain": "mAP"},
                match="texts",
                xlabel="gain of mAP",
                references=GAIN,
            ),
            Bars(
                title="Inverted images retrieve captions",
                caption="Below 0, inverted images match their caption less often than native ones.",
                ys={"gain_zero_shot": "R@1"},
                match="images",
                xlabel="gain of R@1",
                references=GAIN,
            ),
        ),
    ),
)
OTHER = "small models trained on emoji: only the direction is compared"
PUBLISHED = tuple(
    Order(
        claim=f"Emoji: {claim}",
        where=f"Mistretta et al. 2025, {table}",
        published=numbers,
        larger=larger,
        smaller=smaller,
        needs=NEEDS,
        note=OTHER,
        why=why,
    )
    for claim, table, numbers, larger, smaller, why in (
        (
            "OTI raises the mAP of image queries", "table 1",
            "mAP 39.2 → 41.2 (CLIP ViT-B/32, mean of 15 data sets)",
            ("images, OTI", "map"), ("images, native", "map"), "",
        ),
        (
            "OVI raises the mAP of text queries", "table 2",
            "mAP 37.7 → 40.6 (CLIP ViT-B/32)",
            ("texts, OVI", "map"), ("texts, native", "map"),
            "the small image tower cannot express the captions: OVI reaches a low cosine",
        ),
        (
            "OTI lowers the accuracy of zero-shot classification", "table 2",
            "top-1 61.9 → 56.4 (CLIP ViT-B/32)",
            ("images, native", "zero_shot"), ("images, OTI", "zero_shot"), "",
        ),
    )
)  # fmt: skip
emoji_inversion = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=17,
    extras=("train", *TRAIN),
    real=(*FETCH, "modalgap study emoji_inversion -o emoji_inversion"),
)
