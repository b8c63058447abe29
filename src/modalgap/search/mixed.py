"""Mixed search: one list of documents of several modalities, which may share the query's modality.

Every row of the gallery is a document. Relevant are the documents of the query's class in any
modality, or without classes those of its item: its image, all its captions. The document that is
the query itself is left out. Each number is given with raw scores, with standardised scores
(``_zscore``; modalgap.close.ScoreScaler), and for lists of one modality each that are merged by
reciprocal rank (``_rrf``).

- ``ndcg10``, ``r1``: every relevant document counts.
- ``ndcg10_across``: only documents of other modalities than the query count; relevant documents of
  its own modality are left out of the list.
- ``share10_MODALITY``: the fraction of the first 10 results of that modality. The fair fraction is
  that of the gallery.

Source: MixBench, arXiv 2507.19054; standardised scores: arXiv 2511.22141; merged lists: Cormack et
al. 2009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from modalgap import checks
from modalgap.close.scores import ScoreScaler
from modalgap.embeddings import Embeddings, Pair
from modalgap.errors import InputError, NotApplicable
from modalgap.evaluate.base import Floats, Ints, Scores
from modalgap.evaluate.merging import merged_ndcg, merged_shares
from modalgap.evaluate.ranks import Ranks, Relevant, block_ranks
from modalgap.evaluate.shares import form_shares
from modalgap.linalg import blocks
from modalgap.progress import progress
from modalgap.result import Result
from modalgap.search.base import (
    JUDGED,
    LABEL,
    ROLE,
    ROW,
    Gallery,
    have,
    in_range,
    places,
    same_space,
)
from modalgap.search.result import described, result_of

K = 10


@dataclass(frozen=True, eq=False)
class _Documents:
    """All rows of the gallery, one modality after the other.

    Attributes:
        sides: the modalities.
        form: (m,) number of the modality of each document.
        starts: where each modality starts.
        classes: (m,) class or item of each document, from 0; −1 for none.
    """

    sides: tuple[Embeddings, ...]
    form: Ints
    starts: Ints
    classes: Ints


def mixed(
    queries: Embeddings,
    gallery: Gallery,
    factor: str | None,
    seed: int,
    scaler: ScoreScaler | None = None,
) -> Result:
    """Search all modalities of a gallery at once.

    Args:
        queries: (n, d) rows of one modality.
        gallery: a pair, several modalities, or one.
        factor: the factor of queries and documents that says the class. The default is ``label``,
            or the only factor that all share; else documents of the query's item are relevant.
        seed: of the bootstrap.
        scaler: means and deviations of scores; by default in closed form from queries and gallery.

    Raises:
        InputError: the two sets do not fit together, or the scaler was fitted on other vectors.
        NotApplicable: nothing says what is relevant, or no query has a relevant document.
    """
    sides, items = _sides(gallery)
    for side in sides:
        same_space(queries, side, "gallery")
    own = _own_documents(queries, sides)
    codes, asking, by = _classes(queries, gallery, sides, items, own, factor)
    sizes = [side.n for side in sides]
    form = np.repeat(np.arange(len(sides)), sizes)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    documents = _Documents(sides, form, starts, codes)
    relevant = Relevant.same_class(asking, codes, itself=False)
    alone = Relevant.of(np.flatnonzero(own >= 0), own[own >= 0], queries.n)
    relevant = relevant.without(own)
    if not relevant.counts.any():
        raise NotApplicable("mixed: nothing in the gallery is relevant to any query")
    scales, note = _scales(queries, sides, scaler)
    values = _search(queries, documents, relevant, alone, scales)
    asked = np.flatnonzero(relevant.counts)
    params = {
        "protocol": "mixed",
        "factor": factor,
        "asked": queries.n,
        "left_out": queries.n - len(asked),
        "seed": seed,
    }
    total = sum(sizes)
    details = {
        "classes_by": by,
        "asked": queries.n,
        "left_out": queries.n - len(asked),
        "searched": total,
        "fractions": {side.modality: side.n / total for side in sides},
        **note,
    }
    scores = {
        name: Scores(
            each, np.arange(len(each)), better="neither" if name.startswith("share") else "higher"
        )
        for name, each in values.items()
    }
    about = described(queries, gallery, sides[0], "gallery")
    names = ", ".join(side.modality for side in sides)
    about |= {"n_gallery": total, "modalities": {"queries": queries.modality, "gallery": names}}
    return result_of(scores, params, details, about)


def _sides(gallery: Gallery) -> tuple[tuple[Embeddings, ...], list[Ints]]:
    """The modalities, and the item (n,) of each row."""
    if isinstance(gallery, Embeddings):
        return (gallery,), [np.arange(gallery.n)]
    if isinstance(gallery, Pair):
        return gallery.sides, list(gallery.clusters)
    return gallery.sides, list(gallery.clusters.values())


def _own_documents(queries: Embeddings, sides: Sequence[Embeddings]) -> Ints:
    """(n,) the document that each query is; −1 where it is none."""
    found = np.full(queries.n, -1)
    start = 0
    for side in sides:
        if side.modality == queries.modality:
            if ROW in queries.factors and queries.factors[ROW].dtype.kind == "i":
                in_range(queries.factors[ROW], side.n, ROW, "rows of the gallery")
                return start + queries.factors[ROW]
            if side is queries or side.fingerprint == queries.fingerprint:
                return start + np.arange(side.n)
            if queries.names is not None and side.names is not None:
                where = places(side.names, "gallery", queries.names)
                rows = np.array([where.get(name, -1) for name in queries.names])
                return np.where(rows < 0, -1, start + rows)
        start += side.n
    return found


def _classes(
    queries: Embeddings,
    gallery: Gallery,
    sides: Sequence[Embeddings],
    items: Sequence[Ints],
    own: Ints,
    factor: str | None,
) -> tuple[Ints, Ints, str]:
    """Class of each document (m,) and of each query (n,), and what says it."""
    factors = [dict(side.factors) for side in sides]
    if isinstance(gallery, Pair) and gallery.labels is not None:
        for known, values in zip(factors, (gallery.labels, np.arange(sides[1].n)), strict=True):
            known.setdefault(LABEL, values)
    every = [dict(queries.factors), *factors]
    by = factor
    shared = set.intersection(*map(set, every)) - {ROW, ROLE, *JUDGED}
    if by is None and (LABEL in shared or len(shared) == 1):
        by = LABEL if LABEL in shared else next(iter(shared))
    if by is None:
        if (own < 0).all():
            raise NotApplicable(
                "mixed: factor must name the one that says the class, as no query is a row of the"
                f" gallery; queries have {have(queries.factors)}"
            )
        codes = np.concatenate(items)
        asking = np.where(
            own >= 0, codes[np.maximum(own, 0)], codes.max() + 1 + np.arange(len(own))
        )
        return codes, asking, "items"
    for known, what in zip(every, ["queries", *(side.modality for side in sides)], strict=True):
        checks.needs(by in known, f"{what}: must have the factor {by!r}; there is {have(known)}")
    columns = [known[by] for known in every]
    if len({column.dtype.kind == "U" for column in columns}) > 1:
        raise InputError(f"factor {by!r}: must be integers on all sides or strings on all")
    codes = np.unique(np.concatenate(columns), return_inverse=True)[1].reshape(-1)
    return codes[queries.n :], codes[: queries.n], by


def _scales(
    queries: Embeddings, sides: Sequence[Embeddings], scaler: ScoreScaler | None
) -> tuple[list[tuple[float, float]] | None, dict[str, str]]:
    """Mean and deviation of the scores of each modality, and a note where there is none."""
    if scaler is not None:
        for side in (queries, *sides):
            scaler.check(side)
        return [scaler.scale(queries.modality, side.modality) for side in sides], {}
    try:
        known = {f"document {side.modality}": side for side in sides}
        made = ScoreScaler.fit({"query": queries, **known})
    except NotApplicable as reason:
        return None, {"no_zscore": str(reason)}
    return [made.scale("query", name) for name in known], {}


def _search(
    queries: Embeddings,
    documents: _Documents,
    relevant: Relevant,
    alone: Relevant,
    scales: Sequence[tuple[float, float]] | None,
) -> dict[str, Floats]:
    """Numbers (k,) of the queries that have a relevant document."""
    form = torch.from_numpy(documents.form)
    rows = torch.cat([side.unit() for side in documents.sides])
    names = [side.modality for side in documents.sides]
    own = names.index(queries.modality) if queries.modality in names else -1
    across = relevant.where(documents.form[relevant.items] != own)
    within = relevant.where(documents.form[relevant.items] == own)
    lists = [_List(documents, relevant, alone, number) for number in range(len(names))]
    mean = torch.zeros(len(form))
    factor = torch.ones(len(form))
    if scales is not None:  # one common factor keeps rounding errors as small as those of cosines
        mean, deviation = torch.tensor(scales, dtype=torch.float32).T[:, form]
        factor = deviation.min() / deviation
    ends = ("",) if scales is None else ("", "_zscore")
    asks = queries.unit()
    ranked: dict[str, list[Ints]] = {}
    shares: dict[str, list[Floats]] = {}
    spans = list(blocks(queries.n, 2 * len(rows)))
    buffer = torch.empty(max(b - a for a, b in spans), len(rows))
    with progress("mixed search", queries.n) as advance:
        for a, b in spans:
            scores = torch.mm(asks[a:b], rows.T, out=buffer[: b - a])
            itself = alone.part(a, b)
            scores[np.repeat(np.arange(b - a), itself.counts), itself.items] = -torch.inf
            for each in lists:
                each.add(scores, a, b)
            for end in ends:
                if end:  # in place: raw scores are not needed any more
                    scores.sub_(mean).mul_(factor)
                ranked.setdefault(end, []).append(block_ranks(scores, relevant, None, a, b))
                shares.setdefault(end, []).append(form_shares(scores, form, len(names), K))
                if len(within.items):
                    other = block_ranks(scores.clone(), across, within, a, b)
                    ranked.setdefault(f"{end} across", []).append(other)
            advance(b - a)
    kept = np.flatnonzero(relevant.counts)
    merged = merged_ndcg(
        [each.part for each in lists], [each.ranks for each in lists],
        [each.size for each in lists], relevant.counts, K,
    )  # fmt: skip
    numbers: dict[str, Floats] = {}
    for end in ends:
        ranks = _ranks(relevant, ranked[end])
        numbers |= {f"ndcg{K}{end}": ranks.ndcg(K), f"r1{end}": ranks.within(1)}
        if across.counts[kept].all():
            far = ranked[f"{end} across" if len(within.items) else end]
            numbers[f"ndcg{K}_across{end}"] = _ranks(across, far).ndcg(K)
        numbers |= _by_name(np.concatenate(shares[end])[kept], names, end)
    numbers[f"ndcg{K}_rrf"] = merged[kept]
    return numbers | _by_name(merged_shares([each.size for each in lists], K)[kept], names, "_rrf")


def _by_name(shares: Floats, names: Sequence[str], end: str) -> dict[str, Floats]:
    return {f"share{K}_{name}{end}": shares[:, number] for number, name in enumerate(names)}


def _ranks(relevant: Relevant, parts: Sequence[Ints]) -> Ranks:
    some = np.flatnonzero(relevant.counts)
    starts = np.concatenate([[0], np.cumsum(relevant.counts[some])])
    return Ranks(some, starts, np.concatenate(parts))


class _List:
    """The documents of one modality, ranked by themselves."""

    def __init__(
        self, documents: _Documents, relevant: Relevant, alone: Relevant, number: int
    ) -> None:
        self._span = slice(*documents.starts[number : number + 2])
        self.part = self._of(relevant)
        self.size = documents.sides[number].n - self._of(alone).counts
        self._ranks: list[Ints] = []

    def _of(self, relevant: Relevant) -> Relevant:
        here = (relevant.items >= self._span.start) & (relevant.items < self._span.stop)
        part = relevant.where(here)
        return Relevant(part.starts, part.items - self._span.start)

    def add(self, scores: Tensor, a: int, b: int) -> None:
        """Take the scores (b - a, m) of queries a … b; −inf leaves a document out."""
        self._ranks.append(block_ranks(scores[:, self._span], self.part, None, a, b))

    @property
    def ranks(self) -> Ints:
        """(k,) rank of each relevant document in this list."""
        return np.concatenate(self._ranks)
