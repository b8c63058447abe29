"""Make MAD, in memory or as a folder of arrays and a manifest, and open it.

The folder holds ``images.npy`` (n, 24, 28, 28) unsigned bytes, ``labels.npy`` (n,), ``train.npy``
and ``test.npy`` (positions of digits; all int64), and ``mad.json``, which is written last: the
version of the format, factors, counts, seed, and a hash of the digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.atomic import replacing
from modalgap.data.mad import morphology
from modalgap.data.mad.digits import CLASSES, Digits
from modalgap.data.mad.digits import digits as embedded
from modalgap.data.mad.factors import CHANNELS, FACTORS, VARIANTS
from modalgap.data.mad.packed import one_thread, opencv
from modalgap.data.mad.profiles import profiles
from modalgap.data.made import Place, blocks, check_workers, spans, stored
from modalgap.data.reading import load_json, reading
from modalgap.data.source import check_seed
from modalgap.errors import FileError, InputError, OptionError, quoted
from modalgap.work import Parts

Ints = NDArray[np.int64]

MANIFEST = "mad.json"
IMAGES = "images"
ARRAYS = (IMAGES, "labels", "train", "test")
FORMAT = 1
BLOCK = 128  # digits per part
SHAPE = (len(VARIANTS), morphology.SIDE, morphology.SIDE)


@dataclass(frozen=True, eq=False)
class Mad:
    """Digits in all their variants; colours are added when pixels are read.

    Args:
        images: (n, 24, 28, 28) unsigned bytes, the variants in the order of ``VARIANTS``.
        labels: (n,) class of each digit.
        train: positions of the digits to train on.
        test: positions of the held-out digits.
        name: origin of the digits.
        seed: seed of swellings, fractures and places.
        folder: its folder; None if it is in memory.
    """

    images: NDArray[np.uint8]
    labels: Ints
    train: Ints
    test: Ints
    name: str
    seed: int
    folder: Path | None = None

    def __len__(self) -> int:
        """Number of digits."""
        return len(self.images)

    def __repr__(self) -> str:
        return f"Mad({self.name!r}, {len(self)} digits, {len(self.test)} of them held out)"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle only the folder, if there is one."""
        if self.folder is not None:
            return load, (self.folder,)
        return Mad, (self.images, self.labels, self.train, self.test, self.name, self.seed)

    def codes(self, digit: Ints, variant: Ints, colour: Ints) -> Ints:
        """(b, 6) codes of the factors in the order of ``FACTORS``, from three (b,) arrays.

        Args:
            digit: positions of digits, 0 … n - 1.
            variant: rows of ``VARIANTS``.
            colour: codes of colours.
        """
        label = self.labels[digit][:, None]
        return np.concatenate([label, VARIANTS[variant], np.asarray(colour)[:, None]], 1)

    def pixels(self, digit: Ints, variant: Ints, colour: Ints) -> NDArray[np.uint8]:
        """(b, 28, 28, 3) RGB pixels of (b,) images, selected as for ``codes``."""
        grey = self.images[digit, variant]
        return np.asarray(grey[..., None] * CHANNELS[colour][:, None, None, :])

    def profiles(self, digit: Ints, variant: Ints) -> NDArray[np.float32]:
        """(b, 2, 28) profiles of (b,) images, a third modality without colour; see ``profiles``."""
        return profiles(self.images[digit, variant])


def build(
    digits: Digits | None = None,
    folder: Path | None = None,
    *,
    workers: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Mad:
    """Make every variant of every digit.

    The random numbers of a digit depend only on the seed and the position of the digit, so neither
    the number of workers nor an interruption changes a byte. An existing folder with the same
    content is opened; an interrupted run resumes.

    Args:
        digits: the digits; by default scikit-learn's.
        folder: the folder to write, to be read with ``load``; by default in memory.
        workers: number of processes; by default one per processor, fewer for small data.
        seed: seed of swellings, fractures and places.
        overwrite: whether to replace a MAD with other settings in the folder.

    Raises:
        OptionError: an invalid number of workers or an invalid seed.
        OutputError: the folder cannot be created, or holds other files.
        InputError: a library is missing, or the folder holds an unfinished run of other settings.
    """
    check_seed(seed)
    check_workers(workers)
    if folder is not None and not isinstance(folder, str | Path):
        raise OptionError(f"folder: must be a path; got {type(folder).__name__}")
    if digits is not None and not isinstance(digits, Digits):
        raise InputError(f"digits: must be Digits; got {type(digits).__name__}")
    digits = embedded() if digits is None else digits
    opencv()
    task = _Task(digits.images, seed)
    if folder is None:
        images = np.empty((len(digits), *SHAPE), np.uint8)
        todo = spans(len(digits), BLOCK)
        with closing(blocks(task.setup, todo, workers, "digits", one_thread)) as made:
            for (first, last), block in made:
                images[first:last] = block
        train = np.setdiff1d(np.arange(len(digits)), digits.held_out)
        return Mad(images, digits.labels, train, digits.held_out, digits.name, seed)
    return _build_in(Path(folder), digits, task, workers, overwrite=overwrite)


def _build_in(
    folder: Path, digits: Digits, task: _Task, workers: int | None, *, overwrite: bool
) -> Mad:
    manifest = _manifest(digits, task.seed)

    def fill(work: Path) -> None:
        parts = Parts(work, "digits")
        todo = [
            span for span in spans(len(digits), BLOCK) if stored(parts, span, IMAGES, SHAPE) is None
        ]
        with closing(blocks(task.setup, todo, workers, "digits", one_thread)) as made:
            for span, block in made:
                parts.write(span, {IMAGES: block})
        _finish(folder, digits, parts, manifest)

    place = Place(
        folder=folder,
        kind="mad",
        what="a MAD",
        other="of other digits or another seed",
        names=frozenset((MANIFEST, *(f"{name}.npy" for name in ARRAYS))),
        settings=lambda folder: _read_manifest(folder) if is_mad(folder) else None,
    )
    return place.make(manifest, fill, load, overwrite=overwrite)


def _manifest(digits: Digits, seed: int) -> dict[str, Any]:
    """All settings that determine the bytes, in the form in which they are read back."""
    return {
        "format": FORMAT,
        "factors": {name: list(words) for name, words in FACTORS.items()},
        "digits": digits.name,
        "fingerprint": digits.fingerprint(),
        "seed": seed,
        "count": len(digits),
        "train": len(digits) - len(digits.held_out),
        "test": len(digits.held_out),
    }


def _finish(folder: Path, digits: Digits, parts: Parts, settings: dict[str, Any]) -> None:
    """Write the files of the folder; the manifest last, as the sign that all files exist."""
    with suppress(FileNotFoundError):
        (folder / MANIFEST).unlink()
    with replacing(folder / "images.npy", overwrite=True) as file:
        shape = (len(digits), *SHAPE)
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )
        for span in spans(len(digits), BLOCK):
            part = stored(parts, span, IMAGES, SHAPE)
            if part is None:
                raise FileError(f"{parts.path(span)}: is missing; run the same command again")
            file.write(part.tobytes())
    train = np.setdiff1d(np.arange(len(digits)), digits.held_out)
    for name, array in (("labels", digits.labels), ("train", train), ("test", digits.held_out)):
        with replacing(folder / f"{name}.npy", overwrite=True) as file:
            np.save(file, array.astype("<i8"), allow_pickle=False)
    with replacing(folder / MANIFEST, overwrite=True) as file:
        file.write(json.dumps(settings, indent=1, ensure_ascii=False).encode())


