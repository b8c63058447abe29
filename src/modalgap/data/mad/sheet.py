"""A contact sheet: all images of one digit on one page, for visual inspection."""

from __future__ import annotations

import numpy as np
from PIL import Image

from modalgap.data.mad.factors import COLOURS, VARIANTS
from modalgap.data.mad.morphology import SIDE
from modalgap.data.mad.store import Mad
from modalgap.errors import OptionError, quoted

ENLARGED, MARGIN, GROUND = 2, 4, 40


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
    edge = ((0, 0), (0, MARGIN), (0, MARGIN), (0, 0))
    tiles = np.pad(seen, edge, constant_values=GROUND)
    side = SIDE * ENLARGED + MARGIN
    page = tiles.reshape(COLOURS, len(VARIANTS), side, side, 3).transpose(0, 2, 1, 3, 4)
    page = page.reshape(COLOURS * side, len(VARIANTS) * side, 3)
    before = ((MARGIN, 0), (MARGIN, 0), (0, 0))
    return Image.fromarray(np.pad(page, before, constant_values=GROUND))
