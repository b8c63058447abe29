"""Strokes of digits, and operations on them for many images at once.

The operations are those of Morpho-MNIST (Castro et al. 2019, "Morpho-MNIST: quantitative assessment
and diagnostics for representation learning"). They use binary images of four times the side:
distances are Euclidean and exact, the skeleton is that of Zhang and Suen (1984), the mean thickness
of a stroke is twice the mean distance from its skeleton to the background. Each step processes a
whole batch; points and windows are gathered over all images.

An image without strokes does not change. Needs ``pip install 'modalgap[train]'``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.data.mad.packed import (
    RING,
    Bits,
    Bytes,
    Ints,
    depth,
    joined,
    nearest,
    opencv,
    thinned,
)

Floats = NDArray[np.float32]

SIDE, ZOOM = 28, 4
FINE = SIDE * ZOOM  # the side of the enlarged images
AMOUNT = 0.7  # fraction of half the thickness that is removed or added
STRENGTH, RADIUS = 3.0, 7.0  # of swelling
FRACTURES, WIDTH, EXTENSION = 3, 1.5, 0.5  # number; pixels of the original
PRUNE, WINDOW = 2, 2  # distance of fractures from tips and forks; half the window of the direction
SMALL = 0.75
DRAWN = 1 + FRACTURES + 2  # random numbers of one variant: swelling, fractures, place
GROUP = 64  # images per group: their arrays fit into the cache


@dataclass(frozen=True)
class Strokes:
    """n binary images, their skeletons and thickness.

    Args:
        binary: (n, 112, 112).
        skeleton: (n, 112, 112).
        thickness: (n,) mean thickness of the strokes, in pixels of the enlarged image; 0 if empty.
    """

    binary: Bits
    skeleton: Bits
    thickness: Floats

    def __getitem__(self, rows: Any) -> Strokes:
        """A selection of the images."""
        return Strokes(self.binary[rows], self.skeleton[rows], self.thickness[rows])


# between the two sizes --------------------------------------------------------------------------


@functools.cache
def _expansion() -> Floats:
    """(112, 28): linear interpolation, then a Gaussian with σ = 2·4/6, as in image pyramids."""
    at = np.clip((np.arange(FINE) + 0.5) / ZOOM - 0.5, 0, SIDE - 1)
    linear = np.maximum(1 - np.abs(at[:, None] - np.arange(SIDE)), 0)
    reach = np.arange(-6, 7)
    bell = np.exp(-0.5 * (reach / (2 * ZOOM / 6)) ** 2)
    bell /= bell.sum()
    nearest = np.clip(np.arange(FINE)[:, None] + reach, 0, FINE - 1)
    blurred: Floats = np.einsum("iks,k->is", linear[nearest], bell).astype(np.float32)
    return blurred


def enlarge(images: Bytes) -> Bits:
    """Map (n, 28, 28) grey to (n, 112, 112) binary, at half of each image's maximum."""
    wide = _expansion()
    fine: Floats = wide @ images.astype(np.float32) @ wide.T
    highest = images.max((1, 2), initial=0).astype(np.float32)
    return np.asarray(fine > np.maximum(highest, 1)[:, None, None] / 2)


def reduce(binary: Bits) -> Bytes:
    """Map (n, 112, 112) binary to (n, 28, 28) grey: the fraction of ink in each pixel."""
    return _area(binary.view(np.uint8) * np.uint8(255), SIDE)


def shrink(images: Bytes, place: Floats) -> Bytes:
    """Shrink (n, 28, 28) to three quarters of the size, at most one pixel off the centre.

    Args:
        images: (n, 28, 28).
        place: (n, 2) numbers in [0, 1): shift down and to the right.
    """
    side = round(SIDE * SMALL)
    corner = (SIDE - side) // 2 - 1 + np.floor(place * 3).astype(np.int64)  # (n, 2)
    out = np.zeros((len(images), SIDE, SIDE), np.uint8)
    rows = corner[:, :1] + np.arange(side)
    columns = corner[:, 1:] + np.arange(side)
    every = np.arange(len(images))[:, None, None]
    out[every, rows[:, :, None], columns[:, None, :]] = _area(images, side)
    return out


def _area(images: Bytes, side: int) -> Bytes:
    """Average (n, s, s) over areas to (n, side, side)."""
    cv2, (n, old, _) = opencv(), images.shape
    step = 32767 // old  # the maximum number of rows in OpenCV
    parts = [
        cv2.resize(
            images[a : a + step].reshape(-1, old),
            (side, min(step, n - a) * side),
            interpolation=cv2.INTER_AREA,
        )
        for a in range(0, n, step)
    ]
    return np.concatenate([np.empty((0, side), np.uint8), *parts]).reshape(n, side, side)


# measurements ---------------------------------------------------------------------------------


def measure(binary: Bits) -> Strokes:
    """Skeletons and mean thickness of (n, 112, 112) binary images."""
    skeleton = np.zeros_like(binary)
    thickness = np.zeros(len(binary), np.float32)
    for rows, box in _groups(binary):
        part = binary[rows][box]
        skeleton[rows][box] = lines = thinned(part)
        thickness[rows] = 2 * depth(part, lines)
    return Strokes(binary, skeleton, thickness)


