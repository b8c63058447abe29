"""Bit operations on eight binary images per byte.

Strokes are thinned to skeletons, measured, and eroded and dilated by discs that grow circle by
circle, up to a radius per image. Distances are Euclidean and exact.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.extras import import_extra

Bytes = NDArray[np.uint8]
Bits = NDArray[np.bool_]
Ints = NDArray[np.int64]

REACH = 10  # radius of the measuring discs; deeper points are measured one by one
RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))  # from the north


def opencv() -> ModuleType:
    """Import OpenCV.

    Raises:
        InputError: OpenCV is not installed.
    """
    result: ModuleType = import_extra("cv2", "train", "MAD")
    return result


class Packed:
    """(n, h, w) images, eight to a byte, with a margin of zeros between rows and images.

    Image i is bit i // planes of plane i % planes.

    Args:
        binary: the images.
        margin: maximum offset of ``step`` from any pixel.
    """

    def __init__(self, binary: Bits, margin: int) -> None:
        self.n, h, w = binary.shape
        self.planes = -(-self.n // 8)
        self.shape = (self.planes, h + margin, w + margin)
        self.width = w + margin
        self.edge = margin * self.width + margin
        self.size = self.planes * (h + margin) * self.width
        self.inside = (slice(None), slice(h), slice(w))
        self.all = np.zeros(self.size + 2 * self.edge, np.uint8)
        ink = self.step(0, 0).reshape(self.shape)[self.inside]
        for bit in range(8):
            part = binary[bit * self.planes : (bit + 1) * self.planes].view(np.uint8)
            ink[: len(part)] |= part << bit

    def step(self, down: int, right: int, of: Bytes | None = None) -> Bytes:
        """The pixels at this offset from each pixel, as a flat view."""
        start = self.edge + down * self.width + right
        return (self.all if of is None else of)[start : start + self.size]

    def unpacked(self, flat: Bytes) -> Bits:
        """Unpack a flat array of the size of a step to (n, h, w)."""
        inside = flat.reshape(self.shape)[self.inside]
        return np.concatenate([(inside >> bit) & 1 for bit in range(8)])[: self.n].view(np.bool_)


@functools.cache
def _circles(reach: int) -> tuple[tuple[int, tuple[tuple[int, int], ...]], ...]:
    """Squared distances up to ``reach``, ascending, each with the offsets of that length."""
    found: dict[int, list[tuple[int, int]]] = {}
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            found.setdefault(down**2 + right**2, []).append((down, right))
    return tuple(
        (squared, tuple(found[squared])) for squared in sorted(found) if squared <= reach**2
    )


@functools.cache
def _steps(reach: int) -> tuple[Ints, NDArray[np.float64]]:
    """(k, 2) all offsets of a disc, by increasing length, and their lengths."""
    steps = np.array([step for _, circle in _circles(reach) for step in circle])
    return steps, np.sqrt((steps**2).sum(1))


def thinned(binary: Bits) -> Bits:
    """Lines of one pixel in the middle of the strokes (Zhang and Suen 1984), (n, h, w).

    Two passes repeat until nothing changes. A pixel is removed if its ring of eight neighbours has
    one run of 2 to 6 set pixels, and if east, or south, or both north and west are not set. In the
    second pass, the same directions are turned by 180 degrees.
    """
    packed = Packed(binary, 1)
    clear = np.empty_like(packed.all)
    near = [packed.step(*side) for side in RING]
    bare = [packed.step(*side, of=clear) for side in RING]
    centre = packed.step(0, 0)
    runs = [np.empty(packed.size, np.uint8) for _ in range(4)]
    gone, other = np.empty(packed.size, np.uint8), np.empty(packed.size, np.uint8)
    changed = True
    while changed:
        changed = False
        for turn in (0, 4):
            np.invert(packed.all, out=clear)
            north, east, south, west = (bare[(i + turn) % 8] for i in (0, 2, 4, 6))
            np.bitwise_and(north, west, out=gone)
            gone |= east
            gone |= south
            gone &= centre
            # of two adjacent places, at most one begins a run
            for k, run in enumerate(runs):
                np.bitwise_and(bare[2 * k], near[2 * k + 1], out=run)
                np.bitwise_and(bare[2 * k + 1], near[(2 * k + 2) % 8], out=other)
                run |= other
            one, two, three, four = runs
            np.bitwise_and(one, two, out=other)
            one ^= two
            np.bitwise_and(three, four, out=two)
            three ^= four
            one ^= three  # an odd number of runs
            other |= two  # at least two runs
            gone &= one
            np.invert(other, out=other)
            gone &= other
            # a run of two or more has a side and a corner, whether its pixels are set or not;
            # here a side is already not set
            for ring, first in ((near, 0), (near, 1), (bare, 1)):
                np.bitwise_or(ring[first], ring[first + 2], out=other)
                other |= ring[first + 4]
                other |= ring[first + 6]
                gone &= other
            if gone.any():
                changed = True
                centre ^= gone
    return packed.unpacked(centre)


def depth(binary: Bits, skeleton: Bits) -> NDArray[np.float64]:
    """(n,) mean distance from the skeleton to the background; 0 without a skeleton.

    Args:
        binary: (n, h, w); pixels outside are background.
        skeleton: (n, h, w).
    """
    n, h, w = binary.shape
    packed = Packed(binary, REACH)
    left = packed.step(0, 0).copy()  # not yet eroded by smaller discs
    image, place = np.divmod(np.flatnonzero(skeleton), h * w)
    y, x = np.divmod(place, w)
    at = (image % packed.planes * packed.shape[1] + y) * packed.width + x
    bit = (image // packed.planes).astype(np.uint8)
    found = np.zeros(len(at))
    alive = np.arange(len(at))
    for squared, steps in _circles(REACH)[1:]:
        for step in steps:
            left &= packed.step(*step)
        deeper = (left[at] >> bit & 1).view(np.bool_)
        found[alive[~deeper]] = squared**0.5
        alive, at, bit = alive[deeper], at[deeper], bit[deeper]
        if not len(alive):
            break
    found[alive] = nearest(binary, image[alive], y[alive], x[alive])
    count = np.bincount(image, minlength=n)
    return np.asarray(np.bincount(image, found, n) / np.maximum(count, 1))


def nearest(binary: Bits, image: Ints, y: Ints, x: Ints) -> NDArray[np.float64]:
    """(m,) distances from single points to the background.

    Args:
        binary: (n, h, w); pixels outside are background.
        image: (m,) index of the image.
        y: (m,) rows.
        x: (m,) columns.
    """
    n, h, w = binary.shape
    result = np.zeros(len(image))
    open_ = np.arange(len(image))
    for reach in (REACH, 2 * REACH, (min(h, w) + 1) // 2):
        if not len(open_):
            break
        padded = np.zeros((n, h + 2 * reach, w + 2 * reach), np.bool_)
        padded[:, reach:-reach, reach:-reach] = binary
        steps, length = _steps(reach)
        width = w + 2 * reach
        start = (image[open_] * (h + 2 * reach) + y[open_] + reach) * width + x[open_] + reach
        ground = ~padded.reshape(-1)[start[:, None] + (steps[:, 0] * width + steps[:, 1])]
        first = ground.argmax(1)
        result[open_] = length[first]
        open_ = open_[~ground[np.arange(len(open_)), first]]
    return result


def joined(binary: Bits, radius: NDArray[np.floating[Any]], join: np.ufunc) -> Bits:
    """Combine each pixel with all pixels within a disc, by "and" or by "or".

    Args:
        binary: (n, h, w); pixels outside are not set.
        radius: (n,) radius of the disc for each image.
        join: ``np.bitwise_and`` or ``np.bitwise_or``.
    """
    reach = math.ceil(radius.max())
    packed = Packed(binary, max(reach, 1))
    found, made = packed.step(0, 0).copy(), np.zeros(packed.size, np.uint8)
    circles = _circles(reach)
    last = np.searchsorted([squared for squared, _ in circles], radius**2, "right") - 1
    for i, (_, steps) in enumerate(circles):
        for step in steps:
            join(found, packed.step(*step), out=found)
        finished = np.flatnonzero(last == i)
        if len(finished):
            bits = np.zeros(packed.planes, np.uint8)
            np.bitwise_or.at(
                bits, finished % packed.planes, (1 << finished // packed.planes).astype(np.uint8)
            )
            made |= (found.reshape(packed.planes, -1) & bits[:, None]).reshape(-1)
    return packed.unpacked(made)


@contextmanager
def one_thread() -> Iterator[None]:
    """Set OpenCV to one thread: with its threads, a forked process can wait forever."""
    cv2 = opencv()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
