"""Pools of the study ``filtered_data``: MAD with wrong captions, and filters of its digits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from modalgap.atomic import replacing
from modalgap.data.mad import Captions, Digits, Mad, build, digits, load
from modalgap.data.mad import source as mad_source
from modalgap.embeddings import Pair
from modalgap.encode import Options
from modalgap.encode import run as encode
from modalgap.study.judge import IMAGES, digits_of
from modalgap.train import Run

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Pool:
    """MAD whose captions are wrong for some training digits.

    Attributes:
        digits: the digits.
        right: MAD with right captions; held-out digits have no others.
        labels: (n,) the digit that captions name.
        images: the variants; those of wrong digits are in another order, so that captions name
            the shape of another variant.
        wrong: (n,) whether the captions of a digit are wrong.
    """

    digits: Digits
    right: Mad
    labels: Ints
    images: NDArray[np.uint8]
    wrong: NDArray[np.bool_]

    def write(self, folder: Path, kept: Ints) -> None:
        """Write MAD of some training digits, and of all held-out digits.

        Args:
            folder: the folder; the same call writes the same files again.
            kept: positions of the training digits.
        """
        rows = np.concatenate([kept, self.right.test])
        held_out = np.arange(len(kept), len(rows))
        own = Digits(self.digits.images[rows], self.labels[rows], self.digits.name, held_out)
        build(own, folder, workers=1)
        with replacing(folder / "images.npy", overwrite=True) as file:
            np.save(file, self.images[rows], allow_pickle=False)


def make_pool(wrong: float, seed: int, limit: int | None = None) -> Pool:
    """Exchange the captions of a fraction of the training digits of MAD.

    Args:
        wrong: the fraction; these digits get the captions of other ones, apart from the colour.
        seed: seed of the exchange.
        limit: number of digits; all by default.
    """
    found = digits(limit=limit)
    right = build(found, workers=1)
    random = np.random.default_rng(seed)
    chosen = random.permutation(right.train)[: round(wrong * len(right.train))]
    labels, images = right.labels.copy(), np.array(right.images)
    labels[chosen] = right.labels[np.roll(chosen, 1)]
    for each in chosen.tolist():
        images[each] = right.images[each][random.permutation(images.shape[1])]
    mask = np.zeros(len(labels), bool)
    mask[chosen] = True
    return Pool(found, right, labels, images, mask)


def similarity(folder: Path, run: Run, captions: Captions) -> NDArray[np.float64]:
    """(k,) the mean cosine of images of each training digit of a pool and their captions.

    Args:
        folder: the pool as written; the digits are in the order in which they were kept.
        run: the model.
        captions: the content of the captions.
    """
    found = mad_source(load(folder), captions, split="train", images=IMAGES)
    options = Options(batch_size=256, workers=0, keep_repeats=True)
    pair = encode(found, run.spec, options=options).data
    assert isinstance(pair, Pair)  # noqa: S101 - the source has both sides
    cosines = (pair.image.unit() * pair.text.unit()).sum(1).double().numpy()
    digit = digits_of(pair)
    return np.asarray(np.bincount(digit, cosines) / np.bincount(digit))
