"""Profiles: a third modality of MAD, a short signal of two channels instead of an image.

Equation: p_0(t) = mean of row t of the grey image, p_1(t) = mean of its column t, as shares of full
ink. These are the projection profiles of document analysis, or a tomography with two directions.
Relations: a profile is computed from the digit and its variant, so it depends on five of the six
factors. It does not depend on the colour, which images show and captions can name. It is not
invertible: different images can have equal profiles.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modalgap.data.mad.digits import SIDE
from modalgap.errors import InputError

CHANNELS, LENGTH = 2, SIDE


def profiles(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(n, 2, 28) share of ink in each row, and in each column, of grey images.

    Args:
        images: (n, 28, 28) unsigned bytes.

    Raises:
        InputError: another shape or type.
    """
    found = np.asarray(images)
    if found.dtype != np.uint8 or found.ndim != 3 or found.shape[1:] != (SIDE, SIDE):
        raise InputError(
            f"images: must be unsigned bytes (n, {SIDE}, {SIDE}); got {found.dtype} {found.shape}"
        )
    sums = np.stack([found.sum(2, dtype=np.int64), found.sum(1, dtype=np.int64)], 1)
    return (sums / (255 * SIDE)).astype(np.float32)
