"""Mixed search: raw, centred, standardised and merged scores, over many splits.

Each split fits maps and scales on one half of the images and searches the other half: one index of
images, texts and fused documents, 1:1:1 (see ``modalgap.evaluate.mixed``). Every row has NDCG@10 of
both kinds of query and the fraction of each form among the first ten results, without the correct
item; the fair fraction is one third. The last rows are fitted on fewer images.
Source: MixBench, arXiv 2507.19054; standardised scores: arXiv 2511.22141.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from modalgap import checks
from modalgap.advise.trial import halves
from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.close import ScoreScaler, fit
from modalgap.embeddings import Pair, joined
from modalgap.embeddings.pick import pick_images
from modalgap.errors import OptionError
from modalgap.evaluate.mixed import search_mixed
from modalgap.evaluate.mixed_index import FORMS
from modalgap.extras import TRAIN
from modalgap.panels import Bars, Part, Reference
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.study.base import Study
from modalgap.study.embedded import paired, pairs, planned
from modalgap.study.plan import Plan, Work
from modalgap.study.published import Order

CARD = Card(
    name="mixed_search",
    title="Mixed search: raw, centred and standardised scores",
    idea="Compares scores for one index of images, texts and fused documents over many splits.",
    source="MixBench, arXiv 2507.19054; standardised scores: arXiv 2511.22141",
    question="Which scores rank the correct item first, whatever its modality, and how many images"
    " are enough to fit them?",
    traits=("random",),
)
ASKS = ("text", "image")
HEADS = {
    f"{asks}_{number}": f"{asks} query: {title}"
    for asks in ASKS
    for number, title in (
        ("ndcg10", "NDCG@10"),
        ("share10_image", "fraction of images"),
        ("share10_text", "fraction of texts"),
        ("share10_fused", "fraction of fused"),
    )
}
EMBEDDED = "short"  # with full captions, raw scores are fair already
MAPS = ("center", "erase_gap", "shared_subspace")


@checked
def plan(
    *, pair: str = "", splits: int = 10, few: checks.Several[int] = (10, 20, 50, 100), seed: int = 0
) -> Plan:
    """Plan the splits of one pair.

    Args:
        pair: file of the embeddings of images and their captions; by default the embedded data.
        splits: number of splits into halves.
        few: numbers of images that the last rows are fitted on.
        seed: seed of the first split.

    Raises:
        OptionError: a value outside its range, or a file without captions.
    """
    checks.whole("splits", splits, 1, 1000)
    checks.whole("seed", seed, 0)
    for rows in checks.several("few", few):
        checks.whole("few", rows, 5)
    if pair and paired(pair).labels is not None:
        raise OptionError(f"pair must hold images and captions; {pair} does not")
    settings, models = planned(pair, EMBEDDED)
    settings |= {"splits": splits, "seed": seed, "few": checks.several("few", few)}
    return Plan(settings=settings, models=models)


def run(work: Work) -> Table:
    """Search every split with every kind of score."""
    settings = work.settings
    title, whole = next(iter(pairs(work).items()))
    pair = joined(whole).pair
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    with progress("mixed search", settings["splits"]) as advance:
        for split in range(settings["splits"]):
            seed = settings["seed"] + split
            for name, numbers in _split(pair, seed, settings["few"]).items():
                for number, value in numbers.items():
                    found[name][number].append(value)
            advance(1)
    rows = {
        name: {
            number: Value(float(np.mean(values)), details={"sd": float(np.std(values))})
            for number, values in numbers.items()
        }
        for name, numbers in found.items()
    }
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="scores",
        rows=rows,
        heads=HEADS,
        settings=settings,
        notes=[
            f"{title}: mean over {settings['splits']} splits; fitted on one half of"
            f" {pair.image.n:,} images, searched in the other",
            "fractions: of the first ten results, without the correct item; fair: 0.333",
        ],
    )


def _split(pair: Pair, seed: int, few: Sequence[int]) -> dict[str, dict[str, float]]:
    """Name of the scores to its numbers, on one split."""
    sample, judged = halves(pair, 0.5, seed)
    found = _searched(judged, sample, seed, {"zscore": "closed"}, merged=True)
    for method in MAPS:
        map_ = fit(sample, method)
        kinds = {f"{method} + zscore": "closed"}
        if method == "center":
            kinds |= {"center ÷ sd": "pairs", "center + zscore, best hits": "best"}
        found |= _searched(map_.apply(judged), map_.apply(sample), seed, kinds, name=method)
    order = np.random.default_rng(seed).permutation(sample.image.n)
    for rows in few:
        if rows < sample.image.n:
            part = pick_images(sample, np.sort(order[:rows]).astype(np.int64))
            own = _searched(judged, part, seed, {f"zscore, {rows} rows": "closed"})
            map_ = fit(part, "center")
            name = f"center + zscore, {rows} rows"
            own |= _searched(map_.apply(judged), map_.apply(part), seed, {name: "closed"})
            found |= {key: own[key] for key in (f"zscore, {rows} rows", name)}
    return found


def _searched(
    judged: Pair,
    sample: Pair,
    seed: int,
    estimates: Mapping[str, str],
    *,
    name: str = "raw",
    merged: bool = False,
) -> dict[str, dict[str, float]]:
    """Numbers of unscaled scores under ``name``, and of each estimate of scales."""
    forms = {"image": judged.image.modality, "text": judged.text.modality, "fused": "fused"}
    found: dict[str, dict[str, float]] = {}
    for title, estimate in estimates.items():
        scaler = ScoreScaler.fit(sample, estimate, seed=seed)
        scales = {
            asks: [scaler.scale(own, form) for form in forms.values()]
            for asks, own in forms.items()
        }
        scores = search_mixed(judged, ratios=(), seed=seed, scales=scales).scores
        ends = {"": name, "_zscore": title} | ({"_rrf": "rrf"} if merged else {})
        for end, row in ends.items():
            found[row] = {each: scores[f"{_named(each, forms)}{end}"].value for each in HEADS}
    return found


def _named(number: str, forms: Mapping[str, str]) -> str:
    """The name of a number with the modalities of the pair: text_share10_image."""
    asks, _, rest = number.partition("_")
    start, _, form = rest.rpartition("_")
    return f"{forms[asks]}_{start}_{forms[form]}" if form in forms else f"{forms[asks]}_{rest}"


PARTS = (
    Part(
        head="Relevance and fairness",
        words=(
            "Higher NDCG@10 is better only if the fractions stay near one third: with one caption"
            " per image the correct document always has the other modality, so a method that"
            " prefers the other modality also has a high NDCG.",
        ),
        panels=(
            Bars(
                title="NDCG@10 by modality of the query",
                caption="One bar per modality of the query; higher is better.",
                ys={f"{asks}_ndcg10": asks for asks in ASKS},
                xlabel="NDCG@10",
            ),
            Bars(
                title="Own modality among the first ten",
                caption="Fraction of results with the modality of the query. Dashed: the fair"
                " fraction, one third.",
                ys={f"{asks}_share10_{asks}": asks for asks in ASKS},
                xlabel="fraction",
                references=(Reference(at=1 / len(FORMS), axis="x", label="fair"),),
            ),
        ),
        columns=2,
    ),
)
PUBLISHED = tuple(
    Order(
        claim=f"NDCG@10 is higher with standardised scores than with centred scores ({asks}"
        " queries)",
        where="arXiv 2511.22141 (z-scores of pseudo-positives)",
        larger=("zscore", f"{asks}_ndcg10"),
        smaller=("center", f"{asks}_ndcg10"),
        note="other data and models: only the direction is compared",
    )
    for asks in ASKS
)

mixed_search = Study(
    card=CARD,
    plan=plan,
    run=run,
    parts=PARTS,
    published=PUBLISHED,
    minutes=3,
    real=(
        "modalgap encode coco -m open_clip:ViT-B-16/openai -o coco.safetensors",
        "modalgap study mixed_search -o mixed_search --set pair=coco.safetensors",
    ),
    extras=("train", *TRAIN),
)
