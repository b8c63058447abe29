"""Source: what is to be encoded, before any model has seen it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modalgap.data.media import Chosen, Media
from modalgap.errors import InputError

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Source:
    """Media, texts, and who matches whom: a ``Pair`` that is not encoded yet.

    Args:
        name: what to call it: a path, or the name of a data set.
        media: n images (or sounds, or documents), or None for a source of texts alone.
        texts: m captions or, where ``labels`` is given, class names; None for media alone.
        text_to_image: (m,) the image that each caption describes.
        labels: (n,) the class of each image.
        factors: what is known of each image, name to n values.
        text_factors: the same of each text.
        templates: sentences with ``{}`` in which a class name is put; empty for captions.
        modality, text_modality: the names of the two sides.
        provenance: data set, split, revision ...: what to write beside the vectors.
        missing: items that the source lists and does not have, with the reason.

    With both sides and neither match, row i matches row i. Captions are put in the order of their
    images; their own order stays within an image.

    Raises:
        InputError: lengths or indices that do not fit together, or a template without ``{}``.
    """

    name: str
    media: Media | None = None
    texts: Sequence[str] | None = None
    text_to_image: ArrayLike | None = None
    labels: ArrayLike | None = None
    factors: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    text_factors: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    templates: tuple[str, ...] = ()
    modality: str = "image"
    text_modality: str = "text"
    provenance: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        n = None if self.media is None else len(self.media)
        m = None if self.texts is None else len(self.texts)
        if not n and not m:
            listed = f", all {len(self.missing)} that it lists are missing" if self.missing else ""
            raise InputError(f"{self.name}: must hold images or texts; found none{listed}")
        for what, values, length in (
            ("factor", self.factors, n),
            ("text factor", self.text_factors, m),
        ):
            for key, column in values.items():
                if len(column) != length:
                    raise InputError(
                        f"{self.name}: {what} {key!r} must have {length} values; got {len(column)}"
                    )
        wrong = next((text for text in self.texts or () if not isinstance(text, str)), None)
        if wrong is not None:
            raise InputError(f"{self.name}: texts must be strings; one is {type(wrong).__name__}")
        for template in self.templates:
            check_template(template)
        if n is None or m is None:
            return
        if self.labels is not None:
            labels = _indices(self.labels, f"{self.name}: labels", n, m)
            object.__setattr__(self, "labels", labels)
        elif self.text_to_image is not None:
            self._order(_indices(self.text_to_image, f"{self.name}: text_to_image", m, n))
        elif n != m:
            raise InputError(f"{self.name}: row i matches row i; found {n} images and {m} texts")

    def __repr__(self) -> str:
        sides = [] if self.media is None else [f"{len(self.media)} {self.modality}s"]
        sides += [] if self.texts is None else [f"{len(self.texts)} {self.text_modality}s"]
        return f"Source({self.name!r}, {' and '.join(sides)})"

    def _order(self, images: Ints) -> None:
        """Captions in the order of their images."""
        order = np.argsort(images, kind="stable")
        texts = self.texts or ()
        if not np.array_equal(order, np.arange(len(order))):
            object.__setattr__(self, "texts", [texts[i] for i in order])
            sorted_factors = {k: [v[i] for i in order] for k, v in self.text_factors.items()}
            object.__setattr__(self, "text_factors", sorted_factors)
        object.__setattr__(self, "text_to_image", images[order])

    def limited(self, limit: int, seed: int) -> Source:
        """A random sample of ``limit`` items, in their own order, with the texts that match them.

        Items are the media, or the texts where there are no media. Class names all stay.
        """
        total = len(self.media) if self.media is not None else len(self.texts or ())
        if limit >= total:
            return self
        kept = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
        said = {**self.provenance, "sample": f"{limit} of {total}, seed {seed}"}
        if self.media is None:
            return replace(self, **self._texts(kept), provenance=said)
        changes: dict[str, Any] = {
            "provenance": said,
            "media": Chosen(self.media, kept),
            "factors": {key: [column[i] for i in kept] for key, column in self.factors.items()},
        }
        if self.labels is not None:
            changes["labels"] = np.asarray(self.labels)[kept]
        elif self.text_to_image is not None:
            owner = np.asarray(self.text_to_image)
            theirs = np.flatnonzero(np.isin(owner, kept))
            changes |= self._texts(theirs)
            changes["text_to_image"] = np.searchsorted(kept, owner[theirs])
        elif self.texts is not None:
            changes |= self._texts(kept)
        return replace(self, **changes)

    def _texts(self, index: NDArray[np.int64]) -> dict[str, Any]:
        texts = self.texts or ()
        factors = {key: [column[i] for i in index] for key, column in self.text_factors.items()}
        return {"texts": [texts[i] for i in index], "text_factors": factors}


def check_template(template: object) -> None:
    """Refuse a template in which no class name can be put.

    Raises:
        InputError: it does not hold ``{}`` exactly once.
    """
    if not isinstance(template, str) or template.count("{}") != 1:
        raise InputError(f"template: must hold {{}} once, for the class name; got {template!r}")


def _indices(values: ArrayLike, what: str, length: int, limit: int) -> Ints:
    index = np.asarray(values)
    if index.shape != (length,) or (length and index.dtype.kind not in "iu"):
        raise InputError(f"{what}: must be {length} integers; got {index.dtype} {index.shape}")
    wrong = np.flatnonzero((index < 0) | (index >= limit))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"{what}: must lie in 0 … {limit - 1}; row {row} holds {index[row]}")
    return index.astype(np.int64)
