"""The first page of mixed search: predicted from moments, and counted on points and on embeddings.

Shows ``modalgap.simulate.first_page`` for several gaps, and applies the same prediction to
embeddings: means and covariances come from one half of the images, the other half is searched.
"predicted" uses one Gaussian per form of document for all queries; in "by query" the mean score of
each form differs from query to query.
Source: MixBench, arXiv 2507.19054 (the bias of mixed search); the prediction is modalgap's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from modalgap import checks
from modalgap.advise.trial import halves
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.embeddings import Pair, joined
from modalgap.errors import OptionError
from modalgap.extras import TRAIN
from modalgap.measure import measure
from modalgap.panels import Curves, Part, Reference, Scatter
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate import first_page as simulation
from modalgap.simulate.first_page import ASKS, KINDS, SCORES, compared
from modalgap.study import features
from modalgap.study.base import Study
from modalgap.study.embedded import TITLES, paired, pairs, planned, stem
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Number, Published
from modalgap.trace import traced

EMBEDDED = ("short", "full")
FORMS = {"image": "images", "text": "texts", "fused": "fused documents"}
CARD = Card(
    name="first_page",
    title="The first page of mixed search, predicted",
    idea="Predicts shares of the first results from means and covariances, and counts them.",
    source="MixBench, arXiv 2507.19054; the prediction is modalgap's own",
    question="Do means and covariances alone predict which modality fills the first page?",
    traits=("random",),
)


@checked
def plan(
    *,
    pair: str = "",
    gaps: checks.Several[float] = (0.0, 0.3, 0.6, 0.9, 1.2),
    n: int = 600,
    splits: int = 10,
    k: int = 10,
    seed: int = 0,
) -> Plan:
    """Plan the simulation and the splits of each pair.

    Args:
        pair: file of the embeddings of images and their captions; by default the embedded data.
        gaps: gaps of the simulation.
        n: items of the simulation.
        splits: number of splits of a pair into halves.
        k: number of first results.
        seed: seed of the simulation and of the first split.

    Raises:
        OptionError: a value outside its range, or a file without captions.
    """
    distances = checks.several("gaps", gaps, least=1)
    for gap in distances:
        checks.at_least("gaps", gap, 0.0, 1.6)
    checks.distinct("gaps", [f"{gap:g}" for gap in distances])
    checks.whole("n", n, 30, 100_000)
    checks.whole("splits", splits, 1, 1000)
    checks.whole("k", k, 1, n)
    checks.whole("seed", seed, 0, 2**62)
    if pair:
        stem(pair, "simulated")
    settings, models = planned(pair, *EMBEDDED)
    if pair and paired(pair).labels is not None:
        raise OptionError(f"pair must hold images and captions; {pair} does not")
    settings |= {"gaps": distances, "n": n, "splits": splits, "k": k, "seed": seed}
    return Plan(settings=settings, models=models)


def run(work: Work) -> Table:
    """Simulate, then count the first pages of each pair."""
    settings = work.settings
    k, seed = settings["k"], settings["seed"]
    simulated = simulation(gaps=settings["gaps"], n=settings["n"], k=k, seed=seed)
    points = {f"simulated: {name}": dict(values) for name, values in simulated.rows.items()}
    rows, summary = dict(points), {"simulated": _summary(points)}
    notes = [*simulated.notes]
    for title, found in pairs(work).items():
        each = joined(found).pair
        points = _rows(title, each, settings["splits"], k, seed)
        rows |= points
        summary[title] = _summary(points)
        notes.append(f"{title}: {each.image.n:,} images, mean over {settings['splits']} splits")
    return replace(
        simulated,
        name=CARD.name,
        source=CARD.source,
        rows=summary | rows,
        settings=settings,
        notes=notes,
    )


def _summary(rows: Mapping[str, Mapping[str, Value]]) -> dict[str, Value]:
    """The largest errors of some rows, with every predicted and counted share."""
    return {
        f"error_{kind}": traced(
            max(values[f"error_{kind}"].value for values in rows.values()),
            [values[f"{form}_{kind}"].value for values in rows.values() for form in FORMS],
            [values[f"{form}_counted"].value for values in rows.values() for form in FORMS],
        )
        for kind in ("predicted", "by_query")
    }


def _rows(title: str, pair: Pair, splits: int, k: int, seed: int) -> dict[str, dict[str, Value]]:
    """Rows of one pair, by modality of the query and kind of scores."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with progress(f"first pages, {title}", splits) as advance:
        for split in range(seed, seed + splits):
            for score, by_asks in compared(*halves(pair, 0.5, split), k, split).items():
                for asks, numbers in by_asks.items():
                    for number, value in numbers.items():
                        found[row_name(title, asks, score)][number].append(value)
            advance(1)
    gap = Value(measure(pair, ["l2m"])["l2m"].value)
    ordered = [row_name(title, asks, score) for asks in ASKS for score in SCORES]
    return {
        row: {"gap": gap}
        | {
            number: Value(float(np.mean(values)), details={"sd": float(np.std(values))})
            for number, values in found[row].items()
        }
        for row in ordered
    }


def row_name(title: str, asks: str, score: str) -> str:
    """The row of a pair, a modality of the query and a kind of scores."""
    return f"{title}, {asks} queries: {score}"