def skeletons(binary: Bits) -> Bits:
    """Lines of one pixel in the middle of the strokes, (n, 112, 112)."""
    out = np.zeros_like(binary)
    for rows, box in _groups(binary):
        out[rows][box] = thinned(binary[rows][box])
    return out


def _groups(binary: Bits, margin: int = 0) -> Iterator[tuple[slice, tuple[slice, slice, slice]]]:
    """Yield groups of images, with the bounding box of their ink; skip groups without ink."""
    for a in range(0, len(binary), GROUP):
        rows = slice(a, a + GROUP)
        ink = np.bitwise_or.reduce(binary[rows], axis=0)
        sides = []
        for axis in (1, 0):
            at = np.flatnonzero(ink.any(axis))
            if len(at):
                sides.append(slice(max(at[0] - margin, 0), at[-1] + 1 + margin))
        if sides:
            yield rows, (slice(None), sides[0], sides[1])


# operations -----------------------------------------------------------------------------------


def thin(strokes: Strokes, amount: float = AMOUNT) -> Bits:
    """Erode by a disc with radius ``amount`` of half the mean thickness; (n, 112, 112)."""
    out = np.zeros_like(strokes.binary)
    radius = amount * strokes.thickness / 2
    for rows, box in _groups(strokes.binary):
        out[rows][box] = joined(strokes.binary[rows][box], radius[rows], np.bitwise_and)
    return out


def thicken(strokes: Strokes, amount: float = AMOUNT) -> Bits:
    """Dilate by a disc with radius ``amount`` of half the mean thickness; (n, 112, 112)."""
    out = np.zeros_like(strokes.binary)
    radius = amount * strokes.thickness / 2
    for rows, box in _groups(strokes.binary, int(radius.max(initial=0))):
        out[rows][box] = joined(strokes.binary[rows][box], radius[rows], np.bitwise_or)
    return out


def swell(strokes: Strokes, draw: Floats) -> Bits:
    """Magnify around a point of the skeleton; (n, 112, 112).

    Within R of the centre c, the pixel at p comes from c + (r / R)² (p − c), where r = |p − c|;
    R = 7 √thickness / 2, with the thickness in pixels of the original.

    Args:
        strokes: the images.
        draw: (n,) numbers in [0, 1) that select the points.
    """
    out = strokes.binary.copy()
    which, centre = _choose(strokes.skeleton, draw[:, None])
    if not len(which):
        return out
    cv2, s = opencv(), strokes.binary.shape[1]
    radius = RADIUS * np.sqrt(strokes.thickness[which] / ZOOM) / 2 * ZOOM
    reach = int(radius.max())
    span = np.arange(-reach, reach + 1, dtype=np.float32)
    square = span[:, None] ** 2 + span**2  # (w, w)
    for a in range(0, len(which), GROUP):
        image, middle = which[a : a + GROUP], centre[a : a + GROUP, 0]
        weight = square / radius[a : a + GROUP, None, None] ** 2
        if STRENGTH != 3:
            weight **= (STRENGTH - 1) / 2
        np.minimum(weight, 1, out=weight)
        at = middle.astype(np.float32)
        row = weight * span[:, None] + at[:, 0, None, None]
        column = weight * span + at[:, 1, None, None]
        low = np.maximum(middle - reach, 0)
        high = np.minimum(middle + reach + 1, s)
        start, stop = (low - middle + reach).tolist(), (high - middle + reach).tolist()
        for i, k, (y0, x0), (y1, x1), (v0, u0), (v1, u1) in zip(
            range(len(image)), image.tolist(), low.tolist(), high.tolist(), start, stop, strict=True
        ):
            old = strokes.binary[k].view(np.uint8) * np.uint8(255)
            seen = cv2.remap(old, column[i], row[i], cv2.INTER_LINEAR)
            out[k, y0:y1, x0:x1] = seen[v0:v1, u0:u1] > 127
    return out


def fracture(binary: Bits, skeleton: Bits, draw: Floats) -> Bits:
    """Cut the strokes across, away from tips and forks if possible.

    Args:
        binary: (n, 112, 112) images.
        skeleton: (n, 112, 112) their skeletons.
        draw: (n, k) numbers in [0, 1) that select k places per image.
    """
    which, places = _choose(_pruned(skeleton), draw)
    if not len(which):
        return binary.copy()
    image = np.repeat(which, places.shape[1])
    place = places.reshape(-1, 2)
    angle = _direction(skeleton, image, place)
    length = nearest(binary, image, place[:, 0], place[:, 1]) + EXTENSION * ZOOM
    along = np.stack([np.cos(angle), -np.sin(angle)], 1)  # (down, right) of the cut
    reach = int(np.ceil(length.max()))
    far = np.clip(np.arange(-reach, reach + 1), -length[:, None], length[:, None])  # (m, steps)
    points = np.rint(place[:, None] + far[..., None] * along[:, None]).astype(np.int64)
    brush = math.ceil((WIDTH * ZOOM - 1) / 2)
    side = binary.shape[1]
    canvas = np.pad(binary, ((0, 0), (brush, brush), (brush, brush)))
    points = np.clip(points, 0, side - 1) + brush
    at = (image[:, None] * (side + 2 * brush) + points[..., 0]) * (side + 2 * brush) + points[
        ..., 1
    ]
    canvas.reshape(-1)[at[..., None] + _disc(brush, side + 2 * brush)] = False
    return canvas[:, brush:-brush, brush:-brush]


