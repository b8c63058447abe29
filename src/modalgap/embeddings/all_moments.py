"""Moments of more than two modalities: of each modality once, and of the matches of each pair.

The jackknife groups are those of the items: all rows of one item are in one group, in every
modality, so that deleting a group deletes whole items. Class prompts are in no group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.moments import GROUPS, MatchMoments, Moments, PairMoments, Sums, chunk_of
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.rows import CHUNK
from modalgap.embeddings.scan import Scan
from modalgap.embeddings.streaming import SPAN, add_distances, distance
from modalgap.work import Advance, Span, spans_of, spread


@dataclass(frozen=True, eq=False)
class AllMoments:
    """Moments of every modality, and of the matches of every two.

    Attributes:
        sides: name to its moments.
        matches: (a, b) to the sums over the matched rows of a and b.
    """

    sides: Mapping[str, Moments]
    matches: Mapping[tuple[str, str], MatchMoments]

    def of(self, a: str, b: str) -> PairMoments:
        """The moments of two modalities and of their matches, a before b."""
        return PairMoments(self.sides[a], self.sides[b], self.matches[a, b])


@checked
def all_moments(data: Modalities, *, scatter: bool = False) -> AllMoments:
    """Moments of every modality and of the matches of every two.

    Args:
        data: if row i of each modality belongs to item i, all of it is read in one pass.
        scatter: also the (d, d) scatter matrices.
    """
    clusters = {name: torch.from_numpy(each) for name, each in data.clusters.items()}
    free = [each for name, each in clusters.items() if name not in data.fixed]
    groups = min(GROUPS, 1 + max(int(each.max()) for each in free))
    if data.by_row:
        total = _together(data, groups, scatter)
    else:
        total = _Part({}, {})
        for side in data.sides:
            codes = None if side.modality in data.fixed else clusters[side.modality] % groups
            total.add(_alone(side, codes, groups, scatter))
        for two, pair in data.pairs():
            own = 1 if two[0] in data.fixed else 0
            of_match = clusters[two[own]][pair.matches[own]] % groups
            total.add(_Part({}, {two: _matched(pair, of_match, groups)}))
    return AllMoments(total.sides, total.matches)


@dataclass(frozen=True, eq=False)
class _Part:
    """The sums of some rows."""

    sides: dict[str, Moments]
    matches: dict[tuple[str, str], MatchMoments]
    scans: tuple[Scan | None, ...] = ()

    def add(self, other: _Part) -> None:
        """Add the sums of rows that follow these."""
        for name, moments in other.sides.items():
            known = self.sides.get(name)
            self.sides[name] = moments if known is None else known.merge(moments)
        for two, match in other.matches.items():
            before = self.matches.get(two)
            self.matches[two] = match if before is None else before.merge(match)


def _together(data: Modalities, groups: int, scatter: bool) -> _Part:
    """All modalities side by side: row i of each belongs to item i."""
    sides = tuple(side.bare() for side in data.sides)
    job = _RowsJob(sides, tuple(data.matched), groups, scatter)
    spans = spans_of(sides[0].n, SPAN)
    return _added(spread(job, spans, "reading modalities", steps=len(sides)), data.sides)


def _alone(side: Embeddings, codes: Tensor | None, groups: int, scatter: bool) -> _Part:
    """One modality, whose rows are in the groups ``codes`` (n,), or in none."""
    spans = spans_of(side.n, SPAN)
    more = ((None if codes is None else codes[slice(*span)].clone(),) for span in spans)
    job = _GroupsJob(side.bare(), groups, scatter)
    return _added(spread(job, spans, f"reading {side.modality}", more=more), (side,))


def _matched(pair: Pair, of_match: Tensor, groups: int) -> MatchMoments:
    """The sums over the matches of two modalities, in the groups (k,)."""
    sums = torch.zeros(3, groups + 1, dtype=torch.float64)
    index = pair.matches
    for start in range(0, len(of_match), CHUNK):
        here = slice(start, start + CHUNK)
        x, y = (side.take(i[here]) for side, i in zip(pair.sides, index, strict=True))
        add_distances(sums, distance(x, y), of_match[here])
    return MatchMoments(*sums.numpy())


def _added(parts: Iterable[_Part], sides: Sequence[Embeddings]) -> _Part:
    """All parts, in order; the modalities keep the scans of their rows."""
    total = _Part({}, {})
    scans: list[tuple[Scan | None, ...]] = []
    for part in parts:
        total.add(part)
        scans.append(part.scans)
    for side, found in zip(sides, zip(*scans, strict=True), strict=True):
        known = [each for each in found if each is not None]
        if known:
            side.keep(known)
    return total


@dataclass(frozen=True, eq=False)
class _RowsJob:
    """A span of items of all modalities, and the matches of ``matched`` modalities."""

    sides: tuple[Embeddings, ...]
    matched: tuple[tuple[str, str], ...]
    groups: int
    scatter: bool

    def __call__(self, span: Span, *, advance: Advance) -> _Part:
        sums = {side.modality: Sums(side.dim, self.groups, self.scatter) for side in self.sides}
        matched = {
            two: torch.zeros(3, self.groups + 1, dtype=torch.float64) for two in self.matched
        }
        readings = [side.reading(span, chunk_of(self.groups)) for side in self.sides]
        for chunks in zip(*readings, strict=True):
            start = chunks[0][0]
            here = {side.modality: rows for side, (_, rows) in zip(self.sides, chunks, strict=True)}
            for name, rows in here.items():
                sums[name].add_interleaved(rows, start)
                advance(len(rows))
            of_match = torch.arange(start, start + len(chunks[0][1])) % self.groups
            for (a, b), each in matched.items():
                add_distances(each, distance(here[a], here[b]), of_match)
        return _Part(
            {name: each.result() for name, each in sums.items()},
            {two: MatchMoments(*each.numpy()) for two, each in matched.items()},
            tuple(reading.scan for reading in readings),
        )


@dataclass(frozen=True, eq=False)
class _GroupsJob:
    """A span of one modality, whose rows are in groups of any order."""

    side: Embeddings
    groups: int
    scatter: bool

    def __call__(self, span: Span, codes: Tensor | None, *, advance: Advance) -> _Part:
        sums = Sums(self.side.dim, self.groups, self.scatter)
        reading = self.side.reading(span, chunk_of(self.groups))
        for start, rows in reading:
            a = start - span[0]
            sums.add(rows, None if codes is None else codes[a : a + len(rows)])
            advance(len(rows))
        return _Part({self.side.modality: sums.result()}, {}, (reading.scan,))
