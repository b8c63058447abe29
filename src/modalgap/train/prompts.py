"""Prompts for MAD, as "a photo of a {}" for CLIP, for models that read attribute words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modalgap.data.mad import FACTORS, Captions

PROMPTS = 32  # captions per value of a factor; their mean represents the value
STREAM = 5  # random number stream, distinct from those of batches


def all_prompts(captions: Captions, seed: int = 0) -> dict[str, dict[str, Sequence[str]]]:
    """Map factor to value to captions, for each factor that ``captions`` describe.

    The object is called "object", as in the factors of ``mad.source``.
    """
    return {
        "object" if name == captions.object else name: prompts(captions, name, seed)
        for name in FACTORS
        if describes(captions, name)
    }


def describes(captions: Captions, factor: str) -> bool:
    """Whether captions can contain a word for ``factor``."""
    if factor == captions.object or captions.presence is None:
        return factor == captions.object or bool(captions.attributes)
    return captions.presence.get(factor, 0.0) > 0


def prompts(captions: Captions, factor: str, seed: int = 0) -> dict[str, Sequence[str]]:
    """Captions for each value of ``factor``; the other factors are random.

    They serve a model trained on such captions as "a photo of a {}" serves CLIP.
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
