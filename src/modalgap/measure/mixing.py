"""Mixing: does search in one pool of images and texts find the other modality?

Equations, over a pool of all images and all texts, the query itself left out: ITR (TIR) is the
share of image (text) queries whose nearest item is a text (an image); TMR (IMR) is the mean rank of
the best text (image) for image (text) queries.
Source: arXiv 2505.03703. Users notice it as "text always ranks first" in mixed search.
Relations: with a large gap ITR = TIR = 0, and the ranks are near the size of the query's modality.
Fails when: one side is much larger: its items are then nearest more often by chance.
"""

from __future__ import annotations

from modalgap.card import Card
from modalgap.checks import whole
from modalgap.measure.base import Evidence, Measure
from modalgap.measure.intervals import mean_interval, wilson
from modalgap.result import Value

K = 10  # the same pass finds the neighbours that nas and hubness use by default

_SOURCE = "arXiv 2505.03703 (mixing in a shared database)"


def _share(name: str, query: str, other: str) -> Card:
    return Card(
        name=name,
        group="What does it do to search and to predictions?",
        traits=("size",),
        title=f"Nearest of {query} queries is {other}",
        question=f"In a mixed index, do {query} queries ever find {other}s first?",
        idea=f"The fraction of {query} queries whose nearest item in a mixed pool is {other}.",
        equation=rf"\operatorname{{mean}}_q [\text{{nearest}}(q) \in \text{{{other}}}]",
        source=_SOURCE,
        direction="higher",
        low=0.0,
        high=1.0,
        interval="Wilson, with as many independent queries as images, for this pool",
    )


def _rank(name: str, query: str, other: str) -> Card:
    return Card(
        name=name,
        group="What does it do to search and to predictions?",
        traits=("size",),
        title=f"Rank of the best {other} for {query} queries",
        question=f"How far down a mixed result list is the first {other} for {query} queries?",
        idea=(
            f"The rank of the best {other} in a mixed pool, averaged over {query} queries; 1 is "
            f"first."
        ),
        equation=rf"\operatorname{{mean}}_q \min \operatorname{{rank}}(q, \text{{{other}}})",
        source=_SOURCE,
        direction="lower",
        low=1.0,
        interval="jackknife over images, for this pool",
    )


ITR, TIR = _share("itr", "image", "text"), _share("tir", "text", "image")
TMR, IMR = _rank("tmr", "image", "text"), _rank("imr", "text", "image")


def _value(evidence: Evidence, card: Card, side: int, max_rows: int, seed: int) -> Value:
    whole("max_rows", max_rows, 2)
    evidence.resolved()
    k = min(K, min(max_rows, evidence.image.n) - 1, min(max_rows, evidence.text.n) - 1)
    above = evidence.mixed(k, max_rows, seed)[side]
    rows = evidence.sides[side]
    clusters = rows.clusters[rows.sample(max_rows, seed)].numpy()
    if card in (TMR, IMR):
        ranks = above.double().numpy() + 1
        return Value(float(ranks.mean()), mean_interval(clusters, ranks, card.low, card.high))
    first = float((above == 0).double().mean())
    return Value(first, wilson(first, len(set(clusters.tolist()))))


def _itr(evidence: Evidence, *, max_rows: int = 30_000, seed: int = 0) -> Value:
    """A pool of at most ``max_rows`` rows of each modality, drawn with ``seed``."""
    return _value(evidence, ITR, 0, max_rows, seed)


def _tir(evidence: Evidence, *, max_rows: int = 30_000, seed: int = 0) -> Value:
    """A pool of at most ``max_rows`` rows of each modality, drawn with ``seed``."""
    return _value(evidence, TIR, 1, max_rows, seed)


def _tmr(evidence: Evidence, *, max_rows: int = 30_000, seed: int = 0) -> Value:
    """A pool of at most ``max_rows`` rows of each modality, drawn with ``seed``."""
    return _value(evidence, TMR, 0, max_rows, seed)


def _imr(evidence: Evidence, *, max_rows: int = 30_000, seed: int = 0) -> Value:
    """A pool of at most ``max_rows`` rows of each modality, drawn with ``seed``."""
    return _value(evidence, IMR, 1, max_rows, seed)


itr = Measure(ITR, _itr)
tir = Measure(TIR, _tir)
tmr = Measure(TMR, _tmr)
imr = Measure(IMR, _imr)
