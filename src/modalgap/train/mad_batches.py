"""Batches of MAD: each digit once per epoch, as a random image with a random caption."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from modalgap.data.mad import FACTORS, VARIANTS, Captions, Mad
from modalgap.train.batches import DRAW, HELD_OUT, Batch, HeldOut, Ints, Sampler, ahead, hash_of
from modalgap.train.captions import Transform
from modalgap.train.profile_tower import PROFILE
from modalgap.train.prompts import all_prompts

Bytes = NDArray[np.uint8]

COLOURS = len(FACTORS["colour"])
CACHED = 2**15  # maximum number of captions whose ids are cached
JITTER, SMALLEST, NOISE = 0.1, 0.6, 0.05  # of views: shift, fraction of the side, deviation


class MadBatches:
    """MAD in memory; a whole batch is drawn, coloured and tokenised at once.

    Args:
        mad: the digits in their variants.
        captions: the content of the captions.
        transform: the transform of each caption.
        tokenizer: maps captions to ids.
        side: image size of the model, in pixels per side.
        mean, std: of the preprocessing.
        sampler: selects the rows of each batch, and those of this process.
        profiles: whether batches have the profiles of the images too. No two held-out images then
            have equal factors, so that each has one correct caption.
    """

    def __init__(
        self,
        mad: Mad,
        captions: Captions,
        transform: Transform | None,
        tokenizer: Callable[[Sequence[str]], Tensor],
        side: int,
        mean: Sequence[float],
        std: Sequence[float],
        sampler: Sampler,
        *,
        profiles: bool = False,
    ) -> None:
        self.profiles = profiles
        self.mad, self.captions, self.transform = mad, captions, transform
        self.tokenizer, self.side, self.sampler = tokenizer, side, sampler
        self._kept: dict[str, Tensor] = {}
        self.mean = torch.tensor(mean).view(1, 3, 1, 1)
        self.std = torch.tensor(std).view(1, 3, 1, 1)

    @property
    def pairs(self) -> int:
        return len(self.mad.train)

    @property
    def fingerprint(self) -> str:
        mad = self.mad
        some = np.asarray(mad.images[:: max(1, len(mad.images) // 64)])
        return hash_of(
            mad.name, str(mad.seed), mad.labels.tobytes(), mad.train.tobytes(), some.tobytes()
        )

    def steps(self, first: int, last: int) -> Generator[Batch]:
        yield from ahead(self._batch_of(step) for step in range(first, last))

    def _batch_of(self, step: int) -> Batch:
        _, rows = self.sampler.rows(step, self.pairs)
        return self._batch(self.mad.train[rows], self.sampler.rng(DRAW, step), self.sampler.mine)

    def first_pairs(self, count: int) -> Batch:
        rng = self.sampler.rng(DRAW, 2**31)  # no step has this number
        return self._batch(rng.choice(self.mad.train, count), rng, slice(None))

    def held_out(self, rows: int) -> HeldOut | None:
        if not len(self.mad.test):
            return None
        rng = self.sampler.rng(HELD_OUT)
        digits = self.mad.test[rng.permutation(len(self.mad.test))]
        digits = np.resize(digits, min(rows, len(digits) * len(VARIANTS) * COLOURS))
        variant, colour = _drawn(len(digits), rng)
        codes = self.mad.codes(digits, variant, colour)
        others = {}
        if self.profiles:
            first = np.sort(np.unique(codes, axis=0, return_index=True)[1])
            digits, variant, colour, codes = (
                each[first] for each in (digits, variant, colour, codes)
            )
            others = {PROFILE: torch.from_numpy(self.mad.profiles(digits, variant))}
        images = self._prepared(self.mad.pixels(digits, variant, colour))
        names = list(FACTORS)
        values = {
            name: [FACTORS[name][code] for code in codes[:, column]]
            for column, name in enumerate(names)
        }
        factors = {"object": values.pop(self.captions.object), **values}
        texts = self._captions(codes, rng)
        return HeldOut(
            images=images, texts=texts, factors=factors, prompts=self.prompts(), others=others
        )

    def prompts(self) -> dict[str, dict[str, Sequence[str]]]:
        """Prompts of each value, for each factor that captions describe."""
        return all_prompts(self.captions, self.sampler.seed)

    def _captions(self, codes: Ints, rng: np.random.Generator) -> list[str]:
        texts = self.captions.write(codes, rng)
        if self.transform is None:
            return texts
        return [self.transform(text, rng) for text in texts]

    def _batch(self, digits: Ints, rng: np.random.Generator, mine: slice) -> Batch:
        """Draw the images of a whole batch in each process; prepare this process's part."""
        variant, colour = _drawn(len(digits), rng)
        texts = self._captions(self.mad.codes(digits, variant, colour), rng)
        images = self._prepared(self.mad.pixels(digits[mine], variant[mine], colour[mine]))
        views = None
        if self.sampler.views:
            views = (_view(images, rng, len(digits), mine), _view(images, rng, len(digits), mine))
        others: tuple[Tensor, ...] = ()
        if self.profiles:
            others = (torch.from_numpy(self.mad.profiles(digits[mine], variant[mine])),)
        return Batch(images, self._ids(texts[mine]), views, others)

    def _ids(self, texts: list[str]) -> Tensor:
        """(b, l) ids; they are cached, since captions repeat often."""
        if len(self._kept) + len(texts) > CACHED:
            self._kept = {}  # a new one: a second thread may still read the old one
        kept = self._kept
        new = [text for text in dict.fromkeys(texts) if text not in kept]
        if new:
            kept.update(zip(new, self.tokenizer(new), strict=True))
        return torch.stack([kept[text] for text in texts])

    def _prepared(self, pixels: Bytes) -> Tensor:
        """Map (b, h, w, 3) bytes to the input of the tower, as its preprocessing of each image."""
        images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
        if images.shape[-1] != self.side:
            images = functional.interpolate(
                images, self.side, mode="bicubic", antialias=True, align_corners=False
            )
            images = images.round_().clamp_(0, 255)
        return images.div_(255).sub_(self.mean).div_(self.std)


def _drawn(count: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """The variant and the colour (b,) of a random image of each digit."""
    return rng.integers(len(VARIANTS), size=count), rng.integers(COLOURS, size=count)


def _view(images: Tensor, rng: np.random.Generator, batch: int, mine: slice) -> Tensor:
    """Crop each image to a random square, shift it, and add noise."""
    zoom = rng.uniform(SMALLEST, 1, size=batch)[mine]
    move = rng.uniform(-JITTER, JITTER, size=(batch, 2))[mine]
    seeds = rng.integers(2**31, size=batch)[mine]
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = torch.from_numpy(zoom).float()
    theta[:, :, 2] = torch.from_numpy(move).float()
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    seen = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    noise = torch.from_numpy(
        np.stack([np.random.default_rng(s).standard_normal(images.shape[1:]) for s in seeds])
    )
    return seen + NOISE * noise.float()