def _disc(reach: int, width: int) -> Ints:
    """Offsets of all pixels of a disc, in flattened images of this width."""
    span = np.arange(-reach, reach + 1)
    result: Ints = (span[:, None] * width + span)[span[:, None] ** 2 + span**2 <= reach**2]
    return result


def _choose(skeleton: Bits, draw: Floats) -> tuple[Ints, Ints]:
    """Select points on the skeletons.

    Args:
        skeleton: (n, s, s).
        draw: (n, k) numbers in [0, 1).

    Returns:
        The m images that have a skeleton, and (m, k, 2) rows and columns.
    """
    n, s, _ = skeleton.shape
    flat = np.flatnonzero(skeleton)
    count = np.bincount(flat // (s * s), minlength=n)
    which = np.flatnonzero(count)
    start = np.cumsum(count) - count
    pick = start[which, None] + np.floor(draw[which] * count[which, None]).astype(np.int64)
    found = flat[np.minimum(pick, (start + count - 1)[which, None])] % (s * s)
    return which, np.stack([found // s, found % s], 2)


def _pruned(skeleton: Bits) -> Bits:
    """Skeletons without the neighbourhood of tips and forks; the whole one if nothing remains."""
    reach = PRUNE * ZOOM
    padded = np.pad(skeleton, ((0, 0), (reach, reach), (reach, reach)))
    flat, width = padded.reshape(-1), padded.shape[2]
    points = np.flatnonzero(flat)
    around = np.array([down * width + right for down, right in RING])
    near = flat[points[:, None] + around]  # (p, 8)
    runs = (near & ~np.roll(near, 1, axis=1)).sum(1)
    odd = points[(runs >= 3) | ((runs == 1) & (near.sum(1) <= 2)) | (runs == 0)]
    left = flat.copy()
    left[odd[:, None] + _disc(reach, width)] = False
    found = left.reshape(padded.shape)[:, reach:-reach, reach:-reach]
    some: Bits = np.asarray(found.any((1, 2)))
    return np.where(some[:, None, None], found, skeleton)


def _direction(skeleton: Bits, image: Ints, place: Ints) -> NDArray[np.float64]:
    """(m,) angles of the skeleton at (m, 2) places, from the second moments of a window."""
    reach = WINDOW * ZOOM
    padded = np.pad(skeleton, ((0, 0), (reach, reach), (reach, reach)))
    span = np.arange(2 * reach + 1)
    seen = padded[
        image[:, None, None],
        place[:, 0, None, None] + span[:, None],
        place[:, 1, None, None] + span,
    ].reshape(len(image), -1)
    y, x = (each.reshape(-1) - reach for each in np.meshgrid(span, span, indexing="ij"))
    of = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], 1).astype(np.float64)
    count, mx, my, xx, xy, yy = (seen @ of).T
    xx, xy, yy = xx - mx * mx / count, xy - mx * my / count, yy - my * my / count
    angle: NDArray[np.float64] = 0.5 * np.arctan2(2 * xy, xx - yy)
    return angle


# variants -------------------------------------------------------------------------------------


def vary_all(images: Bytes, draw: Floats) -> Bytes:
    """Make all variants of each image.

    Variants that differ in one factor are equal in the rest: the swelling is at the same point,
    whether the strokes are broken or not.

    Args:
        images: (n, 28, 28).
        draw: (n, 24, 6) numbers in [0, 1), the source of all randomness.

    Returns:
        (n, 24, 28, 28) grey, in the order of ``VARIANTS``.
    """
    n = len(images)
    plain = measure(enlarge(images))
    out = np.empty((n, 3, 2, 2, 2, SIDE, SIDE), np.uint8)
    draws = draw.reshape(n, 3, 2, 2, 2, DRAWN)
    for i, made in enumerate((plain.binary, thicken(plain), thin(plain))):
        strokes = measure(made) if i else plain
        for j in range(2):
            binary, skeleton = strokes.binary, strokes.skeleton
            if j:
                binary = swell(strokes, draws[:, i, 1, 0, 0, 0])
                skeleton = skeletons(binary)
            broken = fracture(binary, skeleton, draws[:, i, j, 1, 0, 1 : 1 + FRACTURES])
            for k, each in enumerate((binary, broken)):
                out[:, i, j, k, 0] = reduce(each)
                out[:, i, j, k, 1] = shrink(out[:, i, j, k, 0], draws[:, i, j, k, 1, -2:])
    return out.reshape(n, 24, SIDE, SIDE)
