"""Rank the items of a gallery for each query; neither queries nor gallery need to fit in memory.

Queries and gallery are divided into spans. A cell is a span of queries and a span of the gallery.
In each cell, the items that score at least as high as a relevant item are counted. A rank is the
sum of these counts, so ranks are exact. Scores of relevant items are taken from the same matrix
products in which the others are counted: another product could differ in the last bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.embeddings import Embeddings
from modalgap.embeddings.streaming import SPAN
from modalgap.evaluate.ranks import (
    Ints,
    Ranks,
    Relevant,
    at_least,
    block_ranks,
    final_ranks,
    padded,
)
from modalgap.linalg import blocks
from modalgap.work import Advance, Span, spans_of, spread

Rows = Tensor | Embeddings
Correct = Callable[[Tensor], Tensor]
AT_ONCE = 4096  # queries that are read at once


def ranks(
    queries: Rows,
    gallery: Rows,
    relevant: Relevant,
    *,
    itself: bool = False,
    ignored: Relevant | None = None,
    correct: Correct | None = None,
    what: str = "ranking",
) -> Ranks:
    """Rank the gallery for each query.

    Args:
        queries: (n, d) rows.
        gallery: (m, d) rows; scores are inner products.
        relevant: the relevant items of each query.
        itself: whether query q is item q, which is then excluded.
        ignored: items that are excluded per query; relevant items are not excluded.
        correct: function from scores (b, m) of a block of queries to corrected scores. It needs
            all items at once, so the gallery must fit in memory.
        what: label of the progress bar.
    """
    n, m = size(queries), size(gallery)
    some = np.flatnonzero(relevant.counts).astype(np.int64)
    starts = np.concatenate([[0], np.cumsum(relevant.counts[some])]).astype(np.int64)
    search = _Search(_bare(queries), _bare(gallery), itself, m if correct else SPAN)
    if m <= search.span or correct is not None:
        out = _in_memory(search, n, relevant, ignored, correct, what)
    else:
        out = _by_spans(search, n, m, relevant, ignored, what)
    return Ranks(some, starts, out)


def nearest(queries: Rows, gallery: Rows, what: str = "nearest items") -> Ints:
    """(n,) the item of the gallery (m, d) with the largest score for each query (n, d)."""
    search = _Search(_bare(queries), _bare(gallery), itself=False, span=SPAN)
    cells = [(q, g) for g in spans_of(size(gallery), SPAN) for q in spans_of(size(queries), SPAN)]
    best = torch.full((size(queries),), -torch.inf)
    index = torch.zeros(size(queries), dtype=torch.int64)
    found = spread(_Nearest(search), [q for q, _ in cells], what, more=((g,) for _, g in cells))
    for (q, _), (values, items) in zip(cells, found, strict=True):
        here = slice(*q)
        better = values > best[here]
        best[here][better], index[here][better] = values[better], items[better]
    return index.numpy()


def size(rows: Rows) -> int:
    """Number of rows."""
    return rows.n if isinstance(rows, Embeddings) else len(rows)


@dataclass(frozen=True, eq=False)
class _Search:
    """Queries and gallery.

    Attributes:
        queries: (n, d) rows.
        gallery: (m, d) rows.
        itself: whether query q is item q.
        span: number of items that are in memory at a time.
    """

    queries: Rows
    gallery: Rows
    itself: bool
    span: int
    _last: dict[Span, Tensor] = field(default_factory=dict, repr=False)

    def items(self, span: Span) -> Tensor:
        """The items of a span; those of the last call stay in memory."""
        if span not in self._last:
            self._last.clear()
            rows = self.gallery
            self._last[span] = (
                rows.unit(*span) if isinstance(rows, Embeddings) else rows[slice(*span)]
            )
        return self._last[span]

    def scores(self, queries: Span, items: Span) -> Iterator[tuple[int, int, Tensor]]:
        """Yield (a, b, scores (b - a, items)) of blocks of queries; a query itself has −∞."""
        y = self.items(items)
        steps = list(blocks(queries[1] - queries[0], len(y)))
        step = max((b - a for a, b in steps), default=1)
        product = torch.empty(step, len(y))
        for start, rows in _chunks(self.queries, queries, step * max(1, AT_ONCE // step)):
            for first in range(0, len(rows), step):
                x = rows[first : first + step]
                a, b = start + first, start + first + len(x)
                block = torch.mm(x, y.T, out=product[: b - a])
                if self.itself and a < items[1] and b > items[0]:
                    own = torch.arange(max(a, items[0]), min(b, items[1]))
                    block[own - a, own - items[0]] = -torch.inf
                yield a, b, block

    def __getstate__(self) -> tuple[object, ...]:
        return self.queries, self.gallery, self.itself, self.span

    def __setstate__(self, state: tuple[object, ...]) -> None:
        names = ("queries", "gallery", "itself", "span")
        self.__dict__.update(zip(names, state, strict=True), _last={})


def _in_memory(
    search: _Search,
    n: int,
    relevant: Relevant,
    ignored: Relevant | None,
    correct: Correct | None,
    what: str,
) -> Ints:
    """All ranks, with the whole gallery in memory."""
    spans = spans_of(n, SPAN)
    job = _Ranks(search, correct)
    more = ((relevant.part(*span), _part(ignored, span)) for span in spans)
    return _joined(list(spread(job, spans, what, more=more)))


def _by_spans(
    search: _Search, n: int, m: int, relevant: Relevant, ignored: Relevant | None, what: str
) -> Ints:
    """All ranks, with one span of the gallery in memory."""
    cells = [(q, g) for g in spans_of(m, search.span) for q in spans_of(n, SPAN)]
    limits = np.full(len(relevant.items), np.inf, np.float32)
    found = _Cells(relevant, ignored)
    those = [cell for cell in cells if len(found.pairs(*cell))]
    more = ((g, found.relevant(q, g)) for q, g in those)
    scored = spread(_Scores(search), [q for q, _ in those], f"{what}: relevant items", more=more)
    for cell, values in zip(those, scored, strict=True):
        limits[found.pairs(*cell)] = values
    above = np.zeros(len(limits), np.int64)
    calls = (
        (g, relevant.part(*q), limits[found.all(q)], found.relevant(q, g), found.ignored(q, g))
        for q, g in cells
    )
    counted = spread(_Counts(search), [q for q, _ in cells], what, more=calls)
    for (q, _), counts in zip(cells, counted, strict=True):
        above[found.all(q)] += counts
    return _ordered(relevant, above, limits)


def _ordered(relevant: Relevant, above: Ints, limits: NDArray[np.float32]) -> Ints:
    """Ranks of the relevant items from the counts of items that are at least as good."""
    out = []
    counts = relevant.counts
    for a, b in blocks(len(counts), int(counts.max(initial=1))):
        here = slice(relevant.starts[a], relevant.starts[b])
        table, there = padded(above[here], counts[a:b])
        scores, _ = padded(limits[here], counts[a:b])
        scores[~there] = np.inf
        out.append(final_ranks(torch.from_numpy(table), torch.from_numpy(scores), there))
    return _joined(out)


class _Cells:
    """The relevant and ignored items of each cell."""

    def __init__(self, relevant: Relevant, ignored: Relevant | None) -> None:
        self._relevant, self._ignored = relevant, ignored

    def all(self, queries: Span) -> slice:
        """Where the relevant items of these queries are."""
        return slice(*self._relevant.starts[list(queries)].tolist())

    def pairs(self, queries: Span, items: Span) -> Ints:
        """Indices of the relevant items of these queries that lie in this span."""
        where = self.all(queries)
        own = self._relevant.items[where]
        inside = np.flatnonzero((own >= items[0]) & (own < items[1]))
        found: Ints = inside.astype(np.int64) + where.start
        return found

    def relevant(self, queries: Span, items: Span) -> Relevant:
        """The relevant items of these queries in this span, counted from its start."""
        return _within(self._relevant, queries, items)

    def ignored(self, queries: Span, items: Span) -> Relevant | None:
        """The ignored items of these queries in this span, counted from its start."""
        return None if self._ignored is None else _within(self._ignored, queries, items)


def _within(relevant: Relevant, queries: Span, items: Span) -> Relevant:
    part = relevant.part(*queries)
    part = part.where((part.items >= items[0]) & (part.items < items[1]))
    return Relevant(part.starts, part.items - items[0])


@dataclass(frozen=True, eq=False)
class _Ranks:
    """The ranks of a span of queries, with the whole gallery in memory."""

    search: _Search
    correct: Correct | None

    def __call__(
        self, span: Span, relevant: Relevant, ignored: Relevant | None, *, advance: Advance
    ) -> Ints:
        out = []
        for a, b, block in self.search.scores(span, (0, size(self.search.gallery))):
            scores = block if self.correct is None else self.correct(block)
            if self.correct is not None and self.search.itself:
                scores[torch.arange(b - a), torch.arange(a, b)] = -torch.inf
            out.append(block_ranks(scores, relevant, ignored, a - span[0], b - span[0]))
            advance(b - a)
        return _joined(out)


@dataclass(frozen=True, eq=False)
class _Scores:
    """The scores of the relevant items that lie in a span of the gallery."""

    search: _Search

    def __call__(
        self, span: Span, items: Span, relevant: Relevant, *, advance: Advance
    ) -> NDArray[np.float32]:
        out = [np.zeros(0, np.float32)]
        for a, b, block in self.search.scores(span, items):
            part = relevant.part(a - span[0], b - span[0])
            out.append(block[part.queries, part.items].numpy())
            advance(b - a)
        return np.concatenate(out)


@dataclass(frozen=True, eq=False)
class _Counts:
    """How many items of a span of the gallery are at least as good as each relevant item."""

    search: _Search

    def __call__(
        self,
        span: Span,
        items: Span,
        relevant: Relevant,
        limits: NDArray[np.float32],
        inside: Relevant,
        ignored: Relevant | None,
        *,
        advance: Advance,
    ) -> Ints:
        out = []
        for a, b, block in self.search.scores(span, items):
            first, last = a - span[0], b - span[0]
            own = inside.part(first, last)
            if ignored is not None:
                kept = block[own.queries, own.items].clone()
                part = ignored.part(first, last)
                block[part.queries, part.items] = -torch.inf
                block[own.queries, own.items] = kept
            counts = relevant.counts[first:last]
            here = slice(relevant.starts[first], relevant.starts[last])
            least, there = padded(limits[here], counts)
            least[~there] = np.inf
            out.append(at_least(block, torch.from_numpy(least)).numpy()[there])
            advance(b - a)
        return _joined(out)


@dataclass(frozen=True, eq=False)
class _Nearest:
    """The best score of each query in a span of the gallery, and its item."""

    search: _Search

    def __call__(self, span: Span, items: Span, *, advance: Advance) -> tuple[Tensor, Tensor]:
        values, index = [], []
        for a, b, block in self.search.scores(span, items):
            best = block.max(1)
            values.append(best.values)
            index.append(best.indices + items[0])
            advance(b - a)
        return torch.cat(values), torch.cat(index)


def _chunks(rows: Rows, span: Span, step: int) -> Iterator[tuple[int, Tensor]]:
    """Yield (start, unit rows) of a span."""
    if isinstance(rows, Embeddings):
        yield from rows.reading(span, step, scanning=False)
    else:
        for start in range(*span, step):
            yield start, rows[start : min(start + step, span[1])]


def _bare(rows: Rows) -> Rows:
    return rows.bare() if isinstance(rows, Embeddings) else rows


def _part(relevant: Relevant | None, span: Span) -> Relevant | None:
    return None if relevant is None else relevant.part(*span)


def _joined(parts: list[Ints]) -> Ints:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
