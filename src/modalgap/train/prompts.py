"""Prompts for MAD: what "a photo of a {}" is to CLIP, for models that read words of attributes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modalgap.data.mad import FACTORS, Captions

PROMPTS = 32  # captions whose mean stands for a value of a factor
STREAM = 5  # of random numbers, apart from those of batches


def all_prompts(captions: Captions, seed: int = 0) -> dict[str, dict[str, Sequence[str]]]:
    """Factor to value to captions, for each factor that ``captions`` speak of.

    The object is called "object", as in the factors of ``mad.source``.
    """
    return {
        "object" if name == captions.object else name: prompts(captions, name, seed)
        for name in FACTORS
        if speaks_of(captions, name)
    }


def speaks_of(captions: Captions, factor: str) -> bool:
    """Whether captions can hold a word for ``factor``."""
    if factor == captions.object or captions.presence is None:
        return factor == captions.object or bool(captions.attributes)
    return captions.presence.get(factor, 0.0) > 0


def prompts(captions: Captions, factor: str, seed: int = 0) -> dict[str, Sequence[str]]:
    """Captions for each value of ``factor``, the other factors drawn at random.

    They are to a model trained on such captions what "a photo of a {}" is to CLIP.
    """
    rng = np.random.default_rng((seed, STREAM))
    column = list(FACTORS).index(factor)
    made: dict[str, Sequence[str]] = {}
    sizes = [len(values) for values in FACTORS.values()]
    for code, value in enumerate(FACTORS[factor]):
        codes = np.stack([rng.integers(size, size=PROMPTS) for size in sizes], 1)
        codes[:, column] = code
        made[value] = sorted(set(captions.write(codes, rng, always=[factor])))
    return made
