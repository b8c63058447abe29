"""A contact sheet: all images of one digit on one page, for visual inspection."""

from __future__ import annotations

import numpy as np
from PIL import Image

from modalgap.data.mad.factors import COLOURS, VARIANTS
from modalgap.data.mad.store import Mad
from modalgap.data.tiles import grid
from modalgap.errors import OptionError, quoted

ENLARGED = 2


def contact_sheet(mad: Mad, digit: int) -> Image.Image:
    """All 168 images: 24 columns of variants in the order of ``VARIANTS``, 7 rows of colours.

    Args:
        mad: from ``build`` or ``load``.
        digit: position of the digit.

    Raises:
        OptionError: the digit does not exist.
    """
    number = isinstance(digit, int | np.integer) and not isinstance(digit, bool)
    if not number or not 0 <= digit < len(mad):
        raise OptionError(f"digit: must be an integer of 0 … {len(mad) - 1}; got {quoted(digit)}")
    colour, variant = (each.reshape(-1) for each in np.indices((COLOURS, len(VARIANTS))))
    seen = mad.pixels(np.full(len(variant), digit), variant, colour)
    seen = seen.repeat(ENLARGED, 1).repeat(ENLARGED, 2)
    return grid(seen.reshape(COLOURS, len(VARIANTS), *seen.shape[1:]))
