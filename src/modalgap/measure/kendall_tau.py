"""Neighbourhood order: do both modalities rank the other classes in the same order?

Equation: mean over classes c of (1 − τ_b)/2, τ_b between the similarities of c to all other classes
in the two modalities; the share of discordant orders. Source: Schrodi et al. 2025, section 4
(neighbourhood ordering).
Relations: nas compares the k nearest only.
Fails when: there are fewer than three classes. The authors' code compares inverse permutations and
therefore returns about 0.46–0.49 for almost any data; this is the ordinary distance.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from modalgap.card import Card
from modalgap.checks import needs, sample, whole
from modalgap.embeddings import Embeddings
from modalgap.embeddings.moments import class_sums
from modalgap.measure.base import Evidence, Measure
from modalgap.progress import progress
from modalgap.result import Value

CARD = Card(
    name="kendall_tau",
    group="Do both modalities agree?",
    traits=("sampled", "size"),
    title="Kendall τ distance of neighbourhoods",
    question="Do images and texts agree on which classes are similar?",
    idea=(
        "The fraction of pairs of classes that the modalities rank differently by similarity,"
        " averaged over classes."
    ),
    equation=r"\operatorname{mean}_c \tfrac12 (1 - \tau_b(s^x_c, s^y_c))",
    source="Schrodi et al. 2025, section 4",
    direction="lower",
    low=0.0,
    high=1.0,
    needs=("pairs",),
    interval="none: the classes are not independent",
)


def _kendall_tau(evidence: Evidence, *, max_rows: int = 500, seed: int = 0) -> Value:
    """With labels, classes are compared by their means.

    Otherwise matched items are compared, at most ``max_rows`` drawn with ``seed``.
    """
    whole("max_rows", max_rows, 3)
    pair = evidence.pair
    evidence.resolved()
    if pair.labels is not None:
        labels = torch.from_numpy(pair.labels)
        found = torch.unique(labels)
        images, texts = (
            _class_means(pair.image, labels, found, pair.text.n),
            pair.text.take(found).double(),
        )
    else:
        image, text = pair.distinct_matches
        chosen = sample(len(image), max_rows, seed)
        images, texts = (
            pair.image.take(image[chosen]).double(),
            pair.text.take(text[chosen]).double(),
        )
    needs(
        len(images) >= 3,
        f"it orders classes or items and needs at least 3 of them; found {len(images)}",
    )
    inside_images, inside_texts = (images @ images.T).numpy(), (texts @ texts.T).numpy()
    distances = []
    with progress("neighbourhood order", len(images)) as advance:
        for c in range(len(images)):
            others = np.arange(len(images)) != c
            tau = tau_b(inside_images[c, others], inside_texts[c, others])
            distances.append((1 - tau) / 2)
            advance(1)
    return Value(float(np.mean(distances)), params={"compared": len(images)})


def tau_b(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Kendall's τ_b of two sequences (m,), in O(m log m); nan where one of them is constant."""
    order = np.lexsort((y, x))
    x, y_of_x, y = x[order], y[order], np.sort(y)
    discordant, seen = 0, list[float]()
    for i, value in enumerate(y_of_x.tolist()):
        place = bisect_right(seen, value)
        discordant += i - place
        seen.insert(place, value)
    same_x, same_y = x[1:] == x[:-1], y[1:] == y[:-1]
    pairs = len(x) * (len(x) - 1) // 2
    in_x, in_y = pairs - _tied(same_x), pairs - _tied(same_y)
    in_both = in_x + in_y - pairs + _tied(same_x & (y_of_x[1:] == y_of_x[:-1]))
    scale = float(in_x) * float(in_y)
    return float((in_both - 2 * discordant) / scale**0.5) if scale else float("nan")


def _tied(same: NDArray[np.bool_]) -> int:
    """Pairs of equal values in a sorted sequence; ``same``: whether each equals the one before."""
    ends = np.flatnonzero(~np.append(same, False))
    sizes = np.diff(ends, prepend=-1)
    return int((sizes * (sizes - 1) // 2).sum())


def _class_means(side: Embeddings, labels: Tensor, found: Tensor, classes: int) -> Tensor:
    """(len(found), d) float64 unit means of the classes that occur."""
    _, sums = class_sums(side, labels, classes, 1)
    means = torch.from_numpy(sums[0])[found]
    lengths: Tensor = torch.linalg.vector_norm(means, dim=1, keepdim=True)
    return means / lengths


kendall_tau = Measure(CARD, _kendall_tau)
