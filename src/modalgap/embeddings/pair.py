"""Pair: two modalities in one space, and which rows match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import xxhash
from numpy.typing import ArrayLike
from torch import Tensor

from modalgap.arguments import checked
from modalgap.embeddings import matching
from modalgap.embeddings.embeddings import Embeddings
from modalgap.embeddings.matching import Ints
from modalgap.embeddings.scan import FORM
from modalgap.errors import InputError, quoted
from modalgap.modality import plural


@checked
@dataclass(frozen=True, eq=False, init=False)
class Pair:
    """Two modalities in one space, and which rows match.

    Args:
        image: n rows of the first modality: images, or any other. An array is taken as images.
        text: m rows of the second modality. An array is taken as texts.
        text_to_image: (m,) the row of the first modality that each row of the second matches:
            captions; an image may have several.
        labels: (n,) the row of the second modality that each row of the first matches: class
            prompts, one text per class.
        pairs: (k, 2) a row of the first and a row of the second modality that match, in any order:
            texts that describe several images. Items without a match are allowed. If each text has
            exactly one image, the pairs are stored as ``text_to_image``.

    The names of the two modalities are those of the ``Embeddings``. Without matches, n must equal m
    and row i matches row i.

    Raises:
        InputError: different widths, two kinds of match, or matches of a wrong shape or range.
    """

    image: Embeddings
    text: Embeddings
    text_to_image: Ints | None
    labels: Ints | None
    pairs: Ints | None

    def __init__(
        self,
        image: Embeddings | ArrayLike | Tensor,
        text: Embeddings | ArrayLike | Tensor,
        text_to_image: ArrayLike | Tensor | None = None,
        labels: ArrayLike | Tensor | None = None,
        *,
        pairs: ArrayLike | Tensor | None = None,
    ) -> None:
        if not isinstance(image, Embeddings):
            image = Embeddings(image, "image")
        if not isinstance(text, Embeddings):
            text = Embeddings(text, "text")
        if image.dim != text.dim:
            raise InputError(
                f"{image.source} and {text.source}: must have the same width;"
                f" got {image.dim} and {text.dim}"
            )
        if image.modality == text.modality:
            raise InputError(
                f"the two modalities must have two names; both are {quoted(image.modality)}"
            )
        kinds = {"text_to_image": text_to_image, "labels": labels, "pairs": pairs}
        matches = {name: value for name, value in kinds.items() if value is not None}
        if len(matches) > 1:
            raise InputError(f"{' and '.join(matches)}: give one or neither, not both")
        if not matches and image.n != text.n:
            raise InputError(
                f"{image.source} and {text.source}: without text_to_image, labels or pairs, row i"
                " matches row i, so both need the same number of rows;"
                f" got {image.n} and {text.n}"
            )
        names = (plural(image.modality), plural(text.modality))
        found = matching.matches_of(matches, image.n, text.n, names)
        # the fields of a frozen dataclass
        vars(self).update(image=image, text=text, **{name: found.get(name) for name in kinds})

    def __repr__(self) -> str:
        return f"Pair({self.image!r}, {self.text!r}, matched by {self.matched_by})"

    def over(self, image: Embeddings, text: Embeddings) -> Pair:
        """The same matches over other embeddings, of n and m rows."""
        return Pair(image, text, self.text_to_image, self.labels, pairs=self.pairs)

    @property
    def dim(self) -> int:
        """Width of both sides."""
        return self.image.dim

    @property
    def matched_by(self) -> str:
        """How the sides match: "rows", "text_to_image", "labels" or "pairs"."""
        if self.pairs is not None:
            return "pairs"
        if self.labels is not None:
            return "labels"
        return "rows" if self.text_to_image is None else "text_to_image"

    @property
    def sides(self) -> tuple[Embeddings, Embeddings]:
        """The first modality, then the second."""
        return (self.image, self.text)

    @cached_property
    def captions_per_image(self) -> int | None:
        """C if the texts lie in the order of the images, C per image; otherwise None."""
        if self.labels is not None or self.pairs is not None:
            return None
        if self.text_to_image is None:
            return 1
        c, rest = divmod(self.text.n, self.image.n)
        if rest or not matching.in_order(self.text_to_image, c):
            return None
        return c

    @property
    def matches(self) -> tuple[Tensor, Tensor]:
        """Indices (image, text), each (k,), of every match.

        Ordered by text; by image, then text, where ``labels`` or ``pairs`` say who matches whom.
        """
        if self.pairs is not None:
            image, text = np.ascontiguousarray(self.pairs.T)
            return torch.from_numpy(image), torch.from_numpy(text)
        if self.labels is not None:
            return torch.arange(self.image.n), torch.from_numpy(self.labels)
        if self.text_to_image is not None:
            return torch.from_numpy(self.text_to_image), torch.arange(self.text.n)
        return torch.arange(self.image.n), torch.arange(self.image.n)

    @property
    def first_matches(self) -> tuple[Tensor, Tensor]:
        """``matches`` with each image once: its first text. Images without a text are left out.

        With ``labels`` or ``pairs`` a text may occur several times; see ``distinct_matches``.
        """
        image, text = self.matches
        if self.text_to_image is None and self.pairs is None:
            return image, text
        found, first = np.unique(image.numpy(), return_index=True)
        return torch.from_numpy(found), text[torch.from_numpy(first.astype(np.int64))]

    @property
    def distinct_matches(self) -> tuple[Tensor, Tensor]:
        """Matches (image, text) such that no image matches the text of another match.

        For captions: each image with its first caption. Used where items are compared one by one,
        as in InfoNCE, where a second correct answer would count as a wrong one.
        """
        if self.pairs is None:
            return self.first_matches
        chosen = matching.distinct(self.pairs, self.image.n, self.text.n)
        image, text = self.matches
        return image[chosen], text[chosen]

    @cached_property
    def clusters(self) -> tuple[Ints, Ints]:
        """Cluster numbers of images (n,) and of texts (m,). Items of one cluster are dependent.

        Captions are in the cluster of their image. With ``pairs``, all items that are connected by
        matches are one cluster. Class prompts are a fixed set, so each item is its own cluster.
        """
        if self.pairs is not None:
            return matching.components(self.pairs, self.image.n, self.text.n)
        texts = np.arange(self.text.n) if self.text_to_image is None else self.text_to_image
        return np.arange(self.image.n), texts

    @property
    def fingerprint(self) -> str:
        """A hash of both sides and of the matches."""
        return FORM + self.hash_of([side.fingerprint for side in self.sides])

    def hash_of(self, prints: Sequence[str]) -> str:
        """A hash of the fingerprints of both sides and of the matches."""
        digest = xxhash.xxh3_128("".join(f"{each}|" for each in prints).encode())
        if self.captions_per_image != 1:
            digest.update(self.matched_by.encode())
            who = next(
                each for each in (self.labels, self.text_to_image, self.pairs) if each is not None
            )
            digest.update(np.ascontiguousarray(who).data)
        return digest.hexdigest()
