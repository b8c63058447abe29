"""Strokes of digits and what is done to them, many images at once.

The operations have the meaning of Morpho-MNIST (Castro et al. 2019, "Morpho-MNIST: quantitative
assessment and diagnostics for representation learning"). They work on binary images of four times
the side: the distance map is Euclidean and exact, the skeleton that of Zhang and Suen (1984), the
mean thickness of a stroke twice the mean of the distance map on the skeleton. Here a whole batch
goes through each step at once: maps of distances over one tall canvas, thinning eight images to a
byte, points and windows gathered over all images.

An image without strokes stays as it is. Needs ``pip install 'modalgap[train]'``.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.errors import InputError

Bytes = NDArray[np.uint8]
Bits = NDArray[np.bool_]
Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

SIDE, ZOOM = 28, 4
FINE = SIDE * ZOOM  # the side of the images worked on
AMOUNT = 0.7  # of half the thickness, taken away or put on
STRENGTH, RADIUS = 3.0, 7.0  # of swelling
FRACTURES, WIDTH, EXTENSION = 3, 1.5, 0.5  # how many; in pixels of the original
PRUNE, WINDOW = 2, 2  # fractures keep away from tips and forks; half the window of the direction
SMALL = 0.75
DRAWN = 1 + FRACTURES + 2  # random numbers of one variant: swelling, fractures, place
GROUP = 64  # images that are thinned together: their buffers stay in the cache


@dataclass(frozen=True)
class Strokes:
    """n binary images and what was measured on them.

    Args:
        binary: (n, 112, 112).
        distance: (n, 112, 112) to the nearest pixel of the background, 0 there.
        skeleton: (n, 112, 112).
        thickness: (n,) mean of the strokes, in pixels of the fine image; 0 without strokes.
    """

    binary: Bits
    distance: Floats
    skeleton: Bits
    thickness: Floats

    def __getitem__(self, rows: Any) -> Strokes:
        """Some of the images."""
        return Strokes(
            self.binary[rows], self.distance[rows], self.skeleton[rows], self.thickness[rows]
        )


def opencv() -> ModuleType:
    """The library that the operations need.

    Raises:
        InputError: it is not installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise InputError("MAD needs opencv: pip install 'modalgap[train]'") from error
    found: ModuleType = cv2
    return found


# between the two sizes --------------------------------------------------------------------------


@functools.cache
def _expansion() -> Floats:
    """(112, 28): linear interpolation, then a Gaussian of σ = 2·4/6, as pyramids expand."""
    at = np.clip((np.arange(FINE) + 0.5) / ZOOM - 0.5, 0, SIDE - 1)
    linear = np.maximum(1 - np.abs(at[:, None] - np.arange(SIDE)), 0)
    reach = np.arange(-6, 7)
    bell = np.exp(-0.5 * (reach / (2 * ZOOM / 6)) ** 2)
    bell /= bell.sum()
    nearest = np.clip(np.arange(FINE)[:, None] + reach, 0, FINE - 1)
    blurred: Floats = np.einsum("iks,k->is", linear[nearest], bell).astype(np.float32)
    return blurred


def enlarge(images: Bytes) -> Bits:
    """(n, 28, 28) grey to (n, 112, 112) binary, at half of each image's highest value."""
    wide = _expansion()
    fine: Floats = wide @ images.astype(np.float32) @ wide.T
    highest = images.max((1, 2), initial=0).astype(np.float32)
    return np.asarray(fine > np.maximum(highest, 1)[:, None, None] / 2)


def reduce(binary: Bits) -> Bytes:
    """(n, 112, 112) binary to (n, 28, 28) grey: each pixel is the share of ink in it."""
    return _area(binary.view(np.uint8) * np.uint8(255), SIDE)


