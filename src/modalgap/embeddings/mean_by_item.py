"""The mean of the rows of each item: a video from its frames, an item from its captions."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike

from modalgap.arguments import checked
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.items import ids_of
from modalgap.errors import InputError, quoted

SMALLEST = 1e-6  # norm of a mean, below which its direction is rounding


@checked
def mean_by_item(side: Embeddings, items: ArrayLike | None = None) -> Embeddings:
    """One row per item: the mean of its unit rows, normalised.

    Equation: v_i = norm(mean of x_j / ‖x_j‖ over the rows j of item i). This is how CLIP4Clip (Luo
    et al. 2021, "mean pooling") represents a video by its frames, and CLIP a class by its prompts.

    Args:
        side: n rows.
        items: the item id of each row, (n,) integers or strings; by default the names of the rows.

    Returns:
        One float32 row per item, in the order of the first row of each. Its names are the ids. A
        factor remains if it is constant over the rows of every item. The provenance states the mean
        number of rows as ``rows_per_item``.

    Raises:
        InputError: no ids, not one per row, fewer than two items, or rows of an item that cancel.
    """
    if items is None and side.names is None:
        raise InputError(f"items: must be ids, or the rows must have names; {side.source} has none")
    known = side.names if items is None else items
    ids = ids_of(np.asarray(known), "items", side.n)
    unique, first, code = np.unique(ids, return_index=True, return_inverse=True)
    if len(unique) < 2:
        raise InputError(f"items: must have at least two items; got {len(unique)}")
    order = np.argsort(first)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    item = torch.from_numpy(place[code.reshape(-1)])
    sums = torch.zeros(len(unique), side.dim, dtype=torch.float64)
    for start, rows in side.chunks():
        sums.index_add_(0, item[start : start + len(rows)], rows.double())
    means = sums / torch.bincount(item, minlength=len(unique))[:, None]
    lengths = torch.linalg.vector_norm(means, dim=1)
    names = [str(unique[i]) for i in order]
    if lengths.min() < SMALLEST:
        lost = names[int(lengths.argmin())]
        raise InputError(
            f"{side.source}: the rows of an item must not cancel; those of {quoted(lost)} have a"
            f" mean of norm {float(lengths.min()):.1g}"
        )
    starts = first[order]
    factors = {
        name: values[starts]
        for name, values in side.factors.items()
        if np.array_equal(values[starts][item.numpy()], values)
    }
    return Embeddings(
        (means / lengths[:, None]).float(),
        side.modality,
        names,
        factors,
        {**side.provenance, "rows_per_item": f"{side.n / len(unique):.4g}, mean of unit rows"},
        side.source,
    )
