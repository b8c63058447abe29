"""The factors of MAD, the word of each value, and the stored variants."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

FACTORS: dict[str, tuple[str, ...]] = {
    "digit": (
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
    ),
    "thickness": ("regular", "thick", "thin"),
    "swelling": ("unswollen", "swollen"),
    "fracture": ("whole", "fractured"),
    "scale": ("large", "small"),
    "colour": ("gray", "red", "green", "blue", "cyan", "magenta", "yellow"),
}
WORDS: tuple[str, ...] = tuple(word for words in FACTORS.values() for word in words)

SHAPE = tuple(FACTORS)[1:-1]  # the factors that determine the variants
VARIANTS: NDArray[np.int64] = np.array(
    list(product(*(range(len(FACTORS[name])) for name in SHAPE))), np.int64
)  # (24, 4)
COLOURS = len(FACTORS["colour"])
CHANNELS: NDArray[np.uint8] = np.array(
    [(1, 1, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 0)], np.uint8
)  # (7, 3): red, green and blue of each colour
for _each in (VARIANTS, CHANNELS):
    _each.setflags(write=False)
