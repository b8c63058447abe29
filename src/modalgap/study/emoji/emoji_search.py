"""Search in one index of images and captions, where items of both modalities are relevant.

The index holds all images and captions of new things, which have no image in the training data.
Relevant to a query are all other images and captions of the same object: other styles and other
attributes. So every query has relevant items of both modalities, and a score that only favours the
other modality gains nothing. Maps and scales are fitted on training images.
Source: MixBench, arXiv 2507.19054 (the question); standardised scores: arXiv 2511.22141. Queries
with relevant items of both modalities are modalgap's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.close import ScoreScaler, fit
from modalgap.embeddings import Pair
from modalgap.evaluate.base import Floats, Ints, Scores
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
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order

CARD = Card(
    name="emoji_search",
    title="Emoji: mixed search with relevant items of both modalities",
    idea="Searches one index of images and captions; those of the same object are relevant.",
    source="MixBench, arXiv 2507.19054; relevant items of both modalities: modalgap's own",
    question="Does closing the gap improve search if images and texts are both relevant?",
    traits=("random",),
)
K = 10
SIDES = ("image", "text")
SCORES = ("raw", "center", "zscore", "center + zscore", "standardize")
NUMBERS = {
    "map": "mAP",
    "ndcg10": "NDCG@10",
    "gain": "gain of mAP",
    "share10": "share of images in first 10",
}
HEADS = {
    f"{asks}_{number}": f"{asks} query: {title}"
    for asks in SIDES
    for number, title in NUMBERS.items()
}
FAIR = "relevant items"  # the row of the fractions among the relevant items


@checked
def plan(
    *, root: str | Path | None = None, train: Mapping[str, Any] | None = None, seed: int = 0
) -> Plan:
    """Plan the model.

    Args:
        root: folder that holds the data set ``emoji``; by default ``$MODALGAP_DATA``, or ``data``.
        train: training settings on top of the configuration ``emoji_vit``; as
            train.KEY=VALUE, for example train.steps=600.
        seed: seed of the intervals.

    Raises:
        MissingData: the data set is not there.
        OptionError: an unknown training setting.
    """
    settings, configs = planned(root, ("ViT",), train)
    return Plan(settings={**settings, "scores": list(SCORES), "seed": seed}, models=configs)


def run(work: Work) -> Table:
    """Search with every kind of score."""
    trained = work.runs["ViT"]
    fitted, pair = sample(work, trained), encoded(trained, source(work, "test"))
    seed = work.settings["seed"]
    rows: dict[str, dict[str, Value]] = {}
    raw: dict[str, Scores] = {}
    with progress("searching", len(SCORES)) as advance:
        for name in SCORES:
            found = searched(pair, fitted, name)
            raw = raw or {asks: each.precision for asks, each in found.items()}
            row: dict[str, Value] = {}
            for asks, each in found.items():
                row[f"{asks}_map"] = each.precision.number(seed)
                row[f"{asks}_ndcg10"] = each.ndcg.number(seed)
                if name != "raw":
                    row[f"{asks}_gain"] = each.precision.gain(raw[asks], seed)
                row[f"{asks}_share10"] = each.share.number(seed)
                rows.setdefault(FAIR, {})[f"{asks}_share10"] = each.fair.number(seed)
            rows[name] = row
            advance(1)
    fair = rows.pop(FAIR)
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="scores",
        rows={**rows, FAIR: fair},
        heads=HEADS,
        settings=work.settings,
        notes=[
            f"{pair.image.n:,} images and {pair.text.n:,} captions of new things in one index;"
            " the query itself is left out",
            NEW,
            "relevant: all other images and captions of the same object; queries without a relevant"
            " item are left out",
            f"{FAIR}: the mean share of images among the relevant items of a query",
            "gain: mAP minus that of raw scores, on the same queries",
            "intervals: 95 %, over objects",
        ],
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class QueryScores:
    """Numbers of the queries of one modality; one cluster per object.

    Attributes:
        precision: average precision.
        ndcg: NDCG@10.
        share: fraction of images among the first 10.
        fair: fraction of images among the relevant items.
    """

    precision: Scores
    ndcg: Scores
    share: Scores
    fair: Scores


def searched(pair: Pair, fitted: Pair, name: str) -> dict[str, QueryScores]:
    """Search images and captions together, by queries of both modalities.

    Args:
        pair: images and captions with the factor "object".
        fitted: pairs that maps and scales are fitted on.
        name: the kind of scores: one of ``SCORES``.
    """
    kind, _, second = name.partition(" + ")
    scaled = "zscore" in (kind, second)
    if kind not in ("raw", "zscore"):
        map_ = fit(fitted, kind)
        pair, fitted = map_.apply(pair), map_.apply(fitted)
    scaler = ScoreScaler.fit(fitted, fused=False) if scaled else None
    images, texts = codes(*(side.factors["object"] for side in pair.sides))
    gallery = torch.cat([side.unit() for side in pair.sides])
    forms = np.repeat([0, 1], [pair.image.n, pair.text.n])
    both = np.concatenate([images, texts])
    result = {}
    for at, (asks, own) in enumerate(zip(SIDES, (images, texts), strict=True)):
        correct = None if scaler is None else _correction(scaler, pair, at, forms)
        offset = np.arange(len(own)) + (pair.image.n if at else 0)
        result[asks] = _numbers(pair.sides[at].unit(), gallery, own, both, offset, forms, correct)
    return result


def _correction(
    scaler: ScoreScaler, pair: Pair, at: int, forms: Ints
) -> Callable[[Tensor], Tensor]:
    names = [side.modality for side in pair.sides]
    scales = np.array([scaler.scale(names[at], name) for name in names], np.float32)
    mean, deviation = torch.from_numpy(scales[forms].T.copy())
    return lambda scores: scores.sub_(mean).div_(deviation)


def _numbers(
    queries: Tensor,
    gallery: Tensor,
    own: Ints,
    both: Ints,
    itself: Ints,
    forms: Ints,
    correct: Callable[[Tensor], Tensor] | None,
) -> QueryScores:
    same = Relevant.same_class(own, both, itself=False)
    relevant = same.without(itself)
    ignored = same.where(same.items == np.repeat(itself, same.counts))
    ranked = ranks(queries, gallery, relevant, ignored=ignored, correct=correct, what="search")
    kept = ranked.queries
    scores = queries[torch.from_numpy(kept)] @ gallery.T
    if correct is not None:
        scores = correct(scores)
    scores[np.arange(len(kept)), itself[kept]] = -torch.inf
    first = scores.topk(K, dim=1).indices.numpy()
    seen = np.add.reduceat(forms[relevant.items] == 0, relevant.starts[:-1][kept])
    share: Floats = (forms[first] == 0).mean(1)
    fair: Floats = seen / relevant.counts[kept]
    return QueryScores(
        precision=Scores(ranked.average_precision(), own[kept]),
        ndcg=Scores(ranked.ndcg(K), own[kept]),
        share=Scores(share, own[kept], better="neither"),
        fair=Scores(fair, own[kept], better="neither"),
    )


PARTS = (
    Part(
        head="One index of images and captions",
        columns=2,
        words=(
            "A query is an image or a caption of a new thing, which has no image in the training"
            " data. All other images and captions of the same object are relevant. Raw scores rank"
            " by the cosine, although cosines within a modality and between modalities have"
            " different distributions. zscore standardises the cosines of each combination of"
            " query modality and item modality. center and standardize change the features.",
        ),
        panels=(
            Bars(
                title="Mean average precision",
                caption="Higher is better. Black lines: 95 % intervals over objects.",
                ys={f"{asks}_map": f"{asks} queries" for asks in SIDES},
                xlabel="mAP",
            ),
            Bars(
                title="Gain over raw scores",
                caption="mAP minus that of raw scores. Above 0, these scores are better.",
                ys={f"{asks}_gain": f"{asks} queries" for asks in SIDES},
                xlabel="gain of mAP",
                references=(Reference(at=0, axis="x"),),
            ),
            Bars(
                title="Images among the first ten",
                caption="The last row is the fraction of images among the relevant items; a search"
                " that favours no modality is near it.",
                ys={f"{asks}_share10": f"{asks} queries" for asks in SIDES},
                xlabel="fraction of images",
            ),
        ),
    ),
)
PUBLISHED = tuple(
    Order(
        claim=f"Emoji: standardised scores (zscore) raise the mAP of {asks} queries",
        where="an earlier computation of modalgap with another model of emoji",
        published=before,
        against="reference",
        larger=("zscore", f"{asks}_map"),
        smaller=("raw", f"{asks}_map"),
        needs=NEEDS,
        note="other model and split: only the direction is compared",
    )
    for asks, before in (("image", "mAP .378 → .402"), ("text", "mAP .482 → .515"))
)
emoji_search = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=15,
    extras=("train", *TRAIN),
    real=(*FETCH, "modalgap study emoji_search -o emoji_search"),
)
