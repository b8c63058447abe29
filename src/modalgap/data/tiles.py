"""Images side by side on one page, for visual inspection."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MARGIN, GROUND = 4, 40


def grid(images: NDArray[np.uint8]) -> Image.Image:
    """Images in rows and columns, with margins.

    Args:
        images: (rows, columns, h, w, 3) RGB pixels.
    """
    rows, columns, h, w, _ = images.shape
    edge = ((0, 0), (0, 0), (0, MARGIN), (0, MARGIN), (0, 0))
    tiles = np.pad(images, edge, constant_values=GROUND)
    page = tiles.transpose(0, 2, 1, 3, 4).reshape(rows * (h + MARGIN), columns * (w + MARGIN), 3)
    before = ((MARGIN, 0), (MARGIN, 0), (0, 0))
    return Image.fromarray(np.pad(page, before, constant_values=GROUND))