# opening ----------------------------------------------------------------------------------------


def is_mad(folder: Path) -> bool:
    """Whether the folder holds a MAD."""
    return (folder / MANIFEST).is_file()


def load(folder: str | Path) -> Mad:
    """Open a folder made by ``build``; the images stay on disk.

    Raises:
        FileError: the folder does not exist, or its manifest or arrays are damaged.
    """
    if not isinstance(folder, str | Path):
        raise InputError(f"folder: must be a path; got {type(folder).__name__}")
    folder = Path(folder)
    manifest = _read_manifest(folder)
    count = manifest["count"]
    images = _array(folder, "images", "|u1", (count, *SHAPE))
    labels = np.array(_array(folder, "labels", "<i8", (count,)))
    train, test = (np.array(_array(folder, each, "<i8", (manifest[each],))) for each in ARRAYS[2:])
    if ((labels < 0) | (labels >= CLASSES)).any():
        raise FileError(f"{folder / 'labels.npy'}: must hold 0 … 9; is damaged")
    if not np.array_equal(np.sort(np.concatenate([train, test])), np.arange(count)):
        raise FileError(f"{folder}: train.npy and test.npy must divide all digits; is damaged")
    return Mad(images, labels, train, test, manifest["digits"], manifest["seed"], folder)


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise FileError(f"{folder}: must be a MAD folder, with {MANIFEST}")
    manifest = load_json(path)
    if not isinstance(manifest, dict):
        raise FileError(f"{path}: must hold a mapping of settings; is damaged")
    if manifest.get("format") != FORMAT:
        raise FileError(f"{path}: must have format {FORMAT}; got {quoted(manifest.get('format'))}")
    if manifest.get("factors") != {name: list(words) for name, words in FACTORS.items()}:
        raise FileError(f"{path}: must have the factors of this version; it has others")
    for key, kind in (
        ("count", int),
        ("train", int),
        ("test", int),
        ("seed", int),
        ("digits", str),
        ("fingerprint", str),
    ):
        if not isinstance(manifest.get(key), kind) or isinstance(manifest[key], bool):
            raise FileError(f"{path}: must have {quoted(key)}, {kind.__name__}; is damaged")
    if manifest["count"] < 1 or min(manifest["train"], manifest["test"]) < 0:
        raise FileError(f"{path}: must count at least one digit; is damaged")
    return manifest


def _array(folder: Path, name: str, kind: str, shape: tuple[int, ...]) -> NDArray[Any]:
    path = folder / f"{name}.npy"
    with reading(str(path)):
        if not path.is_file():
            raise FileError("must be there; it is missing")
        result: NDArray[Any] = np.load(
            path, mmap_mode="r" if np.prod(shape) else None, allow_pickle=False
        )
    if result.dtype != np.dtype(kind) or result.shape != shape:
        raise FileError(
            f"{path}: must be {np.dtype(kind)} {shape}; got {result.dtype} {result.shape}"
        )
    return result


# making -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """Make the variants of a span of digits."""

    images: NDArray[np.uint8]
    seed: int

    def setup(self, _worker: int) -> Callable[[int, int], NDArray[np.uint8]]:
        """The function that a worker calls."""
        return self.make

    def make(self, first: int, last: int) -> NDArray[np.uint8]:
        images = self.images[first:last]
        return morphology.vary_all(images, draws(self.seed, first, len(images)))


def draws(seed: int, first: int, count: int) -> NDArray[np.float32]:
    """Rows ``first`` … of an infinite table of numbers in [0, 1): (count, 24, 6).

    A counter-based generator starts at the row, so that earlier rows are not computed.
    """
    row = len(VARIANTS) * morphology.DRAWN  # a multiple of four numbers, one counter step
    found = np.random.Generator(np.random.Philox(key=seed).advance(first * row // 4))
    drawn = found.random((count, len(VARIANTS), morphology.DRAWN))
    return np.minimum(drawn.astype(np.float32), np.float32(1 - 2**-24))
