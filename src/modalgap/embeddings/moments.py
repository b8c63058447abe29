"""Moments: streaming, mergeable sums. Every measure that is a mean needs only these.

One pass over the rows gives, per modality, counts and sums in ``GROUPS`` interleaved groups, so
that a delete-a-group jackknife needs no further pass, and the scatter matrix if a measure needs it.
Matched pairs give the sums of their distances. All sums can be merged across shards (Chan, Golub &
LeVeque 1979) and are held in float64; products of at most one chunk of rows are done in float32.

Row i of the images is in group i mod 61; a caption is in the group of its image, so that deleting a
group deletes whole images. Where texts describe several images, all items that are connected by
matches are in one group. Class prompts are a fixed set: they are in no group and are never
deleted. 61 is prime, so that no regular layout of classes or batches in the file lines up with the
groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.rows import CHUNK
from modalgap.errors import InputError

GROUPS = 61
Floats = NDArray[np.float64]


def _join(first: Floats, second: Floats) -> Floats:
    """The sum of two tables by group; the shorter lacks groups, the last entry is of no group."""
    longer, shorter = (first, second) if len(first) >= len(second) else (second, first)
    joined = longer.copy()
    joined[: len(shorter) - 1] += shorter[:-1]
    joined[-1] += shorter[-1]
    return joined


@checked
@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the unit rows of one modality.

    Attributes:
        counts: (G,) rows in each jackknife group; the last entry holds rows in no group.
        sums: (G, d) sum of the rows of each group.
        scatter: (d, d) Σ (u − mean)(u − mean)ᵀ, or None if it was not computed.
    """

    counts: Floats
    sums: Floats
    scatter: Floats | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.counts.sum())

    @property
    def mean(self) -> Floats:
        """(d,) mean of the unit rows."""
        mean: Floats = self.sums.sum(0) / self.n
        return mean

    @property
    def covariance(self) -> Floats:
        """(d, d) unbiased covariance of the unit rows."""
        if self.scatter is None:
            raise InputError("these moments were collected without the scatter matrix")
        return self.scatter / (self.n - 1)

    def merge(self, other: Moments) -> Moments:
        """The moments of the rows of both."""
        if not isinstance(other, Moments) or self.sums.shape[1] != other.sums.shape[1]:
            raise InputError("moments can be merged with moments of the same width only")
        scatter = None
        if self.scatter is not None and other.scatter is not None:
            apart = self.mean - other.mean
            weight = self.n * other.n / (self.n + other.n)
            scatter = self.scatter + other.scatter + weight * np.outer(apart, apart)
        return Moments(_join(self.counts, other.counts), _join(self.sums, other.sums), scatter)

    def leave_one_group_out(self) -> tuple[Floats, Floats]:
        """Counts (B,) and sums (B, d): first of all rows, then without each group in turn."""
        dropped = self.counts[:-1], self.sums[:-1]  # the last entry is never deleted
        count, total = self.counts.sum(), self.sums.sum(0)
        return (
            np.concatenate([[count], count - dropped[0]]),
            np.concatenate([total[None], total - dropped[1]]),
        )


@dataclass(frozen=True, eq=False)
class MatchMoments:
    """Sums over matched pairs, per jackknife group: (G,) each.

    Attributes:
        counts: matched pairs.
        distance: Σ ‖x − y‖.
        squared: Σ ‖x − y‖²; the matched cosine is 1 − ½‖x − y‖².
    """

    counts: Floats
    distance: Floats
    squared: Floats

    def merge(self, other: MatchMoments) -> MatchMoments:
        """The sums over the pairs of both."""
        return MatchMoments(
            _join(self.counts, other.counts),
            _join(self.distance, other.distance),
            _join(self.squared, other.squared),
        )

    def leave_one_group_out(self) -> tuple[Floats, Floats, Floats]:
        """Counts, Σ‖x − y‖ and Σ‖x − y‖², each (B,).

        Of all pairs, then without each group in turn.
        """

        def leave(values: Floats) -> Floats:
            return np.concatenate([[values.sum()], values.sum() - values[:-1]])

        return leave(self.counts), leave(self.distance), leave(self.squared)


