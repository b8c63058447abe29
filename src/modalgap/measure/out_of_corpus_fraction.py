"""Out-of-corpus queries: how many queries are farther from the gallery than its items are?

Equation: mean_q [max_v cos(q, v) < c], v the items of the other modality and c the 1 % quantile,
over these items, of the largest cosine with another item of the gallery. Gallery items with an
exact duplicate (cosine above 0.9999) do not count for c while there are others.
Source: the check of search tools for queries from another model or domain, as in vecscope 0.2
(query audit), for galleries of the other modality.
Relations: the modality gap under the name that search engines know: with a gap, every query of the
other modality is reported as out of the corpus, although the right item is in it. Thresholds that
were fitted within one modality therefore fail across modalities.
Fails when: it is read as a property of the queries. 1 means that the two kinds of scores differ.
"""

from __future__ import annotations

import numpy as np

from modalgap import checks
from modalgap.card import Card
from modalgap.measure.base import Measure, Seen
from modalgap.measure.intervals import wilson
from modalgap.result import Value

K = 10  # the sweep also finds the neighbours that hubness asks for by default
EXACT = 0.9999

CARD = Card(
    name="out_of_corpus_fraction",
    group="What does it do to search and to predictions?",
    traits=("size",),
    roles=("modality", "other"),
    title="Out-of-corpus queries",
    question=(
        "How many queries of this modality look as if the gallery of the other modality did not"
        " contain their subject?"
    ),
    idea=(
        "The fraction of queries whose best score in the gallery of the other modality is below"
        " what 99 % of the gallery items have among themselves."
    ),
    equation=r"\operatorname{mean}_q [\max_v \cos(q, v) < c]",
    source="query audit of vecscope 0.2, across modalities",
    direction="lower",
    low=0.0,
    high=1.0,
    interval="Wilson, with as many independent queries as images, for this gallery",
)


def _out_of_corpus_fraction(
    seen: Seen, *, quantile: float = 0.01, max_rows: int = 30_000, seed: int = 0
) -> Value:
    """Options.

    ``quantile``: of the scores of gallery items among themselves, below which a query counts. At
    most ``max_rows`` rows of each modality, drawn with ``seed``.
    """
    checks.share("quantile", quantile)
    checks.whole("max_rows", max_rows, 2)
    evidence, queries = seen.evidence, seen.side
    evidence.resolved()
    which = int(queries is evidence.text)
    gallery = evidence.sides[1 - which]
    k = min(K, min(gallery.n, max_rows) - 1)
    own = gallery.nearest_cosine(k, max_rows, seed).double().numpy()
    own = own[own < EXACT] if (own < EXACT).any() else own
    cutoff = float(np.quantile(own, quantile))
    best = evidence.best(max_rows, seed)[which].double().numpy()
    value = float((best < cutoff).mean())
    clusters = np.unique(queries.clusters[queries.sample(max_rows, seed)].numpy())
    return Value(
        value,
        wilson(value, len(clusters)),
        details={
            "cutoff": cutoff,
            "median_best_of_queries": float(np.median(best)),
            "median_best_of_gallery": float(np.median(own)),
        },
    )


out_of_corpus_fraction = Measure(CARD, _out_of_corpus_fraction)
