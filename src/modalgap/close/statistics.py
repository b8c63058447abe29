"""Statistics that closers use: means, variances, covariances, matched rows.

All of them are computed from rows, in one pass over each modality. Moments and published means
provide only some of them; a closer that needs others raises NotApplicable with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap import checks
from modalgap.embeddings import Embeddings, Moments, Pair, PairMoments
from modalgap.embeddings.scan import Scan
from modalgap.embeddings.streaming import SPAN
from modalgap.errors import InputError, NotApplicable, quoted
from modalgap.work import Advance, Span, spans_of, spread

Floats = NDArray[np.float64]
CAP = 32_768  # rows per modality from which covariances are computed


class Statistics:
    """One role and its statistics.

    Args:
        role: its name.
        dim: its columns.
        data: the rows, their moments, or their mean (d,).
    """

    def __init__(self, role: str, data: Embeddings | Moments | Floats) -> None:
        self.role = role
        self.data = data
        self._mean: Floats | None = None
        self._squares: Floats | None = None
        self._sample: Tensor | None = None
        self._from_sample = False
        if isinstance(data, np.ndarray):
            self.dim, self.n = len(data), None
            self._mean = data
        elif isinstance(data, Moments):
            self.dim, self.n = data.sums.shape[1], data.n
            self._mean = data.mean
        else:
            self.dim, self.n = data.dim, data.n

    def read(self, *, squares: bool, keep: int, seed: int) -> None:
        """One pass over the rows: sums, and if requested squares and a sample."""
        if not isinstance(self.data, Embeddings):
            return
        side = self.data
        wanted = checks.sample(side.n, keep, seed) if keep else torch.empty(0, dtype=torch.int64)
        job = _Job(side.bare(), squares)
        spans = spans_of(side.n, SPAN)
        total: Sums | None = None
        kept: list[Tensor] = []
        scans = []
        more = ((_between(wanted, *span),) for span in spans)
        for sums, rows, scan in spread(job, spans, f"reading {self.role}", more=more):
            total = sums if total is None else total.merge(sums)
            kept.append(rows)
            scans += [] if scan is None else [scan]
        assert total is not None  # noqa: S101 - embeddings have rows
        if scans:
            side.keep(scans)
        self._mean = total.mean
        if squares:
            self._squares = np.maximum(total.squares / side.n, 0.0)
        if keep:
            self._sample = torch.cat(kept)

    @property
    def mean(self) -> Floats:
        """(d,) mean of the unit rows."""
        if self._mean is None:
            self.read(squares=False, keep=0, seed=0)
        assert self._mean is not None  # noqa: S101 - read sets it
        return self._mean

    @property
    def variance(self) -> Floats:
        """(d,) variance of each column, divided by n − 1."""
        if isinstance(self.data, Moments):
            return np.diagonal(self.covariance).copy()
        if self._squares is None or self.n is None:
            raise NotApplicable(f"it needs the variances of the {self.role} rows; got only a mean")
        return self._squares * self.n / (self.n - 1)

    @property
    def total_variance(self) -> float:
        """Trace of the covariance of the unit rows: n/(n−1) · (1 − ‖mean‖²)."""
        if self.n is None:
            raise NotApplicable(f"it needs the variance of the {self.role} rows; got only a mean")
        return self.n / (self.n - 1) * max(1 - float(self.mean @ self.mean), 0.0)

    @property
    def covariance(self) -> Floats:
        """(d, d) covariance, of at most ``CAP`` rows if a sample was drawn."""
        if isinstance(self.data, Moments):
            if self.data.scatter is None:
                raise NotApplicable(
                    f"it needs the covariance of the {self.role}s; got moments"
                    " without scatter (see pair_moments(pair, scatter=True))"
                )
            return self.data.covariance
        rows = self.sample.double().numpy()
        result: Floats = np.atleast_2d(np.cov(rows.T))
        return result

    @property
    def rows_behind_covariance(self) -> int:
        """Number of rows from which the covariance is computed."""
        return self.n or 0 if isinstance(self.data, Moments) else len(self.sample)

    @property
    def sample(self) -> Tensor:
        """Unit rows drawn without replacement, or all of them; (k, d) float32."""
        if self._sample is None:
            what = "moments" if isinstance(self.data, Moments) else "a mean"
            raise NotApplicable(f"it needs rows of the {self.role}s; got only {what}")
        return self._sample

    @property
    def identity(self) -> dict[str, str]:
        """The facts about the data that the fitted map records."""
        if not isinstance(self.data, Embeddings):
            return {}
        summary = {"n": str(self.data.n), "fingerprint": self.data.fingerprint}
        return summary | {
            key: self.data.provenance[key]
            for key in ("model", "weights", "weights_hash", "data", "closed")
            if key in self.data.provenance
        }


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over some rows.

    Attributes:
        n: number of rows.
        total: (d,) their sum.
        squares: (d,) sum of their squared distances from their mean; zeros if not computed.
    """

    n: int
    total: Floats
    squares: Floats

    @property
    def mean(self) -> Floats:
        """(d,) mean of the rows."""
        return self.total / self.n

    def merge(self, other: Sums) -> Sums:
        """The sums of the rows of both (Chan, Golub & LeVeque 1979)."""
        apart = (self.mean - other.mean) ** 2 * (self.n * other.n / (self.n + other.n))
        squares = self.squares + other.squares + apart
        return Sums(self.n + other.n, self.total + other.total, squares)


