"""Captions in training: which captions of MAD, and which part of a caption the model reads.

Source: Schrodi et al. 2025, section 6, and their training code: one of two halves, one of four
fixed quarters, word dropout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from modalgap.checks import value_of
from modalgap.data.mad.captions import Captions
from modalgap.errors import OptionError, quoted

Rng = np.random.Generator
Transform = Callable[[str, Rng], str]


def part(count: int) -> Transform:
    """A transform that selects one of ``count`` fixed parts of the words, at random.

    Part i of n words begins at word i * n // count, so that every word is in exactly one part. A
    caption with fewer words than parts can become empty.
    """

    def transform(caption: str, rng: Rng) -> str:
        words, mark = _cut(caption)
        drawn = int(rng.integers(count))
        if len(words) < count:
            return ""
        first, last = (i * len(words) // count for i in (drawn, drawn + 1))
        return mark.join(words[first:last])

    return transform


def word_dropout(share: float = 0.5) -> Transform:
    """A transform that drops each word with probability ``share``; it keeps at least one."""

    def transform(caption: str, rng: Rng) -> str:
        words, mark = _cut(caption)
        kept = rng.random(len(words)) >= share
        if not kept.any():
            kept[rng.integers(len(words))] = True
        return mark.join(word for word, stays in zip(words, kept, strict=True) if stays)

    return transform


def keep(count: int = 1, objects: Sequence[str] = ()) -> Transform:
    """A transform that keeps the words in ``objects`` and ``count`` random others, in order.

    If a caption has no word of ``objects``, its first word is the object.
    """
    named = set(objects)

    def transform(caption: str, rng: Rng) -> str:
        words, mark = _cut(caption)
        stays = np.array([word in named for word in words])
        stays[0] |= not stays.any()
        others = np.flatnonzero(~stays)
        stays[rng.permutation(others)[:count]] = True
        return mark.join(word for word, kept in zip(words, stays, strict=True) if kept)

    return transform


def chain(names: Sequence[str], objects: Sequence[str] = ()) -> Transform:
    """A transform of all ``names`` in order: ``half``, ``quarter``, ``word_dropout:P``, ``keep:K``.

    Args:
        names: as in a configuration.
        objects: the words that name objects, for ``keep``.

    Raises:
        OptionError: the transform does not exist, or its number is invalid.
    """
    steps = [_one(name, objects) for name in names]

    def transform(caption: str, rng: Rng) -> str:
        for step in steps:
            caption = step(caption, rng)
        return caption

    return transform


def captions_of(setting: str | Mapping[str, Any]) -> Captions:
    """The captions that a configuration selects.

    Raises:
        OptionError: the captions do not exist.
    """
    if isinstance(setting, str):
        return Captions.named(setting)
    known = ("object", "attributes", "presence")
    for key in setting:
        if key not in known:
            raise OptionError.unknown("key of data.captions", str(key), known)
    return Captions(**setting)


def _one(name: str, objects: Sequence[str]) -> Transform:
    kind, colon, argument = name.partition(":")
    number = value_of(argument) if colon else None
    if kind in ("half", "quarter") and not colon:
        return part(2 if kind == "half" else 4)
    if kind == "word_dropout":
        number = number if colon else 0.5
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
            raise OptionError(
                f"data.transforms: {kind} takes a fraction of 0 to 1; got {quoted(argument)}"
            )
        return word_dropout(number)
    if kind == "keep":
        number = number if colon else 1
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise OptionError(
                f"data.transforms: {kind} takes a whole number; got {quoted(argument)}"
            )
        return keep(number, objects)
    if kind in ("half", "quarter"):
        raise OptionError(f"data.transforms: {kind} takes no number; got {quoted(name)}")
    raise OptionError.unknown(
        "caption transform", kind, ("half", "quarter", "word_dropout", "keep")
    )


def _cut(caption: str) -> tuple[list[str], str]:
    """The words of a caption and their separator: "-" in MAD's, a space in all others."""
    if " " not in caption.strip() and "-" in caption:
        return caption.split("-"), "-"
    return caption.split() or [caption], " "
