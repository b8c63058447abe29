"""Moments of rows that need not fit in memory: one pass, in spans, by the current executor.

The length of a span is a multiple of the length of a block of the fingerprint (4,096 rows) and of
the number of jackknife groups (61). Spans depend on the number of rows only, not on the files or
the worker that reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings.arrays import takes_pair
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.moments import (
    GROUPS,
    MatchMoments,
    Moments,
    PairMoments,
    Sums,
    chunk_of,
)
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.rows import CHUNK
from modalgap.embeddings.scan import BLOCK, Scan
from modalgap.work import Advance, Job, Span, spans_of, spread

SPAN = GROUPS * BLOCK  # rows of a span: 249,856


@checked
def moments(side: Embeddings, *, scatter: bool = False) -> Moments:
    """Moments of one modality, in one pass.

    Args:
        side: n rows.
        scatter: also the (d, d) scatter matrix.
    """
    job = _SideJob(side.bare(), min(GROUPS, side.n), scatter)
    parts = spread(job, spans_of(side.n, SPAN), f"reading {side.modality}")
    total = _Total()
    total.add(parts)
    total.keep(image=side)
    return total.of_side()


@takes_pair
def pair_moments(pair: Pair, *, scatter: bool = False) -> PairMoments:
    """Moments of both modalities and of their matches, in one pass over each.

    Args:
        pair: n images and m texts.
        scatter: also the (d, d) scatter matrices.
    """
    independent = pair.image.n
    if pair.pairs is not None:
        independent = 1 + max(int(each.max()) for each in pair.clusters)
    groups = min(GROUPS, independent)
    image, text = pair.image.bare(), pair.text.bare()
    total = _Total()
    what, each = "reading image and text", pair.captions_per_image
    if each:
        job: Job[_Part] = _AlignedJob(image, text, groups, scatter, each)
        total.add(spread(job, spans_of(image.n, SPAN), what, steps=1 + each))
    else:
        of_images, of_texts = _matched_rows(pair, groups)
        spans = spans_of(image.n, SPAN)
        job = _ImageJob(image, text, groups, scatter)
        total.add(spread(job, spans, what, more=(of_images(span) for span in spans)))
        spans = spans_of(text.n, SPAN)
        job = _TextJob(image, text, groups, scatter)
        total.add(spread(job, spans, what, more=(of_texts(span) for span in spans)))
    total.keep(image=pair.image, text=pair.text)
    return total.of_pair()


@dataclass(frozen=True, eq=False)
class _Part:
    """The result of a job for its span; None for what the job does not compute."""

    image: Moments | None = None
    text: Moments | None = None
    matches: MatchMoments | None = None
    image_scan: Scan | None = None
    text_scan: Scan | None = None


class _Total:
    """The sum of the parts that were added, in order."""

    def __init__(self) -> None:
        self.image: Moments | None = None
        self.text: Moments | None = None
        self.matches: MatchMoments | None = None
        self._image_scans: list[Scan] = []
        self._text_scans: list[Scan] = []

    def add(self, parts: Iterable[_Part]) -> None:
        for part in parts:
            self.image = _merged(self.image, part.image)
            self.text = _merged(self.text, part.text)
            self.matches = _merged(self.matches, part.matches)
            self._image_scans += [] if part.image_scan is None else [part.image_scan]
            self._text_scans += [] if part.text_scan is None else [part.text_scan]

    def keep(self, image: Embeddings, text: Embeddings | None = None) -> None:
        """Let the modalities keep the scans of their rows."""
        if self._image_scans:
            image.keep(self._image_scans)
        if self._text_scans and text is not None:
            text.keep(self._text_scans)

    def of_side(self) -> Moments:
        assert self.image is not None  # noqa: S101 - a modality has rows
        return self.image

    def of_pair(self) -> PairMoments:
        assert self.text is not None  # noqa: S101 - as above
        assert self.matches is not None  # noqa: S101 - and matches
        return PairMoments(self.of_side(), self.text, self.matches)


def _merged(first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    return first.merge(second)


@dataclass(frozen=True, eq=False)
class _SideJob:
    """The moments of a span of one modality."""

    side: Embeddings
    groups: int
    scatter: bool

    def __call__(self, span: Span, *, advance: Advance) -> _Part:
        sums = Sums(self.side.dim, self.groups, self.scatter)
        reading = self.side.reading(span, chunk_of(self.groups))
        for start, rows in reading:
            sums.add_interleaved(rows, start)
            advance(len(rows))
        return _Part(image=sums.result(), image_scan=reading.scan)


@dataclass(frozen=True, eq=False)
class _PairJob:
    """Part of the moments of a pair."""

    image: Embeddings
    text: Embeddings
    groups: int
    scatter: bool

    def sums(self) -> Sums:
        return Sums(self.image.dim, self.groups, self.scatter)

    def matched(self) -> Tensor:
        return torch.zeros(3, self.groups + 1, dtype=torch.float64)


@dataclass(frozen=True, eq=False)
class _AlignedJob(_PairJob):
    """A span of images and their texts, ``each`` texts per image, read together."""

    each: int

    def __call__(self, span: Span, *, advance: Advance) -> _Part:
        image, text, matched = self.sums(), self.sums(), self.matched()
        each, groups = self.each, self.groups
        size = chunk_of(groups, max(groups, CHUNK // each))
        images = self.image.reading(span, size)
        texts = self.text.reading((span[0] * each, span[1] * each), size * each)
        for (start, x), (_, y) in zip(images, texts, strict=True):
            apart = distance(x[:, None], y.view(len(x), each, -1))
            image.add_interleaved(x, start)
            text.add_interleaved(y, start * each, each)
            group = torch.arange(start, start + len(x)) % groups
            add_distances(matched, apart, group.repeat_interleave(each))
            advance(len(x) + len(y))
        return _Part(
            image.result(), text.result(), MatchMoments(*matched.numpy()), images.scan, texts.scan
        )


@dataclass(frozen=True, eq=False)
class _ImageJob(_PairJob):
    """A span of images whose texts lie in another order."""

    def __call__(
        self, span: Span, of_image: Tensor, own: bool, labels: Tensor | None, *, advance: Advance
    ) -> _Part:
        image, matched = self.sums(), self.matched()
        reading = self.image.reading(span, chunk_of(self.groups))
        for start, rows in reading:
            here = slice(start - span[0], start - span[0] + len(rows))
            if own:
                image.add(rows, of_image[here])
            else:
                image.add_interleaved(rows, start)
            if labels is not None:
                apart = distance(rows, self.text.take(labels[here]))
                add_distances(matched, apart, of_image[here])
            advance(len(rows))
        matches = None if labels is None else MatchMoments(*matched.numpy())
        return _Part(image=image.result(), matches=matches, image_scan=reading.scan)


@dataclass(frozen=True, eq=False)
class _TextJob(_PairJob):
    """A span of texts, and the images that they match, which are read by index."""

    def __call__(
        self,
        span: Span,
        of_text: Tensor | None,
        texts: Tensor,
        images: Tensor,
        groups: Tensor,
        *,
        advance: Advance,
    ) -> _Part:
        text, matched = self.sums(), self.matched()
        reading = self.text.reading(span)
        for start, rows in reading:
            stop = start + len(rows)
            text.add(rows, None if of_text is None else of_text[start - span[0] : stop - span[0]])
            first, last = torch.searchsorted(texts, torch.tensor([start, stop])).tolist()
            for a in range(first, last, CHUNK):
                b = min(a + CHUNK, last)
                apart = distance(rows[texts[a:b] - start], self.image.take(images[a:b]))
                add_distances(matched, apart, groups[a:b])
            advance(len(rows))
        matches = None if of_text is None else MatchMoments(*matched.numpy())
        return _Part(text=text.result(), matches=matches, text_scan=reading.scan)


def _matched_rows(pair: Pair, groups: int) -> tuple[Any, Any]:
    """Two functions: of a span of images, or of texts, to the further arguments of its job."""
    images, texts = pair.matches
    of_image, of_text = (torch.from_numpy(each) % groups for each in pair.clusters)
    by_label = pair.labels is not None
    if not by_label:
        texts, order = texts.sort(stable=True)
        images = images[order]

    def of_images(span: Span) -> tuple[Any, ...]:
        here = slice(*span)
        labels = texts[here].clone() if by_label else None
        return of_image[here].clone(), pair.pairs is not None, labels

    def of_texts(span: Span) -> tuple[Any, ...]:
        if by_label:  # class prompts are in no group, and their images have the distances
            none = torch.empty(0, dtype=torch.int64)
            return None, none, none, none
        first, last = torch.searchsorted(texts, torch.tensor(span)).tolist()
        here = images[first:last].clone()
        return of_text[slice(*span)].clone(), texts[first:last].clone(), here, of_image[here]

    return of_images, of_texts


def distance(x: Tensor, y: Tensor) -> Tensor:
    """‖x − y‖ along the last dimension.

    Computed from the difference, which is precise for close pairs.
    """
    apart: Tensor = torch.linalg.vector_norm(x - y, dim=-1)
    return apart


def add_distances(matched: Tensor, apart: Tensor, groups: Tensor) -> None:
    """Add distances of matched rows, in the groups (k,), to sums (3, G + 1)."""
    values = apart.double().view(-1)
    for row, what in zip(matched, (torch.ones_like(values), values, values**2), strict=True):
        row.index_add_(0, groups, what)