TEXTS = {f"text_{kind}": kind.replace("_", " ") for kind in KINDS}
PARTS = (
    Part(
        head="Gaussian points",
        words=(
            "A text query searches one index of images, texts and fused documents (an image with"
            " its text), in equal parts. Counted is the share of each form of document among the"
            " first results. Two predictions use only the mean and the covariance of each form."
            " Predicted: the scores of all queries and one form are one Gaussian. By query: each"
            " query has its own mean score for each form. Both are close for Gaussian points; the"
            " rows of embeddings show how far they are from the counted shares there.",
            "With raw scores, texts fill the first page as the gap grows. Centring removes the"
            " dependence on the gap, but scores of texts with texts still vary more than scores of"
            " texts with images. Standardised scores are nearly fair if the gap is small.",
        ),
        panels=tuple(
            Curves(
                title=f"Texts on the first page: {title}",
                caption="Share of texts, counted and predicted (dashed). Dashed black line: the"
                " fair share, one third.",
                ys=TEXTS,
                x="gap",
                match=f"simulated: {score},",
                dashed="predicted",
                xlabel="gap (distance of means)",
                ylabel="share of the first k",
                limits=(0, 1),
                references=(Reference(at=1 / 3, label=label),),
            )
            for score, title, label in (
                ("raw", "raw", "fair"),
                ("centred", "centred", "fair"),
                ("standardised", "standardised", ""),
                ("both", "centred and standardised", ""),
            )
        ),
        columns=2,
    ),
    Part(
        head="Points and embeddings",
        words=(
            "The same prediction for embeddings. Means and covariances are those of one half of the"
            " images; the other half is searched. Each point is the share of one form of document,"
            " for one kind of scores and one modality of the query.",
        ),
        panels=tuple(
            Scatter(
                title=title,
                caption="The nearer to the dashed line, the better the prediction.",
                trace=f"error_{kind}",
                xlabel="predicted share",
                ylabel="counted share",
                references=(Reference(at=0, axis="xy", label="equal"),),
            )
            for kind, title in (
                ("predicted", "Prediction for all queries together"),
                ("by_query", "Prediction by query"),
            )
        ),
        columns=2,
    ),
)
FILE = features.COCO
# on this file: the shares of images, texts and fused documents
COUNTED = {
    ("text", "raw"): (0.0, 0.93, 0.07),
    ("image", "raw"): (0.94, 0.0, 0.06),
    ("text", "centred"): (0.06, 0.53, 0.42),
    ("image", "centred"): (0.53, 0.07, 0.40),
    ("text", "standardised"): (0.43, 0.27, 0.30),
    ("image", "standardised"): (0.27, 0.44, 0.29),
    ("text", "both"): (0.35, 0.33, 0.32),
    ("image", "both"): (0.33, 0.36, 0.31),
}
CLOSE = 0.05  # largest difference of a Gaussian prediction from the counted share
SAID = {each: each for each in SCORES} | {"both": "centred and standardised"}


def _counted() -> list[Published]:
    return [
        Number(
            claim=f"{asks} queries, {SAID[score]} scores: the share of {FORMS[form]} is {value:g}",
            where="a separate computation of modalgap, CLIP ViT-B/16 on 500 pairs of COCO, ten"
            " splits",
            against="reference",
            cell=(row_name(FILE, asks, score), f"{form}_counted"),
            value=value,
            tolerance=0.025,
            needs=features.NEEDS,
        )
        for (asks, score), values in COUNTED.items()
        for form, value in zip(FORMS, values, strict=True)
    ]


def _follows(row: str, what: str, needs: str = "", why: str = "") -> Number:
    return Number(
        claim=f"Means and covariances predict the shares: {what}",
        where="a prediction of modalgap, Gaussian tails by query",
        against="reference",
        published=f"largest error 0 ± {CLOSE:g}",
        cell=(row, "error_by_query"),
        value=0.0,
        tolerance=CLOSE,
        needs=needs,
        why=why,
    )


THIN = "scores are not Gaussian: in the simulation their skewness is -0.4 to -0.9 within a modality"
THICK = "scores are not Gaussian: their skewness is 0.6 between texts and images, 0.1 between texts"
FEW = "captions repeat (314 different ones for 2,154 images), so equal scores come in clusters"
MADE = "the embedded data; run the study without the option pair"
FOLLOWS = [
    *(
        _follows(
            f"simulated: {score}, gap {gap}",
            f"Gaussian points, {SAID[score]} scores, gap {gap}",
            why=THIN,
        )
        for score in SCORES
        for gap in ("0.6", "1.2")
    ),
    *(
        _follows(
            row_name(title, asks, score), f"{title}, {asks} queries, {SAID[score]} scores", *known
        )
        for title, *known in (
            (TITLES["short"], MADE, FEW),
            (TITLES["full"], MADE),
            (FILE, features.NEEDS, THICK),
        )
        for asks in ASKS
        for score in SCORES
    ),
]
PUBLISHED: tuple[Published, ...] = (*_counted(), *FOLLOWS)
first_page = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=3,
    real=(
        *features.FETCH,
        f"modalgap study first_page -o first_page --set pair={FILE}.npy",
    ),
    extras=("train", *TRAIN),
)
