"""Moments of more than two modalities: of each modality once, and of the matches of each pair.

The jackknife groups are those of the items: all rows of one item are in one group, in every
modality, so that deleting a group deletes whole items. Class prompts are in no group.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings.modalities import Modalities
from modalgap.embeddings.moments import GROUPS, MatchMoments, Moments, PairMoments, Sums, chunk_of
from modalgap.embeddings.rows import CHUNK
from modalgap.progress import progress


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
    sums = {side.modality: Sums(side.dim, groups, scatter) for side in data.sides}
    matched = {two: torch.zeros(3, groups + 1, dtype=torch.float64) for two in data.matched}
    with progress("reading modalities", sum(side.n for side in data.sides)) as advance:
        for name, start, rows in _chunks(data, groups, matched):
            if data.by_row:
                sums[name].add_interleaved(rows, start)
            elif name in data.fixed:
                sums[name].add(rows, None)
            else:
                sums[name].add(rows, clusters[name][start : start + len(rows)] % groups)
            advance(len(rows))
    if not data.by_row:
        for two, pair in data.pairs():
            own = 1 if two[0] in data.fixed else 0
            index = pair.matches
            of_match = clusters[two[own]][index[own]] % groups
            for start in range(0, len(of_match), CHUNK):
                here = slice(start, start + CHUNK)
                x, y = (side.take(i[here]) for side, i in zip(pair.sides, index, strict=True))
                _add(matched[two], x, y, of_match[here])
    return AllMoments(
        {name: each.result() for name, each in sums.items()},
        {two: MatchMoments(*each.numpy()) for two, each in matched.items()},
    )


def _chunks(
    data: Modalities, groups: int, matched: Mapping[tuple[str, str], Tensor]
) -> Iterator[tuple[str, int, Tensor]]:
    """Yield (name, first row, unit rows) of every modality.

    By row: side by side, and the matches of every two are added to ``matched`` on the way.
    """
    size = chunk_of(groups)
    if not data.by_row:
        for side in data.sides:
            for start, rows in side.chunks(size):
                yield side.modality, start, rows
        return
    for parts in zip(*(side.chunks(size) for side in data.sides), strict=True):
        here = {name: rows for name, (_, rows) in zip(data, parts, strict=True)}
        start = parts[0][0]
        of_match = torch.arange(start, start + len(parts[0][1])) % groups
        for (a, b), sums in matched.items():
            _add(sums, here[a], here[b], of_match)
        for name, rows in here.items():
            yield name, start, rows


def _add(sums: Tensor, x: Tensor, y: Tensor, groups: Tensor) -> None:
    """Add matched rows (k, d): their number, Σ‖x − y‖ and Σ‖x − y‖², in the groups (k,)."""
    values = torch.linalg.vector_norm(x - y, dim=1).double()
    for row, what in zip(sums, (torch.ones_like(values), values, values**2), strict=True):
        row.index_add_(0, groups, what)