@dataclass(frozen=True, eq=False)
class _Job:
    """The sums of a span of rows, and those of its rows that are in the sample."""

    side: Embeddings
    squares: bool

    def __call__(
        self, span: Span, wanted: Tensor, *, advance: Advance
    ) -> tuple[Sums, Tensor, Scan | None]:
        total = torch.zeros(self.side.dim, dtype=torch.float64)
        second = torch.zeros(self.side.dim, dtype=torch.float64)
        shift: Tensor | None = None
        kept = [torch.empty(0, self.side.dim)]
        reading = self.side.reading(span)
        for start, rows in reading:
            total += rows.sum(0)
            if self.squares:
                if shift is None:  # sums of squares about a nearby mean stay precise
                    shift = rows.mean(0)
                second += ((rows - shift) ** 2).sum(0)
            kept.append(rows[_between(wanted, start, start + len(rows)) - start])
            advance(len(rows))
        n = span[1] - span[0]
        if shift is not None:
            second -= n * (total / n - shift.double()) ** 2
        return Sums(n, total.numpy(), second.numpy()), torch.cat(kept), reading.scan


def _between(wanted: Tensor, start: int, stop: int) -> Tensor:
    """The rows of an ascending sample that lie in [start, stop)."""
    a, b = torch.searchsorted(wanted, torch.tensor([start, stop])).tolist()
    return wanted[a:b].clone()


class Evidence:
    """All roles of the data that a closer is fitted to.

    Attributes:
        roles: role to its statistics, images first.
        pair: the pair, if the data is one; it has the matches.
        weights: role to projection weights (d, p), if the data is weights.
    """

    def __init__(self, data: Any, *, weights: bool) -> None:
        self.pair = data if isinstance(data, Pair) else None
        self.weights: dict[str, Floats] = {}
        self.roles: dict[str, Statistics] = {}
        if isinstance(data, Pair):
            self.roles = {side.modality: Statistics(side.modality, side) for side in data.sides}
        elif isinstance(data, PairMoments):
            self.roles = {
                "image": Statistics("image", data.image),
                "text": Statistics("text", data.text),
            }
        elif isinstance(data, Embeddings):
            self.roles = {data.modality: Statistics(data.modality, data)}
        elif isinstance(data, Mapping):
            for role, value in data.items():
                if not isinstance(role, str) or not role:
                    raise InputError(
                        f"data: roles must be names such as 'image'; got {quoted(role)}"
                    )
                if weights:
                    self.weights[role] = _numbers(value, role, 2)
                else:
                    self.roles[role] = Statistics(role, _converted(role, value))
        else:
            raise InputError(
                "data: must be a Pair, PairMoments, or a mapping of roles to embeddings, moments or"
                f" means; got {type(data).__name__}"
            )
        widths = {role: known.dim for role, known in self.roles.items()}
        if len(set(widths.values())) > 1:
            raise InputError(f"data: every role must have the same width; got {widths}")

    def read(self, *, squares: bool, keep: int, seed: int) -> None:
        """One pass over each role that has rows."""
        for known in self.roles.values():
            known.read(squares=squares, keep=keep, seed=seed)

    @property
    def dim(self) -> int:
        """Width of every role."""
        return next(iter(self.roles.values())).dim

    @property
    def two(self) -> tuple[Statistics, Statistics]:
        """Images and texts: the roles of these names, or the first two."""
        if len(self.roles) != 2:
            raise NotApplicable(
                "it moves two modalities toward one another;"
                f" there {'is' if len(self.roles) == 1 else 'are'} {', '.join(self.roles)}"
            )
        first, second = self.roles.values()
        swapped = first.role == "text" or second.role == "image"
        return (second, first) if swapped else (first, second)

    @property
    def gap(self) -> Floats:
        """G = μ_image − μ_text, (d,)."""
        image, text = self.two
        return image.mean - text.mean

    def matched(self, seed: int) -> tuple[Tensor, Tensor]:
        """Unit rows (k, d) of at most ``CAP`` matched pairs, each image with its first text."""
        if self.pair is None:
            raise NotApplicable("it needs matched rows: give it a Pair")
        image, text = self.pair.first_matches
        chosen = checks.sample(len(image), CAP, seed)
        rows = self.pair.image.take(image[chosen]), self.pair.text.take(text[chosen])
        return rows if self.two[0].role == self.pair.image.modality else rows[::-1]


def _converted(role: str, value: Any) -> Embeddings | Moments | Floats:
    if isinstance(value, Embeddings | Moments):
        return value
    try:
        columns = np.ndim(value)
    except ValueError as error:  # rows of several lengths
        raise InputError(f"{role}: must be numbers; got {error}") from error
    if columns == 2:
        return Embeddings(value, role)
    return _numbers(value, role, 1)


def _numbers(value: Any, role: str, dimensions: int) -> Floats:
    """Published numbers: a mean (d,), or weights (d, p)."""
    if isinstance(value, Tensor):
        value = value.detach().cpu().float().numpy()
    try:
        array = np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise InputError(f"{role}: must be numbers; got {error}") from error
    if array.ndim != dimensions or array.size == 0 or not np.isfinite(array).all():
        what = "a mean (d,)" if dimensions == 1 else "weights (d, p)"
        raise InputError(f"{role}: must be {what} of finite numbers; got shape {array.shape}")
    if dimensions == 1 and np.linalg.norm(array) > 1 + 1e-3:
        raise InputError(
            f"{role}: the mean of unit rows is at most 1 long; got {np.linalg.norm(array):.3g}:"
            " normalise rows before averaging them"
        )
    return array
