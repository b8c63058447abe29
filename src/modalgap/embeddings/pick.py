"""Parts of a pair: some of its images, with what matches them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.arguments import checked
from modalgap.embeddings import strings
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.pair import Pair
from modalgap.embeddings.rows import MemoryRows, PickedRows, Rows
from modalgap.errors import InputError


@checked
def pick(side: Embeddings, index: NDArray[np.int64]) -> Embeddings:
    """The rows at ``index`` (k,), with their names and factors."""
    if index.dtype.kind not in "iu" or index.ndim != 1:
        raise InputError(f"index must hold integers (k,); got {index.dtype} {index.shape}")
    if len(index) and not 0 <= index.min() <= index.max() < side.n:
        raise InputError(f"index must lie in 0 … {side.n - 1}; got {index.min()} to {index.max()}")
    where = torch.from_numpy(index)
    rows: Rows = PickedRows(side.rows, where)
    if side.rows.in_memory:
        rows = MemoryRows(side.rows.take(where))
    return Embeddings(
        rows,
        side.modality,
        None if side.names is None else strings.pick(side.names, index),
        {name: values[index] for name, values in side.factors.items()},
        side.provenance,
        side.source,
    )


@checked
def pick_images(pair: Pair, index: NDArray[np.int64]) -> Pair:
    """The images at ``index`` (ascending), and the texts that match them.

    All class prompts are kept: they are a fixed set.
    """
    image = pick(pair.image, index)  # checks the index
    if pair.labels is not None:
        return Pair(image, pair.text, labels=pair.labels[index])
    if pair.pairs is not None:
        kept = pair.pairs[np.isin(pair.pairs[:, 0], index)]
        theirs, text = np.unique(kept[:, 1], return_inverse=True)
        rows = np.stack([np.searchsorted(index, kept[:, 0]), text.reshape(-1)], 1)
        return Pair(image, pick(pair.text, theirs), pairs=rows)
    if pair.text_to_image is None:
        return Pair(image, pick(pair.text, index))
    theirs = np.flatnonzero(np.isin(pair.text_to_image, index))
    owner = np.searchsorted(index, pair.text_to_image[theirs])
    return Pair(image, pick(pair.text, theirs), text_to_image=owner)
