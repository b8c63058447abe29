"""Merge repeated captions: encode a text of several images once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modalgap.data.source import Source

Ints = NDArray[np.int64]


def join_texts(source: Source) -> Source:
    """The source with each caption once, matched with every image that it describes.

    Texts are merged if they and their factors are equal. Class names are not merged, nor a source
    with only one distinct text: a comparison needs two. ``notes`` gets a message about merged and
    separate texts.
    """
    texts = source.texts
    if texts is None or source.media is None or source.labels is not None:
        return source
    named = [text if text.strip() else i for i, text in enumerate(texts)]  # empty texts differ
    first = first_of(named)
    if len(np.unique(first)) == len(texts):
        return source
    own = first_of(list(zip(named, *source.text_factors.values(), strict=True)))
    kept, place = np.unique(own, return_inverse=True)
    notes = list(source.notes)
    if len(kept) < 2:
        notes.append("all texts are identical; they were not merged")
        return replace(source, notes=tuple(notes))
    pairs = source.matches
    images = len(np.unique(pairs[:, 0]))
    if len(kept) < len(texts):
        notes.append(
            f"{images:,} {source.modality}s share {len(kept):,} distinct {source.text_modality}s;"
            f" identical {source.text_modality}s were merged (--keep-repeats keeps them separate)"
        )
    if apart := len(kept) - len(np.unique(first)):
        names = ", ".join(source.text_factors)
        notes.append(f"{apart:,} identical texts differ in their factors ({names}); not merged")
    if len(kept) == len(texts):
        return replace(source, notes=tuple(notes))
    return replace(
        source,
        texts=[texts[i] for i in kept],
        text_factors={
            key: [column[i] for i in kept] for key, column in source.text_factors.items()
        },
        text_to_image=None,
        pairs=np.stack([pairs[:, 0], place.reshape(-1)[pairs[:, 1]]], 1),
        notes=tuple(notes),
    )


def first_of(values: Sequence[Any]) -> Ints:
    """(n,) position of the first equal value."""
    found: dict[Hashable, int] = {}
    return np.array(
        [found.setdefault(_plain(value), i) for i, value in enumerate(values)], np.int64
    )


def _plain(value: Any) -> Hashable:
    """A hashable form of a value; of a tuple, of each element."""
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in value)
    return value.item() if isinstance(value, np.generic) else str(value)