def shrink(images: Bytes, place: Floats) -> Bytes:
    """(n, 28, 28) to three quarters of their size, up to a pixel from the centre.

    Args:
        images: (n, 28, 28).
        place: (n, 2) numbers of [0, 1): down and to the right.
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
    """(n, s, s) averaged over areas to (n, side, side)."""
    cv2, (n, old, _) = opencv(), images.shape
    step = 32767 // old  # the most rows that OpenCV takes
    parts = [
        cv2.resize(
            images[a : a + step].reshape(-1, old),
            (side, min(step, n - a) * side),
            interpolation=cv2.INTER_AREA,
        )
        for a in range(0, n, step)
    ]
    found: Bytes = np.concatenate(parts).reshape(n, side, side)
    return found


# what strokes are -------------------------------------------------------------------------------


def measure(binary: Bits) -> Strokes:
    """Distance maps, skeletons and mean thickness of (n, 112, 112) binary images."""
    distance, skeleton = _distances(binary, 1), skeletons(binary)
    count = skeleton.sum((1, 2))
    total = (distance * skeleton).sum((1, 2), dtype=np.float64)
    thickness = (2 * total / np.maximum(count, 1)).astype(np.float32)
    return Strokes(binary, distance, skeleton, thickness)


def _distances(ink: Bits, margin: int) -> Floats:
    """(n, s, s): from each pixel with ink to the nearest one without; ``margin`` has none."""
    cv2, (n, s, _) = opencv(), ink.shape
    canvas = np.zeros((n, s + margin, s + 2 * margin), np.uint8)
    canvas[:, :s, margin:-margin] = ink
    tall = np.pad(canvas.reshape(n * (s + margin), -1), ((margin, 0), (0, 0)))
    found = cv2.distanceTransform(tall, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    out: Floats = found[margin:].reshape(n, s + margin, -1)[:, :s, margin:-margin]
    return out


def skeletons(binary: Bits) -> Bits:
    """Lines of one pixel in the middle of the strokes (Zhang and Suen 1984), (n, s, s)."""
    out = np.zeros_like(binary)
    for a in range(0, len(binary), GROUP):
        part = binary[a : a + GROUP]
        rows = np.flatnonzero(part.any((0, 2)))
        columns = np.flatnonzero(part.any((0, 1)))
        if len(rows):
            box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            out[(slice(a, a + GROUP), *box)] = _thinned(part[(slice(None), *box)])
    return out


def _thinned(binary: Bits) -> Bits:
    """Zhang's and Suen's two passes until nothing changes, on (n, h, w).

    A byte holds a pixel of eight images, so that one logical operation decides for all. A pixel
    goes if its ring of eight neighbours holds one run of 2 to 6 set ones, and none on one of
    three sides, which differ between the passes.
    """
    n, h, w = binary.shape
    planes = -(-n // 8)
    ink = np.zeros((planes, h + 2, w + 2), np.uint8)
    for k in range(8):
        part = binary[k * planes : (k + 1) * planes].view(np.uint8)
        ink[: len(part), 1:-1, 1:-1] |= part << k
    flat, width = ink.reshape(-1), w + 2
    edge = width + 1
    size = len(flat) - 2 * edge
    ring = (-width, 1 - width, 1, width + 1, width, width - 1, -1, -width - 1)  # clockwise from N
    near = [flat[edge + step : edge + step + size] for step in ring]
    clear = np.empty_like(flat)
    bare = [clear[edge + step : edge + step + size] for step in ring]
    centre = flat[edge : edge + size]
    once, twice, some, low, both = (np.empty(size, np.uint8) for _ in range(5))
    changed = True
    while changed:
        changed = False
        for turn in (0, 4):
            np.invert(flat, out=clear)
            np.bitwise_and(bare[7], near[0], out=once)  # a run begins
            twice[:] = 0
            np.bitwise_and(near[7], near[0], out=some)  # two set ones side by side
            np.bitwise_and(bare[7], bare[0], out=low)  # two others side by side
            for i in range(7):
                np.bitwise_and(bare[i], near[i + 1], out=both)
                twice |= once & both
                once |= both
                np.bitwise_and(near[i], near[i + 1], out=both)
                some |= both
                np.bitwise_and(bare[i], bare[i + 1], out=both)
                low |= both
            north, east, south, west = (bare[(i + turn) % 8] for i in (0, 2, 4, 6))
            # first pass: N·E·S = 0 and E·S·W = 0; second: turned by half a circle
            np.bitwise_and(north, west, out=both)
            both |= east
            both |= south
            both &= once
            both &= ~twice
            both &= some
            both &= low
            both &= centre
            if both.any():
                changed = True
                centre ^= both
    return np.concatenate([(ink[:, 1:-1, 1:-1] >> k) & 1 for k in range(8)])[:n].view(np.bool_)


# what is done to them ---------------------------------------------------------------------------


def thin(strokes: Strokes, amount: float = AMOUNT) -> Bits:
    """Erode by a disc of ``amount`` of half the mean thickness; (n, 112, 112)."""
    radius = amount * strokes.thickness / 2
    return np.asarray(strokes.binary & (strokes.distance > radius[:, None, None]))


def thicken(strokes: Strokes, amount: float = AMOUNT) -> Bits:
    """Dilate by a disc of ``amount`` of half the mean thickness; (n, 112, 112)."""
    radius = amount * strokes.thickness / 2
    some = strokes.thickness > 0
    margin = int(np.ceil(radius.max(initial=0))) + 1
    outside = np.zeros(strokes.binary.shape, np.float32)
    n, s, _ = strokes.binary.shape
    canvas = np.ones((n, s + margin, s + 2 * margin), np.bool_)
    canvas[:, :s, margin:-margin] = ~strokes.binary
    # beyond the canvas nothing is measured from, so that it holds one margin more above
    cv2 = opencv()
    tall = canvas.reshape(n * (s + margin), -1).view(np.uint8)
    if some.any():
        found = cv2.distanceTransform(tall, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        outside = found.reshape(n, s + margin, -1)[:, :s, margin:-margin]
    return np.asarray((outside <= radius[:, None, None]) & some[:, None, None])


def swell(strokes: Strokes, draw: Floats) -> Bits:
    """Magnify around a point of the skeleton; (n, 112, 112).

    Within R of the centre c, what is seen at p comes from c + (r / R)² (p − c), r = |p − c|;
    R = 7 √thickness / 2, with the thickness in pixels of the original.

    Args:
        strokes: to be swollen.
        draw: (n,) numbers of [0, 1) that choose the points.
    """
    out = strokes.binary.copy()
    which, centre = _choose(strokes.skeleton, draw[:, None])
    if not len(which):
        return out
    cv2, s = opencv(), strokes.binary.shape[1]
    radius = RADIUS * np.sqrt(strokes.thickness[which] / ZOOM) / 2 * ZOOM
    reach = int(radius.max())
    span = np.arange(-reach, reach + 1, dtype=np.float32)
    away = np.sqrt(span[:, None] ** 2 + span**2)  # (w, w)
    for a in range(0, len(which), step := 32767 // max(s, len(span))):
        image, middle, far = which[a : a + step], centre[a : a + step, 0], radius[a : a + step]
        weight = (away / far[:, None, None]) ** np.float32(STRENGTH - 1)  # (b, w, w)
        row = (middle[:, 0] + np.arange(len(image)) * s)[:, None, None] + weight * span[:, None]
        column = middle[:, 1, None, None] + weight * span
        tall = strokes.binary[image].reshape(-1, s).view(np.uint8) * np.uint8(255)
        seen = cv2.remap(
            tall,
            column.reshape(-1, len(span)).astype(np.float32),
            row.reshape(-1, len(span)).astype(np.float32),
            cv2.INTER_LINEAR,
        ).reshape(weight.shape)
        rows = middle[:, :1] + span.astype(np.int64)
        columns = middle[:, 1:] + span.astype(np.int64)
        inside = (weight <= 1) & ((rows >= 0) & (rows < s))[:, :, None]
        inside &= ((columns >= 0) & (columns < s))[:, None, :]
        b, y, x = np.nonzero(inside)
        out[image[b], rows[b, y], columns[b, x]] = seen[b, y, x] > 127
    return out


def fracture(strokes: Strokes, draw: Floats) -> Bits:
    """Cut the strokes across, away from tips and forks where there is such a place.

    Args:
        strokes: to be cut.
        draw: (n, k) numbers of [0, 1) that choose k places an image.
    """
    out = strokes.binary.copy()
    which, places = _choose(_pruned(strokes.skeleton), draw)
    if not len(which):
        return out
    cv2 = opencv()
    image = np.repeat(which, places.shape[1])
    place = places.reshape(-1, 2)
    angle = _direction(strokes.skeleton, image, place)
    length = strokes.distance[image, place[:, 0], place[:, 1]] + EXTENSION * ZOOM
    across = length[:, None] * np.stack([np.cos(angle), -np.sin(angle)], 1)  # down, right
    first = np.rint(place + across)[:, ::-1].astype(int).tolist()
    last = np.rint(place - across)[:, ::-1].astype(int).tolist()
    thickness = 2 * int(np.ceil((WIDTH * ZOOM - 1) / 2)) + 1
    canvas = out.view(np.uint8)
    for i, start, stop in zip(image.tolist(), first, last, strict=True):
        cv2.line(canvas[i], start, stop, 0, thickness)
    return out


def _choose(skeleton: Bits, draw: Floats) -> tuple[Ints, Ints]:
    """Points on the skeletons.

    Args:
        skeleton: (n, s, s).
        draw: (n, k) numbers of [0, 1).

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
    """Skeletons without the surroundings of tips and forks; whole ones where nothing is left."""
    reach = PRUNE * ZOOM
    padded = np.pad(skeleton, ((0, 0), (reach, reach), (reach, reach)))
    flat, width = padded.reshape(-1), padded.shape[2]
    points = np.flatnonzero(flat)
    ring = (-width, 1 - width, 1, width + 1, width, width - 1, -1, -width - 1)
    near = flat[points[:, None] + np.array(ring)]  # (p, 8)
    runs = (near & ~np.roll(near, 1, axis=1)).sum(1)
    odd = points[(runs >= 3) | ((runs == 1) & (near.sum(1) <= 2)) | (runs == 0)]
    span = np.arange(-reach, reach + 1)
    disc = (span[:, None] * width + span)[span[:, None] ** 2 + span**2 <= reach**2]
    left = flat.copy()
    left[odd[:, None] + disc] = False
    found = left.reshape(padded.shape)[:, reach:-reach, reach:-reach]
    vanished = ~found.any((1, 2))
    return np.where(vanished[:, None, None], skeleton, found)


