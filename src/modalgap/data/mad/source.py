"""MAD as a ``Source``: looks with a caption each, for ``encode``."""

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

LOOKS = len(VARIANTS) * COLOURS
SPLITS = ("test", "train")


@dataclass(frozen=True, eq=False)
class _Looks:
    """Opens a look: digit, variant and colour by position."""

    mad: Mad
    digit: Ints
    look: Ints

    def __call__(self, position: int) -> Image.Image:
        at = slice(position, position + 1) if position >= 0 else slice(position, None)
        variant, colour = np.divmod(self.look[at], COLOURS)
        return Image.fromarray(self.mad.pixels(self.digit[at], variant, colour)[0])


@dataclass(frozen=True, eq=False)
class _Names(Sequence[str]):
    """A name for each look, made when it is asked for."""

    digit: Ints
    look: Ints

    def __len__(self) -> int:
        return len(self.digit)

    @overload
    def __getitem__(self, position: int) -> str: ...
    @overload
    def __getitem__(self, position: slice) -> Sequence[str]: ...
    def __getitem__(self, position: int | slice) -> str | Sequence[str]:
        if isinstance(position, slice):
            return _Names(self.digit[position], self.look[position])
        variant, colour = divmod(int(self.look[position]), COLOURS)
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
    looks: Literal["every"] | int = "every",
    seed: int = 0,
) -> Source:
    """The looks of a split and a caption each, with what is known of both as factors.

    Args:
        mad: from ``build`` or ``load``.
        captions: how to write them. Their object's values are the factor "object"; the other
            factors have their own names.
        split: "test", the digits held out, or "train".
        looks: "every" of the 168 of a digit, or so many drawn at random.
        seed: of the captions and the drawn looks.

    Raises:
        OptionError: no such split or number of looks.
        InputError: the split holds no digits.
    """
    if not isinstance(mad, Mad):
        raise InputError(f"mad: must be a Mad; got {type(mad).__name__}")
    if not isinstance(captions, Captions):
        raise OptionError(f"captions: must be Captions; got {type(captions).__name__}")
    check_seed(seed)
    if split not in SPLITS:
        raise OptionError.unknown("split of MAD", str(split), SPLITS)
    some = isinstance(looks, int) and not isinstance(looks, bool) and 1 <= looks <= LOOKS
    if not some and looks != "every":
        raise OptionError(
            f'looks: must be "every" or an integer of 1 … {LOOKS}; got {quoted(looks)}'
        )
    positions = mad.test if split == "test" else mad.train
    if not len(positions):
        raise InputError(f"{mad.name}: its {split} split holds no digits")
    random = np.random.default_rng(seed)
    if looks == "every":
        look = np.tile(np.arange(LOOKS), (len(positions), 1))
    else:
        drawn = random.random((len(positions), LOOKS)).argsort(1)[:, :looks]
        look = np.sort(drawn, axis=1)
    digit = np.repeat(positions, look.shape[1])
    look = look.reshape(-1)
    codes = mad.codes(digit, *np.divmod(look, COLOURS))
    factors = {
        "object" if name == captions.object else name: [words[code] for code in column]
        for (name, words), column in zip(FACTORS.items(), codes.T.tolist(), strict=True)
    }
    files = () if mad.folder is None else (mad.folder / "images.npy",)
    return Source(
        name=str(mad.folder) if mad.folder is not None else f"mad of {mad.name}",
        media=Cells(_Looks(mad, digit, look), _Names(digit, look), files=files),
        texts=captions.write(codes, random),
        text_to_image=np.arange(len(digit)),
        factors=factors,
        text_factors=factors,
        provenance={
            "data": "mad",
            "digits": mad.name,
            "split": split,
            "looks": str(looks),
            "captions": captions.name,
            "object": captions.object,
            "seed": f"{mad.seed} of the shapes, {seed} of the captions",
        },
        files=files,
    )
