"""Source: the items to encode and their matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modalgap.arguments import checked
from modalgap.data.media import Chosen, Kind, Media
from modalgap.embeddings.matching import KINDS, pairs_of
from modalgap.errors import InputError, OptionError, quoted

Ints = NDArray[np.int64]


@checked
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Source:
    """Media, texts and their matches: a ``Pair`` before encoding.

    Args:
        name: its name: a path, or the name of a data set.
        media: n images (or sounds, or documents), or None for a source of texts only.
        texts: m captions or, with ``labels``, class names; None for media only.
        text_to_image: (m,) the image that each caption describes.
        pairs: (k, 2) matching image and caption: for captions of several images.
        labels: (n,) the class of each image.
        factors: attributes of each image: maps a name to n values.
        text_factors: attributes of each text.
        templates: sentences with ``{}`` for a class name; empty for captions.
        modality, text_modality: the names of the two sides.
        provenance: facts to store with the vectors: data set, split, revision ...
        missing: items that the source lists but does not have, with the reason.
        files: files that were read besides those of the media; the output must not replace them.
        rule: the layout that was read, in a few words, for instance "images beside .txt captions".
        notes: what a reader detected or merged, one short sentence each.
        unused: files that were found but not read, with the reason.
        unused_columns: columns that could be factors but are not selected.

    With both sides and without matches, row i matches row i. Captions of ``text_to_image`` are
    sorted by image; the order within an image is kept.

    Raises:
        InputError: a value of a wrong type, lengths or indices that are inconsistent, or a
            template without ``{}``.
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
    files: tuple[Path, ...] = ()
    rule: str = ""
    notes: tuple[str, ...] = ()
    unused: tuple[tuple[str, str], ...] = ()
    unused_columns: tuple[str, ...] = ()
    pairs: ArrayLike | None = None

    def __post_init__(self) -> None:
        self._check_types()
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
                        f"{self.name}: {what} {quoted(key)} must have {length} values;"
                        f" got {len(column)}"
                    )
        wrong = next((text for text in self.texts or () if not isinstance(text, str)), None)
        if wrong is not None:
            raise InputError(f"{self.name}: texts must be strings; one is {type(wrong).__name__}")
        for template in self.templates:
            check_template(template)
        if n is None or m is None:
            return
        kinds = [key for key in KINDS if getattr(self, key) is not None]
        if len(kinds) > 1:
            raise InputError(f"{self.name}: {' and '.join(kinds)}: use one of them")
        if self.pairs is not None:
            object.__setattr__(self, "pairs", pairs_of(self.pairs, f"{self.name}: pairs", n, m))
        elif self.labels is not None:
            labels = _indices(self.labels, f"{self.name}: labels", n, m)
            object.__setattr__(self, "labels", labels)
        elif self.text_to_image is not None:
            self._order(_indices(self.text_to_image, f"{self.name}: text_to_image", m, n))
        elif n != m:
            raise InputError(f"{self.name}: row i matches row i; found {n} images and {m} texts")

    def _check_types(self) -> None:
        for what in ("name", "modality", "text_modality"):
            _string(getattr(self, what), what)
        if self.media is not None:
            check_media(self.media, self.name)
        if self.texts is not None and not _is_list(self.texts, arrays=False):
            found = type(self.texts).__name__
            raise InputError(f"{self.name}: texts must be a list of strings; got {found}")
        for what in ("factors", "text_factors", "provenance"):
            if not isinstance(values := getattr(self, what), Mapping):
                found = type(values).__name__
                raise InputError(f"{self.name}: {what} must be a dict; got {found}")
            for key in values:
                _string(key, f"{self.name}: {what}: a name")
        for key, value in self.provenance.items():
            _string(value, f"{self.name}: provenance {key!r}")
        for key, column in {**self.factors, **self.text_factors}.items():
            if not _is_list(column):
                found = type(column).__name__
                raise InputError(f"{self.name}: factor {quoted(key)} must be a list; got {found}")
        if not _is_list(self.templates, arrays=False):
            found = type(self.templates).__name__
            raise InputError(f"{self.name}: templates must be a tuple; got {found}")
        for what in ("missing", "unused"):
            listed = getattr(self, what)
            if not _is_list(listed) or not all(
                isinstance(each, tuple) and len(each) == 2 and all(isinstance(s, str) for s in each)
                for each in listed
            ):
                raise InputError(f"{self.name}: {what} must be pairs of name and reason")

    def __repr__(self) -> str:
        sides = [] if self.media is None else [f"{len(self.media)} {self.modality}s"]
        sides += [] if self.texts is None else [f"{len(self.texts)} {self.text_modality}s"]
        return f"Source({self.name!r}, {' and '.join(sides)})"

    @property
    def matches(self) -> Ints:
        """(k, 2) matching images and texts, ordered by image; for a source with both sides."""
        if self.pairs is not None:
            return np.asarray(self.pairs)
        n, m = len(self.media or ()), len(self.texts or ())
        if self.labels is not None:
            return np.stack([np.arange(n), np.asarray(self.labels)], 1)
        owner = np.arange(m) if self.text_to_image is None else np.asarray(self.text_to_image)
        return np.stack([owner, np.arange(m)], 1)

    def _order(self, images: Ints) -> None:
        """Sort captions by image."""
        order = np.argsort(images, kind="stable")
        texts = self.texts or ()
        if not np.array_equal(order, np.arange(len(order))):
            object.__setattr__(self, "texts", [texts[i] for i in order])
            sorted_factors = {k: [v[i] for i in order] for k, v in self.text_factors.items()}
            object.__setattr__(self, "text_factors", sorted_factors)
        object.__setattr__(self, "text_to_image", images[order])

    def limited(self, limit: int, seed: int) -> Source:
        """A random sample of ``limit`` items, in their order, with the texts that match them.

        Items are the media, or the texts if there are no media. All class names are kept.
        """
        total = len(self.media) if self.media is not None else len(self.texts or ())
        if limit >= total:
            return self
        kept = np.sort(np.random.default_rng(seed).choice(total, limit, replace=False))
        provenance = {**self.provenance, "sample": f"{limit} of {total}, seed {seed}"}
        if self.media is None:
            return replace(self, **self._texts(kept), provenance=provenance)
        changes: dict[str, Any] = {
            "provenance": provenance,
            "media": Chosen(self.media, kept),
            "factors": {key: [column[i] for i in kept] for key, column in self.factors.items()},
        }
        if self.labels is not None:
            changes["labels"] = np.asarray(self.labels)[kept]
        elif self.pairs is not None:
            own = self.matches[np.isin(self.matches[:, 0], kept)]
            theirs, place = np.unique(own[:, 1], return_inverse=True)
            changes |= self._texts(theirs)
            changes["pairs"] = np.stack([np.searchsorted(kept, own[:, 0]), place.reshape(-1)], 1)
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
    """Check that a template has one place for the class name.

    Raises:
        InputError: it does not hold ``{}`` exactly once.
    """
    if not isinstance(template, str) or template.count("{}") != 1:
        raise InputError(
            f"template: must hold {{}} once, for the class name; got {quoted(template)}"
        )


