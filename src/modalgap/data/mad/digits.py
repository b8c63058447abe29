"""Digits for MAD: scikit-learn's 1,797, MNIST's files, or any grey images of 28 x 28."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from modalgap.data.mad.factors import FACTORS
from modalgap.data.reading import reading
from modalgap.data.sets.mnist import STEM, idx
from modalgap.data.source import check_seed
from modalgap.errors import FileError, InputError, OptionError, quoted

Ints = NDArray[np.int64]

SIDE, BOX = 28, 20  # as in MNIST: the ink fits into a box, with its centre of mass in the middle
CONTRAST = 1.3  # for scikit-learn's digits, whose strokes are thicker than MNIST's
CLASSES = len(FACTORS["digit"])
PLACES = ("", "raw", "MNIST/raw", "mnist/raw", "mnist/MNIST/raw")


@dataclass(frozen=True, eq=False)
class Digits:
    """Grey images of digits, and the held-out digits.

    Args:
        images: (n, 28, 28) unsigned bytes, bright ink on a dark background.
        labels: (n,) integers of 0 … 9.
        name: their origin.
        held_out: (k,) positions of the held-out digits.

    Raises:
        InputError: another shape or type, or values out of range.
    """

    images: NDArray[np.uint8]
    labels: Ints
    name: str
    held_out: Ints

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise InputError(f"name: must be a string; got {type(self.name).__name__}")
        found = self.images
        if not isinstance(found, np.ndarray) or found.dtype != np.uint8:
            what = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
            raise InputError(f"digits: images must be an array of unsigned bytes; got {what}")
        if found.ndim != 3 or found.shape[1:] != (SIDE, SIDE) or not len(found):
            raise InputError(f"digits: images must be (n, {SIDE}, {SIDE}); got {found.shape}")
        labels = _integers(self.labels, "labels", CLASSES)
        if len(labels) != len(found):
            raise InputError(
                f"digits: must have one label per image; got {len(labels)} for {len(found)}"
            )
        held_out = np.sort(_integers(self.held_out, "held_out", len(found)))
        if (np.diff(held_out) == 0).any():
            raise InputError("digits: held_out must hold distinct positions")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "held_out", held_out)

    def __len__(self) -> int:
        return len(self.images)

    def fingerprint(self) -> str:
        """A hash of the images, their labels and the split."""
        hashed = xxhash.xxh3_128(np.ascontiguousarray(self.images).data)
        for each in (self.labels, self.held_out):
            hashed.update(np.ascontiguousarray(each, "<i8").data)
        return hashed.hexdigest()


def digits(
    source: str | Path | None = None,
    *,
    held_out: float = 0.2,
    limit: int | None = None,
    seed: int = 0,
) -> Digits:
    """Read digits from scikit-learn or from MNIST's files.

    Args:
        source: a folder with MNIST's IDX files (compressed or not, or the parent of torchvision's
            ``MNIST/raw``); by default scikit-learn's 1,797 digits of 8 x 8, scaled to MNIST's size
            and centred.
        held_out: the fraction to hold out of each class; if the folder has both the ``train`` and
            the ``t10k`` files, these are the split.
        limit: read a random sample of ``limit`` digits.
        seed: seed of the sample and the split.

    Raises:
        OptionError: a fraction not between 0 and 1, a limit below 2, or an invalid seed.
        FileError: the files do not exist or are damaged.
    """
    check_seed(seed)
    share = isinstance(held_out, int | float) and not isinstance(held_out, bool)
    if not share or not 0 < held_out < 1:
        raise OptionError(f"held_out: must be a number between 0 and 1; got {quoted(held_out)}")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 2):
        raise OptionError(f"limit: must be an integer of at least 2; got {quoted(limit)}")
    if source is None:
        images, labels = _embedded()
        name, test = "scikit-learn digits", None
    elif isinstance(source, str | Path):
        images, labels, test = _mnist(Path(source))
        name = str(source)
    else:
        raise InputError(f"digits: must be a path; got {type(source).__name__}")
    random = np.random.default_rng(seed)
    if limit is not None and limit < len(images):
        kept = np.sort(random.choice(len(images), limit, replace=False))
        images, labels = images[kept], labels[kept]
        test = None if test is None else np.flatnonzero(np.isin(kept, test))
    if len(images) < 2:
        raise FileError(f"{name}: must hold at least 2 digits; found {len(images)}")
    if test is None or not 0 < len(test) < len(images):
        test = _stratified(labels, held_out, random)
    return Digits(images, labels, name, test)


def _stratified(labels: Ints, share: float, random: np.random.Generator) -> Ints:
    """Positions of a fraction of all digits, and of about that fraction of each class."""
    shuffled = random.permutation(len(labels))
    rank = np.empty(len(labels))
    for label in np.unique(labels):
        mine = shuffled[labels[shuffled] == label]
        rank[mine] = (np.arange(len(mine)) + 0.5) / len(mine)
    count = min(max(round(share * len(labels)), 1), len(labels) - 1)
    first = shuffled[np.argsort(rank[shuffled], kind="stable")][:count]
    return np.asarray(np.sort(first), np.int64)


def _embedded() -> tuple[NDArray[np.uint8], Ints]:
    """scikit-learn's digits, each in MNIST's box with its centre of mass in the middle."""
    from scipy.ndimage import affine_transform
    from sklearn.datasets import load_digits

    found = load_digits()
    out = np.empty((len(found.images), SIDE, SIDE), np.uint8)
    for i, image in enumerate(np.pad(found.images, ((0, 0), (2, 2), (2, 2)))):  # soft edges
        rows, columns = (np.flatnonzero(image.any(axis)) for axis in (1, 0))
        step = max(np.ptp(rows) + 1, np.ptp(columns) + 1) / BOX  # a pixel of MNIST, in its own
        weight = image**CONTRAST / (image**CONTRAST).sum()
        centre = [weight.sum(1) @ np.arange(12), weight.sum(0) @ np.arange(12)]
        start = np.array(centre) - step * (SIDE - 1) / 2
        with warnings.catch_warnings():
            # SciPy before 1.14 warns of a change in a version before those that are allowed
            warnings.filterwarnings("ignore", "The behavior of affine_transform")
            fine = affine_transform(image, [step, step], start, (SIDE, SIDE), order=3)
        out[i] = np.rint(255 * np.clip(fine / 16, 0, 1) ** CONTRAST)
    return out, found.target.astype(np.int64)


def _mnist(folder: Path) -> tuple[NDArray[np.uint8], Ints, Ints | None]:
    """Images, labels and the positions of the test files, if the folder has both."""
    if not folder.is_dir():
        raise FileError(f"{folder}: must be a folder with MNIST's IDX files")
    with reading(str(folder)):
        halves = {
            split: paths
            for split in ("train", "test")
            if (paths := _files(folder, STEM[split])) is not None
        }
        if not halves:
            raise FileError("needs t10k-images-idx3-ubyte[.gz] and t10k-labels-idx1-ubyte[.gz]")
        images, labels = [], []
        for pixel_file, label_file in halves.values():
            pixels, classes = idx(pixel_file, 3), idx(label_file, 1)
            if pixels.shape[1:] != (SIDE, SIDE):
                raise FileError(
                    f"{pixel_file.name}: must hold images of {SIDE} x {SIDE};"
                    f" they are {pixels.shape[1]} x {pixels.shape[2]}"
                )
            if len(pixels) != len(classes):
                raise FileError(
                    f"must have one label per image; {len(pixels)} and {len(classes)} differ"
                )
            if len(classes) and classes.max() >= CLASSES:
                raise FileError(f"{label_file.name}: must hold 0 … 9; holds {classes.max()}")
            images.append(pixels)
            labels.append(classes.astype(np.int64))
    test = None
    if len(images) == 2:
        test = np.arange(len(images[0]), len(images[0]) + len(images[1]), dtype=np.int64)
    return np.concatenate(images), np.concatenate(labels), test


def _files(folder: Path, stem: str) -> tuple[Path, Path] | None:
    """The files of images and labels; None if the folder has neither."""
    for place in PLACES:
        pixels, labels = (
            min((folder / place).glob(f"{stem}-{what}?idx{dims}-ubyte*"), default=None)
            for what, dims in (("images", 3), ("labels", 1))
        )
        if pixels is not None and labels is not None:
            return pixels, labels
        if pixels is not None or labels is not None:
            lost = "labels-idx1" if labels is None else "images-idx3"
            raise FileError(f"needs {Path(place) / f'{stem}-{lost}-ubyte'}[.gz]")
    return None


def _integers(values: object, what: str, limit: int) -> Ints:
    found = np.asarray(values) if isinstance(values, np.ndarray | Sequence) else None
    if found is None or found.ndim != 1 or (len(found) and found.dtype.kind not in "iu"):
        raise InputError(f"digits: {what} must be a list of integers")
    if len(found) and (found.min() < 0 or found.max() >= limit):
        wrong = next(int(each) for each in found if not 0 <= each < limit)
        raise InputError(f"digits: {what} must lie in 0 … {limit - 1}; got {wrong}")
    return found.astype(np.int64)
