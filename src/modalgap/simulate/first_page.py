r"""The first page of a mixed index: which modality fills it, predicted and counted, by gap.

Images, texts and fused documents (the normalised sum of both) share one index. Points are Gaussian
around the mean of their modality. Part of their content is shared by matched items, the rest is
private to a modality. Rows are normalised. Means are (c, ±δ/2, 0, …), where c is the option
``cone``, so δ is the gap. The prediction needs only the mean and the covariance of each form:

    \sum_m n_m P(N(\mu_m, \sigma_m^2) > t) = k, share of form m: n_m P(N(\mu_m, \sigma_m^2) > t) / k

with the closed-form mean and spread of unrelated scores (``modalgap.embeddings.cosine_moments``).
In the second prediction, "by query", the mean of the scores differs from query to query.
Source: MixBench, arXiv 2507.19054 (the bias of mixed search); the prediction is modalgap's own.
Expected: with raw scores the query's own modality fills the page once the gap is above about half
the spread. Centring removes the dependence on the gap but not the bias, because scores within a
modality vary more. Standardised scores are nearly fair.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.card import Card
from modalgap.checks import Several, at_least, distinct, fits, several, share, whole
from modalgap.close import fit
from modalgap.embeddings import Embeddings, Pair
from modalgap.embeddings.cosine_moments import cosine_moments, mean_and_covariance
from modalgap.errors import InputError, OptionError
from modalgap.evaluate.first_page import shares_by_query, shares_of_scales
from modalgap.evaluate.mixed import search_mixed
from modalgap.evaluate.mixed_index import Forms
from modalgap.progress import progress
from modalgap.result import Table, Value
from modalgap.simulate.base import Simulation

ASKS = ("text", "image")
NAMES = {"image": "images", "text": "texts", "fused": "fused"}  # forms of documents
KINDS = {"counted": "", "predicted": ", predicted", "by_query": ", by query"}
SCORES = ("raw", "centred", "standardised", "both")  # both: centred, then standardised
ERRORS = {"error_predicted": "error, predicted", "error_by_query": "error, by query"}
HEADS = {
    "gap": "gap",
    **{f"{form}_{kind}": f"{title}{end}" for form, title in NAMES.items()
       for kind, end in KINDS.items()},
    **ERRORS,
}  # fmt: skip
Shares = dict[str, float]
CARD = Card(
    name="first_page",
    title="The first page of mixed search",
    idea=(
        "Predicts from means and covariances which share of the first results are images, texts"
        " and fused documents, and counts it on Gaussian points."
    ),
    equation=r"\sum_m n_m P(N(\mu_m, \sigma_m^2) > t) = k",
    source="MixBench, arXiv 2507.19054; the prediction is modalgap's own",
    question="Which modality fills the first page, and does only the gap decide it?",
    traits=("random",),
)


@checked
def _first_page(
    *,
    gaps: Several[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2),
    n: int = 600,
    dim: int = 128,
    cone: float = 0.58,
    private: float = 0.5,
    decay: float = 1.0,
    k: int = 10,
    seed: int = 0,
) -> Table:
    """Search Gaussian points with four kinds of scores, for several gaps.

    Args:
        gaps: distances between the means of images and texts, before rows are normalised.
        n: number of items; one third each is stored as an image, as a text and as a fused
            document. The means and covariances come from n other items.
        dim: number of dimensions.
        cone: length of the common mean of both modalities.
        private: fraction of the variance that matched items do not share, above 0 and up to 1.
        decay: exponent of the spectrum of the covariances; 0 for equal variances.
        k: number of first results.
        seed: seed of the points and of the form in which each item is stored.

    Returns:
        One row per kind of scores and gap, with the share of each form among the first k of text
        queries, without the correct item: counted, predicted, and predicted by query; and the
        largest error of each prediction over the forms. Image queries are the same with images
        and texts swapped.

    Raises:
        OptionError: an option outside its range, or sizes that do not fit in memory.
    """
    whole("n", n, 30, 100_000)
    whole("dim", dim, 4, 2**16)
    whole("k", k, 1, n)
    whole("seed", seed, 0, 2**62)
    at_least("cone", cone, 0.0, 0.99)
    at_least("decay", decay, 0.0, 10.0)
    share("private", private)
    distances = several("gaps", gaps, least=1)
    for gap in distances:
        at_least("gaps", gap, 0.0, 2.0)
        if cone**2 + gap**2 / 4 >= 1:
            raise OptionError(
                f"gaps: cone² + gap²/4 must be below 1, for unit rows; got {gap:g} with cone"
                f" {cone:g}"
            )
    distinct("gaps", [f"{gap:g}" for gap in distances])
    fits("n, dim", 8.0 * (40 * n * dim + 12 * dim**2))
    rows = {}
    with progress("first pages", len(distances)) as advance:
        for gap in distances:
            sample, judged = _points(gap, n, dim, cone, private, decay, seed)
            found = compared(sample, judged, k, seed)
            for name, numbers in found.items():
                values = {each: Value(value) for each, value in numbers["text"].items()}
                rows[f"{name}, gap {gap:g}"] = {"gap": Value(float(gap)), **values}
            advance(1)
    ordered = {f"{name}, gap {gap:g}": rows[f"{name}, gap {gap:g}"]
               for name in SCORES for gap in distances}  # fmt: skip
    return Table(
        name=CARD.name,
        source=CARD.source,
        vary="scores",
        rows=ordered,
        heads=HEADS,
        settings={
            "gaps": distances, "n": n, "dim": dim, "cone": cone, "private": private,
            "decay": decay, "k": k, "seed": seed,
        },
        notes=[
            f"text queries; shares of the first {k} of {n:,} documents, without the correct item;"
            " fair: 0.333",
            "both: centred, then standardised; error: the largest over images, texts and fused",
        ],
    )  # fmt: skip


first_page = Simulation(CARD, _first_page)


def compared(sample: Pair, judged: Pair, k: int, seed: int) -> dict[str, dict[str, Shares]]:
    """Kind of scores to modality of the query to shares on the first page and errors, by column.

    Args:
        sample: the pair that gives means, covariances and the map of centring.
        judged: the pair that is searched; each item is stored in one form, 1:1:1.
        k: number of first results.
        seed: of the form in which each item is stored.
    """
    map_ = fit(sample, "center")
    raw, standardised = _searched(sample, judged, k, seed)
    centred, both = _searched(map_.apply(sample), map_.apply(judged), k, seed)
    return dict(zip(SCORES, (raw, centred, standardised, both), strict=True))


def _searched(
    sample: Pair, judged: Pair, k: int, seed: int
) -> tuple[dict[str, Shares], dict[str, Shares]]:
    """Shares by modality of the query, with plain and with standardised scores."""
    known = [mean_and_covariance([rows]) for rows in Forms.of(sample).documents]
    queries = dict(zip(NAMES, known, strict=True))
    scales = {
        asks: [cosine_moments(moments, each) for each in known] for asks, moments in queries.items()
    }
    outcome = search_mixed(judged, ratios=(), k=k, seed=seed, scales=scales)
    there = {"image": judged.image.modality, "text": judged.text.modality, "fused": "fused"}
    if f"{there[ASKS[0]]}_share{k}_{there['image']}_zscore" not in outcome.scores:
        raise InputError("the scores of a query must vary; here all rows of a modality are equal")
    counts = [float(outcome.details["stored"][there[form]]) for form in NAMES]
    plain: dict[str, Shares] = {}
    standardised: dict[str, Shares] = {}
    fair = [(0.0, 1.0)] * len(NAMES)
    for asks in ASKS:
        for numbers, end, pooled, divided in (
            (plain, "", scales[asks], None),
            (standardised, "_zscore", fair, scales[asks]),
        ):
            counted = [f"{there[asks]}_share{k}_{there[form]}{end}" for form in NAMES]
            shares: dict[str, Sequence[float]] = {
                "counted": [outcome.scores[name].value for name in counted],
                "predicted": shares_of_scales(pooled, counts, k).tolist(),
                "by_query": shares_by_query(queries[asks], known, counts, k, divided).tolist(),
            }
            numbers[asks] = {
                f"{form}_{kind}": float(shares[kind][at])
                for at, form in enumerate(NAMES)
                for kind in KINDS
            } | {
                f"error_{kind}": float(np.abs(np.subtract(shares[kind], shares["counted"])).max())
                for kind in ("predicted", "by_query")
            }
    return plain, standardised


def _points(
    gap: float, n: int, dim: int, cone: float, private: float, decay: float, seed: int
) -> tuple[Pair, Pair]:
    """Two pairs of n items from the same Gaussians: to fit, and to search."""
    random = torch.Generator().manual_seed(seed)
    centre = torch.zeros(2, dim)
    centre[:, 0], centre[0, 1], centre[1, 1] = cone, gap / 2, -gap / 2
    spectrum = torch.arange(1, dim - 1, dtype=torch.float32) ** -decay
    spectrum *= (1 - cone**2 - gap**2 / 4) / spectrum.sum()
    shared, *own = (spectrum[torch.randperm(dim - 2, generator=random)] for _ in range(3))
    made = []
    for _ in range(2):
        content = torch.randn(n, dim - 2, generator=random) * ((1 - private) * shared).sqrt()
        sides: list[Tensor] = []
        for side in range(2):
            other = torch.randn(n, dim - 2, generator=random) * (private * own[side]).sqrt()
            rows = centre[side].repeat(n, 1)
            rows[:, 2:] += content + other
            sides.append(rows)
        made.append(Pair(Embeddings(sides[0], "image"), Embeddings(sides[1], "text")))
    return made[0], made[1]