def check_unicode(text: str, what: str) -> None:
    """Check that a file can hold a name, before anything is encoded.

    Raises:
        InputError: it has lone surrogates, as names from other file systems can have.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{what}: must be valid Unicode; got {text!a}") from error


def check_seed(seed: object) -> None:
    """Check a seed.

    Raises:
        OptionError: not an integer of 0 … 2^63 - 1.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise OptionError(f"seed: must be an integer of 0 … {2**63 - 1}; got {quoted(seed)}"[:200])


def _string(value: object, what: str) -> None:
    if not isinstance(value, str):
        raise InputError(f"{what}: must be a string; got {type(value).__name__}")
    check_unicode(value, what)


def _is_list(value: object, *, arrays: bool = True) -> bool:
    if isinstance(value, np.ndarray):
        return arrays and value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def check_media(media: object, name: str) -> None:
    """Check that an object is ``Media`` with one name per item.

    Raises:
        InputError: it lacks an attribute, or has names that do not fit.
    """
    if not isinstance(media, Media):
        needs = ("kind", "names", "__len__", "__getitem__")
        lacks = next(each for each in needs if not hasattr(media, each))
        raise InputError(f"{name}: media must have {lacks}; got {type(media).__name__}")
    if media.kind not in get_args(Kind):
        known = ", ".join(get_args(Kind))
        raise InputError(
            f"{name}: the kind of media must be one of {known}; got {quoted(media.kind)}"
        )
    if not _is_list(media.names) or len(media.names) != len(media):
        found = f"{len(media.names)}" if _is_list(media.names) else type(media.names).__name__
        raise InputError(f"{name}: media must have {len(media)} names; got {found}")
    wrong = next((each for each in media.names if not isinstance(each, str)), None)
    if wrong is not None:
        raise InputError(f"{name}: names of media must be strings; one is {type(wrong).__name__}")


def _indices(values: ArrayLike, what: str, length: int, limit: int) -> Ints:
    try:
        index = np.asarray(values)
    except (ValueError, TypeError) as error:  # ragged
        raise InputError(f"{what}: must be {length} integers; numpy says: {error}") from error
    if index.shape != (length,) or (length and index.dtype.kind not in "iu"):
        raise InputError(f"{what}: must be {length} integers; got {index.dtype} {index.shape}")
    wrong = np.flatnonzero((index < 0) | (index >= limit))
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"{what}: must lie in 0 … {limit - 1}; row {row} holds {index[row]}")
    return index.astype(np.int64)
