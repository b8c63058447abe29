"""A figure of search results: for some captions, the first images that a model finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from modalgap.atomic import replacing
from modalgap.data import Source
from modalgap.data.pixels import decode
from modalgap.data.tiles import grid
from modalgap.embeddings import Pair

Pixels = NDArray[np.uint8]
ROWS, COLUMNS = 8, 8
FRAME, RIGHT, OTHER = 4, (0, 114, 178), (255, 255, 255)


def draw_results(pair: Pair, found: Source, file: Path) -> list[str]:
    """Write a PNG with one row per caption: its first images; correct ones have a blue frame.

    Args:
        pair: the encoded source.
        found: the source, with the images.
        file: the PNG file, which is replaced.

    Returns:
        The captions, evenly spaced in the order of the data.
    """
    assert found.media is not None  # noqa: S101 - it was encoded
    assert pair.image.names is not None  # noqa: S101
    assert pair.text.names is not None  # noqa: S101
    images, texts = (index.numpy() for index in pair.matches)
    chosen = np.linspace(0, pair.text.n - 1, ROWS).astype(np.int64)
    scores = pair.text.unit()[torch.from_numpy(chosen)] @ pair.image.unit().T
    first = scores.topk(COLUMNS, dim=1).indices.numpy()
    media = {name: row for row, name in enumerate(found.media.names)}
    rows = []
    for text, hits in zip(chosen, first, strict=True):
        right = np.isin(hits, images[texts == text])
        rows.append([
            _framed(np.asarray(decode(found.media[media[pair.image.names[hit]]])), good)  # type: ignore[arg-type]
            for hit, good in zip(hits, right, strict=True)
        ])  # fmt: skip
    with replacing(file, overwrite=True) as page:
        grid(np.stack([np.stack(row) for row in rows])).save(page, "PNG")
    return [pair.text.names[text] for text in chosen]


def _framed(pixels: Pixels, good: np.bool_) -> Pixels:
    result = np.empty((pixels.shape[0] + 2 * FRAME, pixels.shape[1] + 2 * FRAME, 3), np.uint8)
    result[:] = RIGHT if good else OTHER
    result[FRAME:-FRAME, FRAME:-FRAME] = pixels
    return result