def _direction(skeleton: Bits, image: Ints, place: Ints) -> NDArray[np.float64]:
    """(m,) angles of the skeleton around (m, 2) places, from the second moments of a window."""
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


# all together -----------------------------------------------------------------------------------


def vary(images: Bytes, looks: NDArray[np.integer[Any]], draw: Floats) -> Bytes:
    """One variant of each image.

    Args:
        images: (n, 28, 28).
        looks: (n, 4) codes of thickness, swelling, fracture, scale: rows of ``VARIANTS``.
        draw: (n, 6) numbers of [0, 1) on which what is random depends.

    Returns:
        (n, 28, 28) grey.
    """
    strokes = measure(enlarge(images))
    thickness, swollen, broken, small = looks.T
    binary = strokes.binary.copy()
    for code, change in ((1, thicken), (2, thin)):
        rows = np.flatnonzero(thickness == code)
        binary[rows] = change(strokes[rows])
    rows = np.flatnonzero(swollen)
    binary[rows] = swell(_again(strokes, binary, rows, thickness > 0), draw[rows, 0])
    rows = np.flatnonzero(broken)
    changed = (thickness > 0) | (swollen > 0)
    cut = _again(strokes, binary, rows, changed)
    binary[rows] = fracture(cut, draw[rows, 1 : 1 + FRACTURES])
    out = reduce(binary)
    rows = np.flatnonzero(small)
    out[rows] = shrink(out[rows], draw[rows, -2:])
    return _with_blank(out, images)


