"""MAD as a ``Source``: images with one caption each, for ``encode``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from modalgap.data.mad.captions import Captions
from modalgap.data.mad.factors import COLOURS, FACTORS, VARIANTS
from modalgap.data.mad.store import Mad
from modalgap.data.media import Cells
from modalgap.data.source import Source, check_seed
from modalgap.errors import InputError, OptionError, quoted

Ints = NDArray[np.int64]

IMAGES = len(VARIANTS) * COLOURS
SPLITS = ("test", "train")


@dataclass(frozen=True, eq=False)
class _Images:
    """Open an image: digit, variant and colour by position."""

    mad: Mad
    digit: Ints
    image: Ints

    def __call__(self, position: int) -> Image.Image:
        at = slice(position, position + 1) if position >= 0 else slice(position, None)
        variant, colour = np.divmod(self.image[at], COLOURS)
        return Image.fromarray(self.mad.pixels(self.digit[at], variant, colour)[0])


@dataclass(frozen=True, eq=False)
class _Names(Sequence[str]):
    """Names of images, made on demand."""

    digit: Ints
    image: Ints

    def __len__(self) -> int:
        return len(self.digit)

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[str]: ...
    def __getitem__(self, position: int | slice) -> str | Sequence[str]:
        if isinstance(position, slice):
            return _Names(self.digit[position], self.image[position])
        variant, colour = divmod(int(self.image[position]), COLOURS)
        words = [
            FACTORS[name][code]
            for name, code in zip(list(FACTORS)[1:], [*VARIANTS[variant], colour], strict=True)
        ]
        return f"{int(self.digit[position])}/{'-'.join(words)}"


def source(
    mad: Mad,
    captions: Captions,
    *,
    split: str = "test",
    images: Literal["every"] | int = "every",
    seed: int = 0,
) -> Source:
    """The images of a split, one caption for each, and the factors of both.

    Args:
        mad: from ``build`` or ``load``.
        captions: the content of the captions. The values of their object are the factor "object";
            other factors have their own names.
        split: "test", the held-out digits, or "train".
        images: "every" for all 168 per digit, or a number to draw at random.
        seed: seed of the captions and of the drawn images.

    Raises:
        OptionError: an unknown split, or an invalid number of images.
        InputError: the split holds no digits.
    """
    if not isinstance(mad, Mad):
        raise InputError(f"mad: must be a Mad; got {type(mad).__name__}")
    if not isinstance(captions, Captions):
        raise OptionError(f"captions: must be Captions; got {type(captions).__name__}")
    check_seed(seed)
    if split not in SPLITS:
        raise OptionError.unknown("split of MAD", str(split), SPLITS)
    some = isinstance(images, int) and not isinstance(images, bool) and 1 <= images <= IMAGES
    if not some and images != "every":
        raise OptionError(
            f'images: must be "every" or an integer of 1 … {IMAGES}; got {quoted(images)}'
        )
    positions = mad.test if split == "test" else mad.train
    if not len(positions):
        raise InputError(f"{mad.name}: its {split} split holds no digits")
    random = np.random.default_rng(seed)
    if images == "every":
        image = np.tile(np.arange(IMAGES), (len(positions), 1))
    else:
        drawn = random.random((len(positions), IMAGES)).argsort(1)[:, :images]
        image = np.sort(drawn, axis=1)
    digit = np.repeat(positions, image.shape[1])
    image = image.reshape(-1)
    codes = mad.codes(digit, *np.divmod(image, COLOURS))
    factors = {
        "object" if name == captions.object else name: [words[code] for code in column]
        for (name, words), column in zip(FACTORS.items(), codes.T.tolist(), strict=True)
    }
    files = () if mad.folder is None else (mad.folder / "images.npy",)
    return Source(
        name=str(mad.folder) if mad.folder is not None else f"mad of {mad.name}",
        media=Cells(_Images(mad, digit, image), _Names(digit, image), files=files),
        texts=captions.write(codes, random),
        text_to_image=np.arange(len(digit)),
        factors=factors,
        text_factors=factors,
        provenance={
            "data": "mad",
            "digits": mad.name,
            "split": split,
            "images_per_digit": str(images),
            "captions": captions.name,
            "object": captions.object,
            "seed": f"{mad.seed} of the shapes, {seed} of the captions",
        },
        files=files,
    )
