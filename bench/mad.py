"""MAD: batched shapes against the same operations one image at a time, from their definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import draw as drawing
from skimage import morphology, transform

from bench.clock import Row, seconds
from modalgap.data.mad import FACTORS, VARIANTS, Captions, Mad, digits
from modalgap.data.mad import morphology as ours
from modalgap.data.mad.packed import one_thread
from modalgap.data.mad.store import draws

Image = NDArray[Any]
COUNT = 256


class Plain:
    """One image, four times as large, and what Morpho-MNIST measures on it."""

    def __init__(self, binary: Image) -> None:
        self.binary = binary
        self.distance = ndimage.distance_transform_edt(np.pad(binary, 1))[1:-1, 1:-1]
        self.skeleton = morphology.skeletonize(binary)
        on = self.distance[self.skeleton]
        self.thickness = 2 * on.mean() if on.size else 0.0


def enlarged(image: Image) -> Image:
    """28 x 28 grey to 112 x 112 binary."""
    fine = transform.pyramid_expand(image.astype(float), upscale=4, order=1)
    return np.asarray(fine > image.max() / 2)


def thinned(found: Plain, amount: float = 0.7) -> Image:
    """Eroded by a disc of part of half the thickness."""
    disc = morphology.disk(int(amount * found.thickness / 2), strict_radius=True)
    return np.asarray(morphology.erosion(found.binary, disc))


def thickened(found: Plain, amount: float = 0.7) -> Image:
    """Dilated likewise."""
    disc = morphology.disk(int(amount * found.thickness / 2), strict_radius=True)
    return np.asarray(morphology.dilation(found.binary, disc))


def chosen(skeleton: Image, number: float) -> NDArray[np.int64]:
    """Row and column of a point, from a number of [0, 1)."""
    points = np.argwhere(skeleton)
    return np.asarray(points[int(np.float32(number) * len(points))])


def swollen(found: Plain, number: float, centre: Image | None = None) -> Image:
    """Magnified around a point of the skeleton."""
    row, column = chosen(found.skeleton, number) if centre is None else centre
    radius = 7 * np.sqrt(found.thickness / 4) / 2 * 4
    middle = np.array([column, row])

    def source(points: Image) -> Image:
        away = points - middle
        distance = np.hypot(*away.T)
        weight = np.where(distance < radius, (distance / radius) ** 2, 1)
        return np.asarray(middle + weight[:, None] * away)

    return np.asarray(transform.warp(found.binary.astype(float), source, order=1) > 0.5)


def allowed(skeleton: Image) -> Image:
    """The skeleton away from its tips and forks, or all of it."""
    near = ndimage.convolve(skeleton.astype(int), np.ones((3, 3), int), mode="constant") - 1
    odd = skeleton & ((near == 1) | (near >= 3))
    left = np.asarray(skeleton & ~morphology.dilation(odd, morphology.disk(8)))
    return left if left.any() else skeleton


def broken(found: Plain, numbers: Image, centres: Image | None = None) -> Image:
    """Cut across at three places."""
    lines = np.zeros_like(found.binary)
    free = allowed(found.skeleton)
    padded = np.pad(found.skeleton, 8)
    for i, number in enumerate(numbers):
        row, column = chosen(free, number) if centres is None else centres[i]
        seen = padded[row : row + 17, column : column + 17]
        y, x = (each - each.mean() for each in np.nonzero(seen))
        angle = 0.5 * np.arctan2(2 * (x * y).sum(), (x * x).sum() - (y * y).sum())
        length = found.distance[row, column] + 2
        down, right = length * np.cos(angle), -length * np.sin(angle)
        ends = np.clip(np.rint([row + down, column + right, row - down, column - right]), 0, 111)
        lines[drawing.line(*ends.astype(int))] = True
    return np.asarray(found.binary & ~morphology.dilation(lines, morphology.disk(3)))


def shrunk(image: Image, place: Image) -> Image:
    """28 x 28 at three quarters of the size."""
    small = transform.resize(image, (21, 21), anti_aliasing=True, preserve_range=True)
    down, right = 2 + np.floor(place * 3).astype(int)
    out = np.zeros((28, 28))
    out[down : down + 21, right : right + 21] = small
    return out


def plain(image: Image, look: Image, numbers: Image) -> Image:
    """One variant of one image."""
    thickness, swell, fracture, small = look
    found = Plain(enlarged(image))
    if thickness:
        found = Plain((thickened, thinned)[thickness - 1](found))
    if swell:
        found = Plain(swollen(found, numbers[0]))
    binary = broken(found, numbers[1:4]) if fracture else found.binary
    out = np.asarray(transform.pyramid_reduce(binary.astype(float) * 255, downscale=4))
    return np.rint(shrunk(out, numbers[-2:]) if small else out).astype(np.uint8)


def mad_shapes() -> list[Row]:
    """All variants of each digit against the plain way, one image at a time, on one core."""
    images = digits(limit=COUNT).images
    number = draws(0, 0, COUNT)
    look = VARIANTS[np.random.default_rng(0).integers(len(VARIANTS), size=COUNT)]
    few = range(0, COUNT, 16)
    with one_thread():  # the reference has no more
        taken, slow = seconds(
            lambda: ours.vary_all(images, number),
            lambda: [plain(images[i], look[i], number[i, 0]) for i in few],
            rounds=3,
        )
    each, fast = slow / len(few), taken / COUNT / len(VARIANTS)
    row = Row(
        f"MAD, looks of digits ({fast * 1e3:.3f} ms an image), over plain ({each * 1e3:.1f} ms)",
        f"{each / fast:.0f} x",
        ">= 30 x",
        each / fast >= 30,
    )
    return [row, _batch()]


def _batch() -> Row:
    """Pixels and captions of a training batch."""
    images = np.random.default_rng(0).integers(0, 255, (4096, 24, 28, 28), np.uint8)
    every = np.arange(len(images))
    mad = Mad(images, every % 10, every[:3000], every[3000:], "noise", 0)
    random, captions = np.random.default_rng(0), Captions(attributes=3)

    def batch() -> None:
        sizes = (len(images), len(VARIANTS), len(FACTORS["colour"]))
        digit, variant, colour = (random.integers(size, size=256) for size in sizes)
        mad.pixels(digit, variant, colour)
        captions.write(mad.codes(digit, variant, colour), random)

    (taken,) = seconds(batch)
    return Row(
        "  a batch of 256 looks and captions", f"{taken * 1e3:.1f} ms", "< 5 ms", taken < 5e-3
    )