def _again(strokes: Strokes, binary: Bits, rows: Ints, changed: Bits) -> Strokes:
    """What ``rows`` are now; only those that have changed are measured anew."""
    found = strokes[rows]
    anew = np.flatnonzero(changed[rows])
    if len(anew) == 0:
        return found
    fresh = measure(binary[rows[anew]])
    for old, new in (
        (found.binary, fresh.binary),
        (found.distance, fresh.distance),
        (found.skeleton, fresh.skeleton),
        (found.thickness, fresh.thickness),
    ):
        old[anew] = new  # indexing by rows has made a copy
    return found


def _with_blank(out: Bytes, images: Bytes) -> Bytes:
    return out if images.any((1, 2)).all() else out * images.any((1, 2))[:, None, None]


def vary_all(images: Bytes, draw: Floats) -> Bytes:
    """All variants of each image.

    Images that differ in one factor share the rest: the swelling lies at the same point whether
    or not the strokes are broken.

    Args:
        images: (n, 28, 28).
        draw: (n, 24, 6) numbers of [0, 1) on which what is random depends.

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
            if j:
                strokes = measure(swell(strokes, draws[:, i, 1, 0, 0, 0]))
            broken = fracture(strokes, draws[:, i, j, 1, 0, 1 : 1 + FRACTURES])
            for k, each in enumerate((strokes.binary, broken)):
                out[:, i, j, k, 0] = reduce(each)
                out[:, i, j, k, 1] = shrink(out[:, i, j, k, 0], draws[:, i, j, k, 1, -2:])
    return out.reshape(n, 24, SIDE, SIDE)