@checked
@dataclass(frozen=True, eq=False)
class PairMoments:
    """Moments of both modalities and of their matched pairs."""

    image: Moments
    text: Moments
    matches: MatchMoments

    def merge(self, other: PairMoments) -> PairMoments:
        """The moments of two pairs, as if one file followed the other."""
        return PairMoments(
            self.image.merge(other.image),
            self.text.merge(other.text),
            self.matches.merge(other.matches),
        )


class Sums:
    """The running sums behind ``Moments``."""

    def __init__(self, dim: int, groups: int, scatter: bool) -> None:
        self.counts = torch.zeros(groups + 1, dtype=torch.float64)
        self.sums = torch.zeros(groups + 1, dim, dtype=torch.float64)
        self.scatter = torch.zeros(dim, dim, dtype=torch.float64) if scatter else None
        self.shift: Tensor | None = None

    def add_interleaved(self, rows: Tensor, start: int, repeat: int = 1) -> None:
        """Add rows whose groups run 0, 1, … in order, ``repeat`` rows to a group."""
        groups = len(self.counts) - 1
        whole = len(rows) // (groups * repeat) * groups * repeat
        if whole and start % (groups * repeat) == 0:
            folded = rows[:whole].view(-1, groups, repeat, rows.shape[1]) if repeat > 1 else None
            flat = rows[:whole].view(-1, groups, rows.shape[1])
            self.sums[:-1] += flat.sum(0) if folded is None else folded.sum((0, 2))
            self.counts[:-1] += whole // groups
        else:
            whole = 0
        if whole < len(rows):
            index = torch.arange(start + whole, start + len(rows))
            self._add_at(rows[whole:], index.div(repeat, rounding_mode="floor") % groups)
        self._add_scatter(rows)

    def add(self, rows: Tensor, groups: Tensor | None) -> None:
        """Add rows in the given groups (b,), or in none."""
        if groups is None:
            self.counts[-1] += len(rows)
            self.sums[-1] += rows.sum(0)
        else:
            self._add_at(rows, groups)
        self._add_scatter(rows)

    def _add_at(self, rows: Tensor, groups: Tensor) -> None:
        part = torch.zeros(self.sums.shape, dtype=rows.dtype)
        self.sums += part.index_add_(0, groups, rows)
        self.counts += torch.bincount(groups, minlength=len(self.counts))

    def _add_scatter(self, rows: Tensor) -> None:
        if self.scatter is None:
            return
        if self.shift is None:  # sums of squares about a nearby mean stay precise
            self.shift = rows.double().mean(0).float()
        moved = rows - self.shift
        self.scatter += moved.T @ moved

    def result(self) -> Moments:
        """The moments of all rows that were added."""
        counts, sums = self.counts.numpy(), self.sums.numpy()
        if self.scatter is None or self.shift is None:
            return Moments(counts, sums)
        n = counts.sum()
        moved = sums.sum(0) / n - self.shift.double().numpy()
        scatter = self.scatter.numpy() - n * np.outer(moved, moved)
        return Moments(counts, sums, (scatter + scatter.T) / 2)


def class_sums(side: Embeddings, codes: Tensor, classes: int, groups: int) -> tuple[Floats, Floats]:
    """Sums of the unit rows of each class in each jackknife group.

    Args:
        side: n rows.
        codes: (n,) class of each row.
        classes: number of classes.
        groups: jackknife groups; row i is in group i mod groups.

    Returns:
        Counts (groups, classes) and sums (groups, classes, d), float64.
    """
    cells = groups * classes
    sums = torch.zeros(cells, side.dim, dtype=torch.float64)
    cell = torch.arange(side.n) % groups * classes + codes
    for start, rows in side.chunks():
        here = cell[start : start + len(rows)]
        if cells <= len(rows):
            part = torch.zeros(cells, side.dim).index_add_(0, here, rows)
            sums += part
        else:
            sums.index_add_(0, here, rows.double())
    counts = torch.bincount(cell, minlength=cells).double()
    return counts.view(groups, classes).numpy(), sums.view(groups, classes, side.dim).numpy()


def chunk_of(groups: int, rows: int = CHUNK) -> int:
    """A chunk size that is a multiple of the number of groups, so that rows can be reshaped."""
    return max(1, rows // groups) * groups
