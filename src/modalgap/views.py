"""Views: the numbers that plots show (coordinates, histograms, neighbours); nothing is drawn here.

They are computed from a seeded sample of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modalgap.checks import sample
from modalgap.embeddings import Embeddings, Modalities, Pair
from modalgap.errors import NotApplicable
from modalgap.linalg import principal_axes
from modalgap.result import Result

POINTS = 750  # rows of each modality in a scatter
LINES = 120  # matched pairs joined by a line
PAIRS = 2000  # matched pairs in the histograms
NAMED = 5  # closest and farthest pairs that are listed

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plane:
    """Rows in two coordinates.

    Attributes:
        points: (k, 2), one array per modality.
        lines: (l, 2, 2), both ends of some matched pairs.
        labels: labels of the axes.
        shares: fraction of the variance along each axis, or None if axes are not components.
    """

    points: tuple[Floats, ...]
    lines: Floats
    labels: tuple[str, str]
    shares: tuple[float, float] | None = None


@dataclass(frozen=True)
class Profile:
    """Differences of the means in each dimension, the largest first."""

    dimensions: NDArray[np.int64]
    differences: Floats


@dataclass(frozen=True)
class Cosines:
    """Histograms of cosines.

    Attributes:
        edges: edges of the bins, shared by all kinds.
        shares: kind to the fraction of its pairs in each bin.
        means: kind to the mean cosine.
        order: how often a matched pair has a higher cosine than an unmatched one.
        pairs: number of matched pairs in the sample.
    """

    edges: Floats
    shares: dict[str, Floats]
    means: dict[str, float]
    order: float | None
    pairs: int


@dataclass(frozen=True)
class Landscape:
    """Loss against the distance between means, negative if the modalities have swapped sides."""

    gaps: Floats
    present: float
    scales: tuple[float, ...]
    losses: Floats
    chance: float


@dataclass(frozen=True)
class Match:
    """One matched pair, by name or by row number."""

    image: str
    text: str
    cosine: float


@dataclass(frozen=True)
class Views:
    """Everything that the plots show; None if the data or the result does not contain it."""

    names: tuple[str, ...]
    pca: Plane | None
    profile: Profile | None
    top: Plane | None
    cosines: Cosines | None
    landscape: Landscape | None
    closest: tuple[Match, ...] = ()
    farthest: tuple[Match, ...] = ()
    gap: Plane | None = None  # along and across the gap; None if the means coincide


def views(data: Pair | Embeddings | Modalities, result: Result, seed: int = 0) -> Views:
    """Compute everything that the plots show.

    Args:
        data: the data that was measured.
        result: its measures; a plot whose measures are missing is left out.
        seed: for the sample.
    """
    if isinstance(data, Embeddings):
        rows = data.take(sample(data.n, POINTS, seed)).double()
        return Views(
            (data.modality,), _pca((rows,), []), None, None, _inside(data, seed), None
        )  # one cloud, one histogram
    if isinstance(data, Modalities):
        clouds = tuple(side.take(index).double() for side, index in _of_items(data, seed))
        return Views(tuple(data), _pca(clouds, []), None, None, None, None)
    image, text = data.first_matches
    sides, lines = _sampled(data, seed)
    profile = _profile(result)
    cosines, closest, farthest = _matched(data, image, text, seed)
    return Views(
        names=(data.image.modality, data.text.modality),
        pca=_pca(sides, lines),
        profile=profile,
        top=_top(sides, profile),
        cosines=cosines,
        landscape=landscape(result),
        closest=closest,
        farthest=farthest,
        gap=_gap(sides, lines, profile),
    )


def along_gap(pair: Pair, before: Pair, seed: int = 0) -> Plane:
    """Rows along the gap of ``before``, and in the first principal component across it.

    Args:
        pair: the rows that are shown.
        before: the pair whose gap is the first coordinate: ``pair`` itself, or the same pair
            before its gap was closed.
        seed: for the sample.
    """
    sides, lines = _sampled(pair, seed)
    means = [side.unit().double().mean(0) for side in before.sides]
    return _along(sides, lines, means[1] - means[0])


def _along(sides: tuple[Tensor, Tensor], lines: list[tuple[int, int]], gap: Tensor) -> Plane:
    """Rows along a gap vector (d,), and in the first principal component orthogonal to it."""
    along = functional.normalize(gap, dim=0)
    middle = torch.cat(sides).mean(0)
    across = torch.cat(sides) - middle
    across = across - (across @ along)[:, None] * along
    first = principal_axes(across, 1)[0][:, 0]
    points = tuple(
        torch.stack([(side - middle) @ along, (side - middle) @ first], 1).numpy() for side in sides
    )
    return Plane(points, _ends(points, lines), ("along the gap", "first component across the gap"))


def components(pair: Pair, seed: int = 0) -> Plane:
    """A sample of matched rows in the first two principal components of both modalities.

    Args:
        pair: the rows that are shown.
        seed: for the sample.

    Raises:
        NotApplicable: rows of one column.
    """
    plane = _pca(*_sampled(pair, seed))
    if plane is None:
        raise NotApplicable("two components need rows of at least two columns")
    return plane


def _of_items(data: Modalities, seed: int) -> Iterator[tuple[Embeddings, Tensor]]:
    """Each modality and its rows of a sample of items; of rows, where no item has all of them."""
    tuples = torch.from_numpy(data.tuples)
    items = tuples[sample(len(tuples), POINTS, seed)]
    for column, side in enumerate(data.sides):
        shown = torch.unique(items[:, column])
        rows = shown if len(shown) > 1 else sample(side.n, POINTS, seed)
        yield side, rows


def _sampled(pair: Pair, seed: int) -> tuple[tuple[Tensor, Tensor], list[tuple[int, int]]]:
    """Rows of a sample of matched pairs, and which of these rows are joined by a line."""
    image, text = pair.first_matches
    shown = sample(len(image), POINTS, seed)
    texts, own = torch.unique(text[shown], return_inverse=True)
    joined = sample(len(shown), LINES, seed)
    lines = list(zip(joined.tolist(), own[joined].tolist(), strict=True))
    return (pair.image.take(image[shown]).double(), pair.text.take(texts).double()), lines


def _pca(sides: tuple[Tensor, ...], lines: list[tuple[int, int]]) -> Plane | None:
    """The first two principal components of all sides together."""
    pooled = torch.cat(sides)
    if pooled.shape[1] < 2:
        return None
    centred = pooled - pooled.mean(0)
    axes, (first, second) = principal_axes(centred, 2)
    if len(sides) == 2 and float((sides[0].mean(0) - sides[1].mean(0)) @ axes[:, 0]) > 0:
        axes[:, 0] *= -1  # the first modality on the left
    middle = pooled.mean(0)
    points = tuple(((side - middle) @ axes).numpy() for side in sides)
    labels = (f"first component ({first:.0%} of the variance)", f"second component ({second:.0%})")
    return Plane(points, _ends(points, lines), labels, (first, second))


def _gap(
    sides: tuple[Tensor, Tensor], lines: list[tuple[int, int]], profile: Profile | None
) -> Plane | None:
    """Rows along the gap of all rows, or of the sample if the result has no means."""
    gap = sides[1].mean(0) - sides[0].mean(0)
    if profile is not None and len(profile.dimensions) == len(gap):
        gap[torch.from_numpy(profile.dimensions)] = -torch.from_numpy(profile.differences)
    if len(gap) < 2 or float(gap.norm()) <= 1e-9:
        return None
    return _along(sides, lines, gap)


def _top(sides: tuple[Tensor, ...], profile: Profile | None) -> Plane | None:
    """The two dimensions in which the means differ most."""
    if profile is None or len(profile.dimensions) < 2:
        return None
    two = profile.dimensions[:2].tolist()
    points = tuple(side[:, two].numpy() for side in sides)
    return Plane(points, _ends(points, []), (f"dimension {two[0]}", f"dimension {two[1]}"))


def _ends(points: tuple[Floats, ...], lines: list[tuple[int, int]]) -> Floats:
    ends = [[points[0][a], points[1][b]] for a, b in lines]
    return np.array(ends, dtype=np.float64).reshape(-1, 2, 2)


def _profile(result: Result) -> Profile | None:
    if "per_dimension_gap" not in result:
        return None
    details = result["per_dimension_gap"].details
    if not any(details["differences"]):
        return None  # the means coincide: nothing to sort
    return Profile(
        np.array(details["dimensions"], dtype=np.int64),
        np.array(details["differences"], dtype=np.float64),
    )


def cosines(data: Pair | Embeddings, seed: int = 0) -> Cosines:
    """Histograms of cosines of a sample, within and across modalities.

    Args:
        data: a pair, or one modality.
        seed: for the sample.
    """
    if isinstance(data, Embeddings):
        return _inside(data, seed)
    image, text = data.first_matches
    return _matched(data, image, text, seed)[0]


def _inside(side: Embeddings, seed: int) -> Cosines:
    rows = side.take(sample(side.n, PAIRS, seed))
    kind = f"{side.modality}–{side.modality}"
    return _histograms({kind: _upper(rows)}, None, len(rows))


def _matched(
    pair: Pair, image: Tensor, text: Tensor, seed: int
) -> tuple[Cosines, tuple[Match, ...], tuple[Match, ...]]:
    """Histograms over a sample of matched pairs, and its most and least similar ones."""
    chosen = sample(len(image), PAIRS, seed)
    image, text = image[chosen], text[chosen]
    texts, own = torch.unique(text, return_inverse=True)
    rows_image, rows_text = pair.image.take(image), pair.text.take(texts)
    across = rows_image @ rows_text.T
    matched = across[torch.arange(len(own)), own]
    theirs = torch.zeros_like(across, dtype=torch.bool)
    theirs[torch.arange(len(own)), own] = True
    if pair.pairs is not None:  # an image may match the first text of another
        all_images, all_texts = pair.matches
        kept = torch.isin(all_images, image) & torch.isin(all_texts, texts)
        rows = torch.searchsorted(image, all_images[kept])
        theirs[rows, torch.searchsorted(texts, all_texts[kept])] = True
    unmatched = across[~theirs]
    order = None
    if len(unmatched):
        below = torch.searchsorted(matched.sort().values, unmatched)
        order = 1 - float(below.double().mean()) / len(matched)
    names = (pair.image.modality, pair.text.modality)
    kinds = {
        "matched": matched,
        "unmatched": unmatched,
        f"{names[0]}–{names[0]}": _upper(rows_image),
        f"{names[1]}–{names[1]}": _upper(rows_text),
    }
    cosines = _histograms(kinds, order, len(matched))
    ranked = matched.argsort(stable=True).tolist()
    few = min(NAMED, len(ranked) // 2)
    listed = [
        Match(
            _name(pair.image, int(image[row])),
            _name(pair.text, int(text[row])),
            float(matched[row]),
        )
        for row in (*ranked[:few], *ranked[len(ranked) - few :][::-1])
    ]
    return cosines, tuple(listed[few:]), tuple(listed[:few])


def _upper(rows: Tensor) -> Tensor:
    """Cosines of all distinct pairs of rows."""
    n = len(rows)
    above = torch.ones(n, n, dtype=torch.bool).triu(1)
    return (rows @ rows.T)[above]


def _histograms(kinds: dict[str, Tensor], order: float | None, pairs: int) -> Cosines:
    kinds = {kind: values for kind, values in kinds.items() if len(values)}
    low = min((float(values.min()) for values in kinds.values()), default=-1.0)
    high = max((float(values.max()) for values in kinds.values()), default=1.0)
    if high - low < 1e-3:
        low, high = low - 0.01, high + 0.01
    fewest = min((len(values) for values in kinds.values()), default=1)
    edges = np.linspace(low, high, int(np.clip(2 * fewest**0.5, 12, 64)) + 1)
    shares = {}
    for kind, values in kinds.items():
        counts, _ = np.histogram(values.double().numpy().clip(low, high), edges)
        shares[kind] = counts / max(1, counts.sum())
    means = {kind: float(values.double().mean()) for kind, values in kinds.items()}
    return Cosines(edges, shares, means, order, pairs)


def landscape(result: Result) -> Landscape | None:
    """The curves of the measure ``loss_landscape``; None if it is not in the result."""
    if "loss_landscape" not in result:
        return None
    value = result["loss_landscape"]
    details: dict[str, Any] = dict(value.details)
    shift, distance = np.array(details["shift"]), np.array(details["distance"])
    present = float(distance[np.abs(shift).argmin()])
    gaps = np.where(shift < present, distance, -distance)  # larger shifts swap the sides
    return Landscape(
        gaps,
        present,
        tuple(details["scale"]),
        np.array(details["loss"]),
        float(np.log(value.params["batch"])),
    )


def _name(side: Embeddings, row: int) -> str:
    return f"row {row}" if side.names is None else side.names[row]
